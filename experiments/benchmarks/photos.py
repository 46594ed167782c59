"""EfficientNet-Lite0 with the spatial head against the same network in torch.

    pip install -e ".[bench]"
    python experiments/benchmarks/photos.py --out experiments/results/photos.md

128 px, batch 32, float32, Adam, frozen batch statistics, random weights; the
network alone, without views. All in one process, in turns. torch runs timm's
`efficientnet_lite0`, whose symmetric padding costs it less than TensorFlow's,
in the layout that suits it best (channels_last).
"""

import harness
import jax
import jax.numpy as jnp
import numpy as np
import optax

from rotjax import models
from rotjax.models import efficientnet_lite0

# How many of the parts are frozen: the stem and blocks 0 to 4.
_FROZEN = 6


def _drawn(model):
  """Parameters and state, drawn on the host: compiling init takes longer."""
  rng = np.random.default_rng(0)
  params, state = jax.tree.map(
    lambda x: jnp.asarray(rng.normal(0, 0.05, x.shape), jnp.float32),
    jax.eval_shape(model.init, jax.random.key(0)),
  )
  return params, jax.tree.map(lambda x: jnp.abs(x) + 1, state)


def _ours(images):
  backbone = efficientnet_lite0.EfficientNetLite0(weights="")
  model = models.build(backbone, 2, images.shape[1:])
  params, state = _drawn(model)
  forward = jax.jit(lambda params, x: model.apply(params, state, x)[0])

  def stepper(frozen):
    names = model.stages[:frozen]
    kept = {k: v for k, v in params.items() if k in names}
    rest = {k: v for k, v in params.items() if k not in names}
    rest = jax.tree.map(jnp.copy, rest)  # they are donated
    optimizer = optax.adam(1e-4)

    def loss(rest, x):
      outputs, _ = model.apply(rest | kept, state, x, train=True)
      return jnp.square(outputs).mean()

    def step(rest, moments, x):
      grads = jax.grad(loss)(rest, x)
      updates, moments = optimizer.update(grads, moments, rest)
      return optax.apply_updates(rest, updates), moments

    compiled = jax.jit(step, donate_argnums=(0, 1))
    now = rest, optimizer.init(rest)

    def call():
      nonlocal now
      now = compiled(*now, images)
      jax.block_until_ready(now)

    return call

  return {
    "forward": lambda: jax.block_until_ready(forward(params, images)),
    "step, all layers": stepper(0),
    "step, blocks 0 to 4 frozen": stepper(_FROZEN),
  }


def _torch(images):
  import timm
  import torch

  class Network(torch.nn.Module):
    """timm's blocks under our spatial head."""

    def __init__(self):
      super().__init__()
      self.trunk = timm.create_model("efficientnet_lite0")
      self.hidden = torch.nn.Linear(7552, 256)
      self.out = torch.nn.Linear(256, 2)

    def forward(self, x):
      """`[N, 3, H, W]` -> `[N, 2]`."""
      x, pooled = self.trunk.bn1(self.trunk.conv_stem(x)), []
      for i, stage in enumerate(self.trunk.blocks):
        x = stage(x)
        if i in (2, 4, 6):  # blocks 4, 10 and 15
          grid = torch.nn.functional.adaptive_avg_pool2d(x, 4)
          pooled.append(grid.flatten(1))
      return self.out(torch.relu(self.hidden(torch.cat(pooled, 1))))

  layout = torch.channels_last
  x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
  x = x.contiguous(memory_format=layout)

  def made():
    # eval: statistics are frozen in training, too.
    return Network().eval().to(memory_format=layout)

  def stepper(frozen):
    network = made()
    if frozen:
      trunk = network.trunk
      for part in (trunk.conv_stem, trunk.bn1, *trunk.blocks[:3]):
        part.requires_grad_(False)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, 1e-4)

    def call():
      optimizer.zero_grad(set_to_none=True)
      network(x).square().mean().backward()
      optimizer.step()

    return call

  network = made()

  def forward():
    with torch.no_grad():
      network(x)

  return {
    "torch, forward": forward,
    "torch, step, all layers": stepper(False),
    "torch, step, blocks 0 to 4 frozen": stepper(True),
  }


def main():
  """Prints and writes the table."""
  args = harness.parser(__doc__, rounds=9).parse_args()
  batch, side = (2, 32) if args.quick else (32, 128)
  rng = np.random.default_rng(0)
  images = rng.random((batch, side, side, 3), np.float32)
  candidates, note = _ours(images), ""
  try:
    candidates |= _torch(images)
  except ImportError as error:
    note = f"Left out: {error}"
  seconds = 0.02 if args.quick else 0.3
  rows = harness.interleave(candidates, args.rounds, seconds)
  lines = []
  for name, timing in rows.items():
    theirs = rows.get(f"torch, {name}")
    whole = rows.get("torch, step, all layers")
    lines.append(
      (
        name,
        f"{1e3 * timing.median / batch:.2f}",
        harness.ratio(timing, theirs) if theirs else "",
        harness.ratio(timing, whole) if theirs else "",
        f"{timing.quiet}/{timing.rounds}",
      )
    )
  head = (
    *("candidate", "ms an image", "of torch's time for the same"),
    *("of torch's step with all layers", "quiet windows"),
  )
  harness.publish(
    [
      "# EfficientNet-Lite0 on CPU, beside torch",
      f"`python experiments/benchmarks/photos.py --rounds {args.rounds}`;"
      f" {harness.machine()}; {harness.versions('jax', 'torch', 'timm')}."
      f" {side} px, batch {batch}, float32; a ratio below 1 is faster than"
      " torch.",
      harness.markdown(head, lines),
      harness.contended(rows),
      note,
    ],
    args.out,
  )


if __name__ == "__main__":
  main()
