r"""Pages of text at 128 px, from rendered pages: a von Mises density.

python -m rotjax.main --config configs/documents.py
python -m rotjax.main --config configs/documents.py:deskew

The pages are drawn at first use, in two minutes, from the fonts of matplotlib
or, with --config.data.fonts=DIR, of a folder. The variant `deskew` asks for
angles within 15 degrees of upright; `smoke` runs everything once.
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
      "model.widths": (24, 48, 96, 128),
      "model.kernels": (5, 3, 3, 3),
      "model.norm": "group",
      "batch_size": 64,
      "num_steps": 12_000,
      # On the full circle a higher rate stays on a plateau.
      "optim.learning_rate": 5e-4,
      "optim.ema_decay": 0.998,
      "eval.every_steps": 1000,
      "eval.num_angles": 12,
    },
    {
      "deskew": {"angles.range_deg": (-15.0, 15.0), "num_steps": 4000},
      "smoke": {**base.SMOKE, "data.count": 32, "data.held_out": 4},
    },
  )
