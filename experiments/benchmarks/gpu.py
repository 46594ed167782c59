r"""The accelerator: what the warp, the seeds and the scan cost there.

    python experiments/benchmarks/gpu.py --out \
      experiments/results/accelerator.md

One call, at most eight minutes (sections that no longer fit are named), and
nothing needed but jax, flax, optax, numpy, ml_collections and rotjax; torch is
compared with where it is installed and sees the device. Random pictures. Exit
status 2 where there is no accelerator.
"""

from collections.abc import Callable, Sequence
import sys
import time

import harness
import jax
import jax.numpy as jnp
import programs

from rotjax.image import warp
from rotjax.run import experiment as experiment_lib

# No section is begun after so many seconds: the last one compiles for minutes.
LAST_START = 240


def _ready(function, *arguments):
  compiled = jax.jit(function)
  return lambda: jax.block_until_ready(compiled(*arguments))


def _sizes(quick):
  """Batch, side of small pictures, steps of a call, ResNet's side, batch."""
  return (4, 12, 2, 16, 2) if quick else (128, 28, 50, 224, 64)


def _time(candidates, args):
  return harness.interleave(candidates, args.rounds, 0.02 if args.quick else 1)


def copies_and_warps(args) -> str:
  """Bytes a second of the warp as a share of a plain copy's."""
  copied = 2**12 if args.quick else 2**28
  source = jnp.zeros(copied, jnp.float32)
  candidates = {"x + 1": _ready(lambda x: x + 1, source)}
  work = {"x + 1": 8 * copied}
  shapes = (
    ((4, 12, 1),)
    if args.quick
    else ((8192, 28, 1), (2048, 64, 3), (256, 224, 3))
  )
  for count, size, channels in shapes:
    images = jnp.asarray(programs.pictures(count, size, channels))
    degrees = jnp.linspace(0.0, 359.0, count)
    name = f"warp {size}x{size}x{channels} B{count}, uint8 to float32"
    candidates[name] = _ready(jax.vmap(warp.rotate), images, degrees)
    work[name] = 5 * images.size  # each byte is read and four are written
  rows = _time(candidates, args)
  rate = {name: work[name] / t.median for name, t in rows.items()}
  return "## Bandwidth\n\n" + harness.markdown(
    ("candidate", "ms", "GB/s", "share of the copy"),
    [
      (
        name,
        f"{1e3 * t.median:.3f}",
        f"{rate[name] / 1e9:.1f}",
        f"{rate[name] / rate['x + 1']:.1%}",
      )
      for name, t in rows.items()
    ],
  )


def _step_lines(rows, steps, images, base):
  return [
    (
      name,
      f"{1e3 * t.median / steps[name]:.3f}",
      f"{images[name] / t.median:,.0f}",
      harness.ratio(rows[base], t),
    )
    for name, t in rows.items()
  ]


def small_network(args) -> str:
  """The classic network's step: warp's share, scan, bf16, seeds, torch."""
  batch, size, steps, _, _ = _sizes(args.quick)
  images = programs.pictures(64 if args.quick else 5000, size)
  built, half = (
    experiment_lib.Experiment.bound_to(
      programs.classic(view__size=size, batch_size=batch, dtype=dtype),
      images.shape[1:],
    )
    for dtype in ("float32", "bfloat16")
  )
  still = programs.without_warp(built)
  candidates = {
    "rotjax": programs.stepper(built, images, steps=steps),
    "rotjax, no warp": programs.stepper(still, images, steps=steps),
    "rotjax, scan": programs.stepper(
      built, images, steps=steps, steps_per_call=steps
    ),
    "rotjax, scan, no warp": programs.stepper(
      still, images, steps=steps, steps_per_call=steps
    ),
    "rotjax, scan, bfloat16": programs.stepper(
      half, images, steps=steps, steps_per_call=steps
    ),
  }
  count = 2 if args.quick else 16
  seeds = f"rotjax, scan, {count} seeds"
  candidates[seeds] = programs.stepper(
    built, images, steps=steps, steps_per_call=steps, num_seeds=count
  )
  theirs, note = _torch(images, batch, steps, args)
  candidates |= theirs
  rows = _time(candidates, args)
  work = {name: steps * batch for name in rows}
  work[seeds] *= count
  table = harness.markdown(
    ("candidate", "ms a step", "images/s", "rotjax's time over its"),
    _step_lines(rows, dict.fromkeys(rows, steps), work, "rotjax"),
  )
  sentences = [
    _share(rows, "rotjax", "rotjax, no warp"),
    _share(rows, "rotjax, scan", "rotjax, scan, no warp"),
    f"{count} seeds take {harness.ratio(rows[seeds], rows['rotjax, scan'])}"
    " one seed's time.",
    *(
      f"{name} takes {harness.ratio(rows[name], rows['rotjax'])} rotjax's time,"
      f" {harness.ratio(rows[name], rows['rotjax, scan'])} with the scan."
      for name in theirs
    ),
    note,
  ]
  title = f"## Classic network, {size} px, batch {batch}"
  return "\n\n".join([title, table, *filter(None, sentences)])


