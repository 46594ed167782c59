r"""The forum post that began it: why do predictions sit on multiples of 45?

python -m rotjax.main --config configs/forum.py

Threes on a 20-degree grid, the Keras MNIST network, two tanh outputs, cosine
proximity, Adadelta 1.0, pixels left at 0..255. The tanh saturates and the
predictions collapse. `:scaled` divides the pixels by 255, `:linear` drops the
tanh; either one alone cures it.

Expected, seed 0: 99.4% of the predictions within 3 degrees of a
multiple of 45, eighth moment 0.995 above the labels', error 29.4 degrees, in
275 s on 2 x86 cores that also did other work; `:scaled` 7.27 degrees, `:linear`
7.49, neither with a moment or a share above chance.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "num_steps": 400,
      "model.name": "keras_mnist",
      "head.name": "vector",
      "head.activation": "tanh",
      "head.loss": "cosine",
      "optim.name": "adadelta",
      "angles.distribution": "grid",
      "angles.step_deg": 20.0,
      "angles.range_deg": (0.0, 360.0),
      "view.center": "canvas",
      "view.jitter": 0.0,
      "view.mask": "none",
      "view.fineness": 0.0,
      "view.pixel_range": "raw",
      "eval.every_steps": 100,
    },
    {
      "scaled": {"view.pixel_range": "unit"},
      "linear": {"head.activation": "linear"},
    },
  )
