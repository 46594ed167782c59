"""A finished run -> a ready model, in one go."""

import os
import pathlib
import shutil
from typing import Any

from rotjax import errors, files
from rotjax.config import resolve
from rotjax.prediction import predictor
from rotjax.run import finished, layout, ready, summary

# Of a run's summary: its results, and what they mean.
_KEPT = (
  *("config_name", "seed", "step", "parameters", "versions", "protocol"),
  *("leaks", "test", "test_interval", "test_other_warp"),
)
_NO_NOTES = """\
{data}

Nothing was said about the licences of what it was trained on, nor about where
it fails: ask whoever made it.
"""
_CARD = """\
# {name}

{notes}

## How good it is

On its own test set, as `python -m rotjax.main --mode eval` prints it for the
run that it was made of; 32-bit numbers there, 16-bit ones here:

```
{table}
```

- Data: {data}
- Test: {images} images at {angles} angles each, {view}.
- Trained on {trained}. Of pictures turned otherwise an answer means nothing.
{leaks}
## How it was made

{parameters:,} parameters, {steps} steps of {batch} images, seed {seed}, rotjax
{rotjax}, jax {jax}. In this folder,

    {command}

trains it anew, and `python -m rotjax.export --format ready` makes this folder
of the result.
"""


def write(
  workdir: pathlib.Path,
  out: pathlib.Path,
  notes: pathlib.Path | None = None,
  notice: pathlib.Path | None = None,
  overwrite: bool = False,
) -> None:
  """Makes a ready model of a finished run.

  Args:
    workdir: of one seed.
    out: the folder, named as the model is to be called.
    notes: a text in Markdown, for the card: what it is for in the first
      paragraph, then what it was trained on, under which licences, and where
      it fails.
    notice: the terms of use, where they are not the code's.
    overwrite: replaces a ready model that is there.

  Raises:
    UserError: no finished run, a text that cannot be read, a folder that is
      there or cannot be written.
  """
  run = finished.open_run(workdir)
  texts = {
    name: _read(path)
    for name, path in ((ready.CARD, notes), (ready.NOTICE, notice))
    if path is not None
  }
  texts[ready.CARD] = card(run, out.name, texts.get(ready.CARD))
  state = run.best(run.experiment())
  _check_free(out, overwrite)
  new = files.part(out)
  try:
    new.mkdir()
    config = resolve.apply(run.config, dict.fromkeys(_places(run.config), ""))
    files.write(new / layout.CONFIG, resolve.to_json(config))
    stored = summary.read(run.path)
    kept = {key: stored[key] for key in _KEPT if key in stored}
    files.write_json(new / layout.SUMMARY, kept)
    files.write_json(new / layout.CALIBRATION, run.calibration.to_dict())
    ready.save_weights(new / ready.WEIGHTS, state)
    for name, text in texts.items():
      files.write(new / name, text)
    ready.write_digest(new)
    if out.exists():
      shutil.rmtree(out)
    new.rename(out)
  except OSError as error:
    raise errors.UserError(f"{out} cannot be written: {error}") from None
  finally:
    shutil.rmtree(new, ignore_errors=True)


def _places(config: Any) -> list[str]:
  """The fields that name a folder or a file of whoever trained it."""
  return [
    key
    for key, value in resolve.flatten(config).items()
    if isinstance(value, str) and os.path.isabs(value)
  ]


def _read(path: pathlib.Path) -> str:
  try:
    text = path.read_text("utf-8")
  except (OSError, UnicodeDecodeError) as error:
    raise errors.UserError(f"{path} cannot be read: {error}") from None
  if not text.strip():
    raise errors.UserError(f"{path} is empty")
  return text


def _check_free(out: pathlib.Path, overwrite: bool) -> None:
  if not out.exists():
    return
  if not overwrite:
    raise errors.UserError(
      f"{out} exists already: choose another --out, or --overwrite it"
    )
  known = {*ready.FILES, ready.NOTICE, ready.DIGEST}
  if not (out.is_dir() and {path.name for path in out.iterdir()} <= known):
    raise errors.UserError(
      f"{out} is not a ready model alone, and is not overwritten: choose"
      " another --out"
    )


def card(run: finished.FinishedRun, name: str, notes: str | None) -> str:
  """The text of card.md, its table from the run's own summary.

  Raises:
    UserError: the summary cannot be read.
  """
  stored, config = summary.read(run.path), run.config
  protocol, versions = stored["protocol"], stored["versions"]
  spec, _ = predictor.describe_run(run.path)
  command = f"python -m rotjax.main --config {layout.CONFIG}"
  command += "".join(f" --config.{key}=YOURS" for key in _places(config))
  leaks = "".join(f"- A leaking view: {leak}\n" for leak in stored["leaks"])
  return _CARD.format(
    name=name,
    notes=(notes or _NO_NOTES.format(data=protocol["data"])).strip(),
    table=summary.table(stored),
    data=protocol["data"],
    images=protocol["test_images"],
    angles=protocol["angles_per_image"],
    view=protocol["view"],
    trained=spec.trained,
    leaks=leaks,
    parameters=stored["parameters"],
    steps=config.num_steps,
    batch=config.batch_size,
    seed=stored["seed"],
    rotjax=versions["rotjax"],
    jax=versions["jax"],
    command=command,
  )
