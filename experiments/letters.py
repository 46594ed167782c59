r"""Trains what reads which way up letters are, and tells how well it reads.

python experiments/letters.py --workdir runs/letters
python experiments/letters.py --workdir runs/letters \
  --out rotjax/prediction/letters.npz

Pages are drawn as configs/documents.py has them, but with the pixels of a scan,
turned by chance and set level by their lines. Their statistics, see
rotjax/prediction/letters.py, are kept in the work folder; the same command goes
on where it was stopped. Every tenth page is held out. The second command writes
the network that comes with rotjax, with --fonts of a folder that holds, beside
matplotlib's, those of Debian's packages culmus, fonts-freefont-ttf,
fonts-liberation and, of fonts-noto-core, Noto Sans and Serif, regular and bold,
for Latin, Hebrew, Devanagari, Thai, Georgian and Armenian.
"""

from collections.abc import Mapping, Sequence
import functools
import pathlib
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import tqdm

from rotjax import cli
from rotjax.cli import environment
from rotjax.data import content

PAGES = 2000
SIDE = 900  # of a page, pixels
HIDDEN, STEPS, BATCH = 32, 4000, 64
RATE, DECAY, DROPOUT = 3e-3, 1.0, 0.3
_BLOCK = 100
_HELD_OUT = 10


class Page(NamedTuple):
  """A rendered page.

  Attributes:
    script: its name.
    statistics: `[P, F]` of its parts, upright.
  """

  script: str
  statistics: np.ndarray


@functools.cache
def _faces(folder: str) -> Any:
  from rotjax.data.ingest import fonts

  return fonts.find(folder)


def page(number: int, folder: str = "") -> Page | None:
  """The page of a number; None where no lines are found in it.

  Args:
    number: of the page.
    folder: of fonts, see `fonts.find`.
  """
  from rotjax.data.ingest import fonts, page_layout, page_wear
  from rotjax.prediction import letters, lines

  rng = np.random.default_rng([3, number])
  faces = _faces(folder)
  face = fonts.choose(rng, faces)
  same = tuple(f for f in faces if f.script == face.script)
  drawn = page_wear.worn(rng, page_layout.page(rng, same, SIDE), 2)
  turn = float(rng.uniform(-180, 180))
  seen = lines.small(
    drawn.rotate(turn, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255)
  )
  found = lines.refine(seen, turn + float(rng.uniform(-1, 1)), 3.0)
  parts = [] if found.reason else letters.parts(seen, found.angle_deg)
  return Page(face.script, letters.statistics(parts)) if parts else None


def pages(
  folder: pathlib.Path, count: int, given_fonts: str = ""
) -> list[Page | None]:
  """So many pages, in blocks that are kept in a folder."""
  every: list[Page | None] = []
  for start in tqdm.trange(0, count, _BLOCK, unit="block", disable=None):
    file = folder / f"pages-{start}.npz"
    if not file.exists():
      numbers = range(start, start + _BLOCK)
      made = [page(number, given_fonts) for number in numbers]
      arrays = {
        f"{n}_{p.script}": p.statistics for n, p in enumerate(made) if p
      }
      np.savez(file.with_suffix(".part.npz"), **arrays)
      file.with_suffix(".part.npz").replace(file)
    block: list[Page | None] = [None] * _BLOCK
    with np.load(file) as stored:
      for name in stored.files:
        number, _, script = name.partition("_")
        block[int(number)] = Page(script, stored[name])
    every += block
  return every[:count]


def train(given: Sequence[Page]) -> Any:
  """The network of least log loss on pages, each seen by some of its parts."""
  import jax
  import jax.numpy as jnp
  import optax

  from rotjax.prediction import letters

  scale = np.concatenate([p.statistics for p in given]).std(0) + 1e-6
  seen = [letters.squashed(p.statistics, scale) for p in given]
  count, rng = len(scale), np.random.default_rng(0)
  first = {
    "linear": np.zeros(count),
    "weight": rng.normal(0, count**-0.5, (count, HIDDEN)),
    "bias": np.zeros(HIDDEN),
    "out": rng.normal(0, 0.1, HIDDEN),
  }
  params = {name: jnp.asarray(x, jnp.float32) for name, x in first.items()}
  rule = optax.adamw(
    optax.cosine_decay_schedule(RATE, STEPS), weight_decay=DECAY
  )

  def loss(params, mean):
    log_odds = letters.Network(scale, **params).log_odds(mean)
    # Upside down they are the negative: one side is enough.
    return jnp.logaddexp(0.0, -log_odds).mean()

  @jax.jit
  def step(params, state, mean):
    updates, state = rule.update(jax.grad(loss)(params, mean), state, params)
    return optax.apply_updates(params, updates), state

  state = rule.init(params)
  for _ in range(STEPS):
    batch = []
    for i in rng.integers(0, len(seen), BATCH):
      some = rng.permutation(len(seen[i]))[: rng.integers(1, len(seen[i]) + 1)]
      batch.append(seen[i][some].mean(0))
    kept = rng.random((BATCH, count)) >= DROPOUT
    mean = np.float32(np.stack(batch) * kept / (1 - DROPOUT))
    params, state = step(params, state, mean)
  trained: Mapping[str, Any] = jax.tree.map(np.asarray, params)
  return letters.Network(scale=np.float32(scale), **trained)


def report(network: Any, held_out: Sequence[Page]) -> str:
  """A line a script: how many of its pages come out the right way up."""
  from rotjax.prediction import letters

  means = [
    letters.squashed(p.statistics, network.scale).mean(0) for p in held_out
  ]
  odds = np.asarray(network.log_odds(np.stack(means)))
  scripts = np.array([p.script for p in held_out])
  text = [f"{'script':12s} pages right  nats"]
  for name in (*sorted(set(scripts)), "all"):
    own = odds[(scripts == name) | (name == "all")]
    nats = np.logaddexp(0, -own).mean()
    text.append(f"{name:12s} {len(own):5d} {np.mean(own > 0):5.1%} {nats:5.3f}")
  return "\n".join(text)


def main(argv: Sequence[str]) -> int:
  """Draws what is not there yet, trains, tells; writes the network."""
  p = cli.parser(
    "experiments/letters.py",
    "Train what reads which way up the letters of a page are.",
    "  python experiments/letters.py --workdir runs/letters",
  )
  p.add_argument("--workdir", required=True, metavar="DIR")
  p.add_argument("--out", metavar="F.npz", help="for the network")
  p.add_argument("--pages", type=int, default=PAGES, metavar="N")
  p.add_argument(
    "--fonts",
    default="",
    metavar="DIR",
    help="a folder of fonts; those of matplotlib if not",
  )
  cli.add_common_flags(p)
  args = p.parse_args(argv)
  environment.use_compile_cache(not args.no_compile_cache)
  names = sorted(pathlib.Path(face.path).name for face in _faces(args.fonts))
  # Pages of other fonts are other pages.
  folder = pathlib.Path(args.workdir) / content.digest(names)
  folder.mkdir(parents=True, exist_ok=True)
  every = pages(folder, args.pages, args.fonts)
  given, held_out = (
    [p for n, p in enumerate(every) if p and (n % _HELD_OUT == 0) == held]
    for held in (False, True)
  )
  network = train(given)
  print(report(network, held_out))
  if args.out:
    np.savez(args.out, **network._asdict())
  return 0


if __name__ == "__main__":
  cli.run(main)
