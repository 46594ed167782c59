r"""Pages of text, from rendered pages: a density that may have several modes.

python -m rotjax.main --config configs/documents.py
python -m rotjax.main --config configs/documents.py:deskew

The pages are drawn at first use, in ten minutes, from matplotlib's fonts or,
with --config.data.fonts=DIR, a folder's. `deskew` asks for angles within 15
degrees of upright. It tells how the lines lie, and guesses which way is up: a
density of one mode would lie on a plateau meanwhile. `python -m rotjax.predict`
then reads lines and letters.

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
      "view.radius_range": (0.35, 1.0),
      "model.widths": (16, 32, 64, 128, 128),
      "model.kernels": (5, 3, 3, 3, 3),
      "model.norm": "batch",
      "model.pool": "mean",
      **{"head.name": "fourier", "head.decode": "mode"},
      "head.num_frequencies": 16,
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
