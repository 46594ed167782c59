r"""Pages of text, from rendered pages: a density that may have several modes.

python -m rotjax.main --config configs/documents.py
python -m rotjax.main --config configs/documents.py:deskew

The pages are drawn at first use, in ten minutes, from the fonts of matplotlib
or, with --config.data.fonts=DIR, of a folder. The variant `deskew` asks for
angles within 15 degrees of upright; `smoke` runs everything once.

A small network, 128 px: it tells how the lines lie, to half a degree, and
guesses which way is up; `python -m rotjax.predict` takes the exact angle from
the lines of the page and reads in its letters which way is up.

Expected: median error .39 degrees, off by a quarter turn never, by a half turn
in 23 % of the views (chance: 50), after 2526 s on two busy CPU cores.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "data.name": "pages",
      "data.side": 288,
      "data.count": 3000,
      "view.size": 128,
      "view.zoom": 0.5,
      "view.fineness": 2.0,
      "view.jitter": 4.0,
      "view.crop": "circle",
      # Pages are seen whole and in parts.
      "view.radius_range": (0.35, 1.0),
      "model.widths": (16, 32, 64, 128, 128),
      "model.kernels": (5, 3, 3, 3, 3),
      "model.norm": "batch",
      # Text is the same all over a page: what is there counts, not where.
      "model.pool": "mean",
      # The direction of the lines is learnt first, which way is up later: a
      # density of one mode would lie on a plateau meanwhile.
      "head.name": "fourier",
      "head.num_frequencies": 16,
      "head.decode": "mode",
      "optim.learning_rate": 3e-3,
      "optim.ema_decay": 0.998,
      "batch_size": 32,
      "num_steps": 12_000,
      "eval.every_steps": 1000,
      "eval.num_angles": 4,
      "eval.warp": "own",
    },
    {
      "deskew": {"angles.range_deg": (-15.0, 15.0)},
      "smoke": {**base.SMOKE, "data.count": 32, "data.held_out": 4},
    },
  )
