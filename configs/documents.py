r"""Pages of text, from rendered pages: a density that may have several modes.

python -m rotjax.main --config configs/documents.py
python -m rotjax.main --config configs/documents.py:deskew

The pages are drawn at first use, in two minutes, from the fonts of matplotlib
or, with --config.data.fonts=DIR, of a folder. The variant `deskew` asks for
angles within 15 degrees of upright; `smoke` runs everything once.

A small network, 128 px: it tells which way is up and the rough angle; the exact
one is in the lines of a page (`python -m rotjax.predict`, `--refine lines`).
What the network reaches after all its steps has not been measured yet.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "data.name": "pages",
      "view.size": 128,
      "view.jitter": 4.0,
      "view.crop": "circle",
      "model.widths": (8, 16, 32, 64, 128),
      "model.kernels": (5, 3, 3, 3, 3),
      # Text is the same all over a page: what is there counts, not where.
      "model.pool": "mean",
      # The direction of the lines is learnt first, which way is up later: a
      # density of one mode would lie on a plateau meanwhile.
      "head.name": "fourier",
      "head.num_frequencies": 16,
      "head.decode": "mode",
      "optim.ema_decay": 0.998,
      "batch_size": 32,
      "num_steps": 8000,
      "eval.every_steps": 1000,
      "eval.num_angles": 4,
      "eval.warp": "own",
    },
    {
      "deskew": {"angles.range_deg": (-15.0, 15.0)},
      "smoke": {**base.SMOKE, "data.count": 32, "data.held_out": 4},
    },
  )
