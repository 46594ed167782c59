"""2-D convolution, formulated for the backend that runs it.

XLA's CPU backend runs `lax.conv` on one thread in places and turns a vmapped
one into a slow grouped convolution; patches times a matrix is 1.4 to 2 times
faster there and equal to rounding. Accelerators get `lax.conv`. The choice is
made inside the compiled program, so an exported program stays portable.
"""

import functools

import jax
from jax import lax
import jax.numpy as jnp


def lax_conv2d(
  x: jax.Array, kernel: jax.Array, stride: int = 1, padding: str = "SAME"
) -> jax.Array:
  """`conv2d` by XLA's own convolution, on every backend."""
  return lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


def _patches(x, kernel_size, stride, padding):
  """`[N, H, W, C]` -> `[N, H', W', kh * kw * C]`, one copy per tap."""
  pads = lax.padtype_to_pads(
    x.shape[1:3], kernel_size, (stride, stride), padding
  )
  x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
  rows, columns = (
    (side - k) // stride * stride + 1
    for side, k in zip(x.shape[1:3], kernel_size)
  )
  return jnp.concatenate(
    [
      x[:, i : i + rows : stride, j : j + columns : stride, :]
      for i in range(kernel_size[0])
      for j in range(kernel_size[1])
    ],
    axis=-1,
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _patches_conv(x, kernel, stride, padding):
  patches = _patches(x, kernel.shape[:2], stride, padding)
  flat = patches.reshape(-1, patches.shape[-1])
  out = flat @ kernel.reshape(-1, kernel.shape[-1])
  return out.reshape(*patches.shape[:3], kernel.shape[-1])


def _patches_conv_fwd(x, kernel, stride, padding):
  return _patches_conv(x, kernel, stride, padding), (x, kernel)


def _patches_conv_bwd(stride, padding, residuals, g):
  # Autodiff would keep the patches, nine copies of the input, for the
  # kernel's gradient; building them again is cheaper than the memory traffic.
  x, kernel = residuals
  patches = _patches(x, kernel.shape[:2], stride, padding)
  kernel_bar = jnp.einsum(
    "no,np->po",
    g.reshape(-1, g.shape[-1]),
    patches.reshape(-1, patches.shape[-1]),
  )
  patches_bar = g @ kernel.reshape(-1, kernel.shape[-1]).T
  (x_bar,) = jax.linear_transpose(
    lambda x: _patches(x, kernel.shape[:2], stride, padding), x
  )(patches_bar)
  return x_bar, kernel_bar.reshape(kernel.shape)


_patches_conv.defvjp(_patches_conv_fwd, _patches_conv_bwd)


def conv2d(
  x: jax.Array, kernel: jax.Array, stride: int = 1, padding: str = "SAME"
) -> jax.Array:
  """Cross-correlates a batch of images with a kernel.

  Args:
    x: `[N, H, W, C]`.
    kernel: `[kh, kw, C, K]`, of the same dtype.
    stride: of both axes.
    padding: "SAME" or "VALID".

  Returns:
    `[N, H', W', K]`.
  """
  return lax.platform_dependent(
    x,
    kernel,
    cpu=lambda x, kernel: _patches_conv(x, kernel, stride, padding),
    default=lambda x, kernel: lax_conv2d(x, kernel, stride, padding),
  )
