"""The classic network's training step as a PyTorch user would write it."""

from collections.abc import Callable
import shutil

import numpy as np
import torch


def rotate(images: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
  """Turns `[N, C, H, W]` floats counter-clockwise about the canvas's middle.

  Args:
    images: to be turned.
    degrees: `[N]`.

  Returns:
    `[N, C, H, W]`, zero outside the source.
  """
  radians = torch.deg2rad(degrees)
  c, s, zero = radians.cos(), radians.sin(), torch.zeros_like(radians)
  theta = torch.stack(
    [torch.stack([c, -s, zero], -1), torch.stack([s, c, zero], -1)], 1
  )
  grid = torch.nn.functional.affine_grid(
    theta, list(images.shape), align_corners=False
  )
  return torch.nn.functional.grid_sample(
    images, grid, mode="bilinear", align_corners=False
  )


def network(size: int = 28, channels: int = 1) -> torch.nn.Sequential:
  """conv 32, conv 64, max-pool, dropout, dense 128, dropout, dense 2."""
  flat = 64 * ((size - 4) // 2) ** 2
  return torch.nn.Sequential(
    torch.nn.Conv2d(channels, 32, 3),
    torch.nn.ReLU(),
    torch.nn.Conv2d(32, 64, 3),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Dropout(0.25),
    torch.nn.Flatten(),
    torch.nn.Linear(flat, 128),
    torch.nn.ReLU(),
    torch.nn.Dropout(0.5),
    torch.nn.Linear(128, 2),
  )


def cosine_loss(outputs: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
  """Mean of 1 - cos D between `[N, 2]` and the angles `[N]`."""
  radians = torch.deg2rad(degrees)
  target = torch.stack([radians.cos(), radians.sin()], -1)
  return (1 - torch.nn.functional.cosine_similarity(outputs, target)).mean()


def stepper(
  images: np.ndarray,
  batch_size: int,
  *,
  channels_last: bool = False,
  compiled: bool = False,
  device: str = "cpu",
  steps: int = 1,
) -> Callable[[], None]:
  """A call that trains: fused Adam, the dataset on the device.

  Args:
    images: `[N, H, W, C]` uint8.
    batch_size: of a step.
    channels_last: memory format of network and images.
    compiled: with `torch.compile`, the rotation included.
    device: "cpu" or "cuda".
    steps: of one call, which waits for the last one.

  Returns:
    The call.
  """
  layout = torch.channels_last if channels_last else torch.contiguous_format
  source = torch.from_numpy(np.moveaxis(images, -1, 1).copy()).to(device)
  net = network(images.shape[1], images.shape[-1])
  net = net.to(device, memory_format=layout)
  adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

  def loss_of(pictures, degrees):
    turned = rotate(pictures.float() / 255, degrees)
    return cosine_loss(net(turned.contiguous(memory_format=layout)), degrees)

  if compiled:
    loss_of = torch.compile(loss_of)

  def call():
    for _ in range(steps):
      index = torch.randint(len(source), (batch_size,), device=device)
      degrees = 360 * torch.rand(batch_size, device=device)
      loss = loss_of(source[index], degrees)
      adam.zero_grad(set_to_none=True)
      loss.backward()
      adam.step()
    if device != "cpu":
      torch.cuda.synchronize()

  return call


def why_not_compile() -> str:
  """Why `torch.compile` cannot run on the CPU here; "" where it can."""
  if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
    return "no C++ compiler, which torch.compile needs on CPUs"
  return ""