def _share(rows, with_warp, without):
  ratio = harness.ratio(rows[without], rows[with_warp])
  low, share, high = (
    f"{1 - r:.1%}" for r in (ratio.high, ratio.median, ratio.low)
  )
  return (
    f"The warp's share of the step of `{with_warp}`: {share} ({low}..{high})."
  )


def _torch(images, batch, steps, args):
  """Candidates, and why there are none."""
  try:
    import peers_torch
    import torch
  except ImportError:
    return {}, "torch is not installed: not compared."
  device = "cpu" if args.allow_cpu else "cuda"
  if device == "cuda" and not torch.cuda.is_available():
    return {}, "torch does not see the device: not compared."
  return {
    f"torch eager{', channels_last' * last}": peers_torch.stepper(
      images, batch, channels_last=last, device=device, steps=steps
    )
    for last in (False, True)
  }, ""


def resnet(args) -> str:
  """ResNet-50 at 224 pixels: the warp's share, bf16."""
  _, _, _, size, batch = _sizes(args.quick)
  images = programs.pictures(8 if args.quick else 256, size, 3)
  # One block is enough to see that it runs.
  depth = {"model__stages": (1,)} if args.quick else {}
  single, half = (
    experiment_lib.Experiment.bound_to(
      programs.classic(
        model__name="resnet50",
        view__size=size,
        batch_size=batch,
        dtype=dtype,
        **depth,
      ),
      images.shape[1:],
    )
    for dtype in ("float32", "bfloat16")
  )
  steps = 1 if args.quick else 5
  candidates = {
    "float32": programs.stepper(single, images, steps=steps),
    "bfloat16": programs.stepper(half, images, steps=steps),
    "bfloat16, no warp": programs.stepper(
      programs.without_warp(half), images, steps=steps
    ),
  }
  candidates["the views alone"] = programs.view_only(half, images)
  rows = _time(candidates, args)
  count = {n: steps for n in rows} | {"the views alone": 1}
  work = {n: count[n] * batch for n in rows}
  table = harness.markdown(
    ("candidate", "ms a step", "images/s", "float32's time over its"),
    [
      (
        *line[:3],
        harness.ratio(
          rows["float32"].scaled(count[line[0]] / steps), rows[line[0]]
        ),
      )
      for line in _step_lines(rows, count, work, "float32")
    ],
  )
  alone = rows["the views alone"].scaled(steps)
  title = f"## ResNet-50, {size} px, batch {batch}, group normalisation"
  return "\n\n".join(
    [
      title,
      table,
      _share(rows, "bfloat16", "bfloat16, no warp"),
      "The views alone, one launch and wait each, over the step in float32:"
      f" {harness.ratio(alone, rows['float32']).median:.2%}.",
    ]
  )


def report(args, sections: Sequence[Callable]) -> list[str]:
  """The page's paragraphs; sections that would start too late are named."""
  start = time.perf_counter()
  device = jax.devices()[0]
  text = [
    "# Accelerator",
    f"`python experiments/benchmarks/gpu.py --rounds {args.rounds}`;"
    f" {device.device_kind} ({device.platform}), one of {len(jax.devices())};"
    " float32 at each library's default precision (TF32 where it takes it);"
    f" {harness.machine()};"
    f" {harness.versions('jax', 'flax', 'optax', 'numpy', 'torch')}.",
  ]
  for section in sections:
    if time.perf_counter() - start > LAST_START:
      text.append(f"Left out for want of time: {section.__name__}.")
      continue
    text.append(section(args))
    print(text[-1], flush=True)
  text.append(f"{time.perf_counter() - start:.0f} s in all.")
  return text


def main() -> int:
  """Prints and writes the page; 2 where there is no accelerator."""
  p = harness.parser(__doc__, rounds=7)
  p.add_argument(
    "--allow_cpu", action="store_true", help="with --quick: try the program"
  )
  args = p.parse_args()
  if jax.default_backend() == "cpu" and not (args.allow_cpu and args.quick):
    print(
      "gpu.py: no accelerator here; to try the program: --allow_cpu --quick",
      file=sys.stderr,
    )
    return 2
  harness.publish(
    report(args, (copies_and_warps, small_network, resnet)), args.out
  )
  return 0


if __name__ == "__main__":
  sys.exit(main())
