r"""Trains what reads which way up letters are, and tells how well it reads.

python experiments/letters.py --workdir runs/letters
python experiments/letters.py --workdir runs/letters \
  --out rotjax/prediction/letters.npz

Pages are drawn as configs/documents.py has them, but with the pixels of a scan,
turned by chance and set level by their lines. Their parts, see
rotjax/prediction/letters.py, are kept in the work folder; the same command goes
on where it was stopped. Every tenth page is held out. The second command writes
the network that comes with rotjax, with --fonts of a folder that holds, beside
matplotlib's, those of Debian's packages culmus, fonts-freefont-ttf,
fonts-liberation and, of fonts-noto-core, Noto Sans and Serif, regular and bold,
for Latin, Hebrew, Devanagari, Thai, Georgian and Armenian.
"""

from collections.abc import Sequence
import functools
import pathlib
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import tqdm

from rotjax import cli
from rotjax.cli import environment
from rotjax.data import content

PAGES, STEPS = 3000, 2000
SIDE = 900  # of a page, pixels
# Channels of the convolutions, their kernels' sizes, hidden units.
WIDTHS, KERNELS, HIDDEN = (16, 32, 48), (5, 3, 3), 32
BATCH, RATE, DECAY = 48, 2e-3, 0.01
# How faint the ink of a part is in training, at least.
FAINT = 0.6
_BLOCK = 100
_HELD_OUT = 10
# Of the running means of the differences' sizes.
_MEMORY = 0.98


class Page(NamedTuple):
  """A rendered page.

  Attributes:
    script: its name.
    squares: uint8 `[P, S, S]`, its parts, upright.
  """

  script: str
  squares: np.ndarray


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

  rng = np.random.default_rng([5, number])
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
  return Page(face.script, letters.squares(parts)) if parts else None


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
      arrays = {f"{n}_{p.script}": p.squares for n, p in enumerate(made) if p}
      np.savez(file.with_suffix(".part.npz"), **arrays)
      file.with_suffix(".part.npz").replace(file)
    block: list[Page | None] = [None] * _BLOCK
    with np.load(file) as stored:
      for name in stored.files:
        number, _, script = name.partition("_")
        block[int(number)] = Page(script, stored[name])
    every += block
  return every[:count]


def first_network() -> Any:
  """Random weights, in the usual sizes."""
  from rotjax.prediction import letters

  rng, sizes = np.random.default_rng(0), (1, *WIDTHS)
  kernels = tuple(
    rng.normal(0, (2 / (k * k * before)) ** 0.5, (k, k, before, after))
    for k, before, after in zip(KERNELS, sizes, WIDTHS)
  )
  return letters.Network(
    kernels=kernels,
    biases=tuple(np.zeros(width) for width in WIDTHS),
    scale=np.ones(WIDTHS[-1]),
    weight=rng.normal(0, WIDTHS[-1] ** -0.5, (WIDTHS[-1], HIDDEN)),
    bias=np.zeros(HIDDEN),
    out=rng.normal(0, 0.1, HIDDEN),
    gain=np.ones(()),
  )


def train(given: Sequence[Page], steps: int = STEPS) -> Any:
  """The network of least log loss on the parts of pages, each by itself."""
  import jax
  import jax.numpy as jnp
  import optax

  from rotjax.prediction import letters

  squares = np.concatenate([p.squares for p in given])
  rule = optax.adamw(
    optax.warmup_cosine_decay_schedule(0.0, RATE, min(50, steps // 2), steps),
    weight_decay=DECAY,
  )

  def loss(network, ink):
    found = network.differences(ink)
    # As batch normalisation does: the network's own units of each.
    size = jax.lax.stop_gradient(jnp.sqrt((found**2).mean(0) + 1e-8))
    # Upside down the log odds are the negative: one side is enough.
    log_odds = network.weighed(found / size[None])
    return jnp.logaddexp(0.0, -log_odds).mean(), size

  @jax.jit
  def step(network, state, ink):
    (value, size), gradient = jax.value_and_grad(loss, has_aux=True)(
      network, ink
    )
    updates, state = rule.update(gradient, state, network)
    return optax.apply_updates(network, updates), state, size, value

  network = jax.tree.map(lambda x: jnp.asarray(x, "f4"), first_network())
  state, rng, scale, losses = (
    rule.init(network),
    np.random.default_rng(0),
    0,
    [],
  )
  for n in tqdm.trange(steps, unit="step", disable=None):
    ink = letters.inked(squares[rng.integers(0, len(squares), BATCH)])
    top, left = rng.integers(0, letters.SIDE - letters.CROP + 1, 2)
    ink = ink[:, top : top + letters.CROP, left : left + letters.CROP]
    ink *= np.float32(rng.uniform(FAINT, 1, (BATCH, 1, 1)))
    network, state, size, value = step(network, state, ink)
    kept = min(_MEMORY, n / (n + 1))
    scale = kept * scale + (1 - kept) * size
    losses.append(float(value))
    if n % 200 == 199:
      print(f"step {n + 1}: {np.mean(losses[-200:]):.3f} nats", flush=True)
  network = network._replace(scale=scale, gain=jnp.ones(()))
  return jax.tree.map(np.asarray, network)


def odds(network: Any, given: Sequence[Page]) -> np.ndarray:
  """The mean log odds of each page's parts, without gain."""
  from rotjax.prediction import letters

  counts, middle = np.cumsum([len(p.squares) for p in given]), letters.MIDDLE
  squares = np.concatenate([p.squares for p in given])
  each = [
    np.asarray(network.log_odds(letters.inked(some)[:, middle, middle]))
    for some in np.split(squares, range(BATCH, len(squares), BATCH))
  ]
  parts = np.split(np.concatenate(each), counts[:-1])
  return np.array([part.mean() for part in parts])


def with_gain(network: Any, held_out: Sequence[Page]) -> Any:
  """The network with the gain that makes held-out pages most likely."""
  own = odds(network, held_out)
  gains = np.geomspace(0.2, 5, 65)
  losses = [np.logaddexp(0, -gain * own).mean() for gain in gains]
  return network._replace(gain=gains[np.argmin(losses)])


def report(network: Any, held_out: Sequence[Page]) -> str:
  """A line a script: how many of its pages come out the right way up."""
  every = network.gain * odds(network, held_out)
  scripts = np.array([p.script for p in held_out])
  text = [f"{'script':12s} pages right  nats"]
  for name in (*sorted(set(scripts)), "all"):
    own = every[(scripts == name) | (name == "all")]
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
  p.add_argument("--steps", type=int, default=STEPS, metavar="N")
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
  network = with_gain(train(given, args.steps), held_out)
  print(report(network, held_out))
  if args.out:
    from rotjax.prediction import letters

    letters.save(network, pathlib.Path(args.out))
  return 0


if __name__ == "__main__":
  cli.run(main)
