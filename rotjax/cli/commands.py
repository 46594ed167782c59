"""The commands and their flags: what a mistyped one likely stands for."""

from collections.abc import Callable, Iterable
import difflib

from rotjax import errors

# `python -m rotjax.NAME` -> what it does.
COMMANDS = {
  "main": "train a config, resume it, or evaluate it",
  "audit": "measure whether a config's view gives the angle away",
  "ablate": "run every arm of a sweep, with its seeds",
  "tables": "make the table of a sweep",
  "report": "put a run or a sweep into one HTML file",
  "predict": "tell how far pictures have been turned, and turn them back",
  "demo": "show a page to try a model on one's own pictures",
  "export": "make a finished run small, to be passed on",
  "data": "prepare a dataset",
}
# Flags that one command alone has.
_FLAGS_OF = {
  "ablate": ("arm", "audit", "dry_run", "launcher", "sweep", "workers"),
  "audit": ("num_sources",),
  "data": ("dir",),
  "demo": ("port",),
  "export": ("notes", "notice"),
  "main": ("mode",),
  "predict": ("contact-sheet", "fit", "json", "upright"),
  "tables": ("columns", "sort"),
}
_WORDS = {
  "main": ("train", "training", "fit", "run", "resume", "eval", "evaluate"),
  "audit": ("leak", "leakage", "probe"),
  "ablate": ("ablation", "sweep", "grid"),
  "tables": ("table",),
  "predict": ("infer", "inference", "upright", "deskew"),
  "data": ("prepare", "download", "dataset"),
  "demo": ("try", "serve", "server", "page"),
  "export": ("onnx",),
}


def unknown_command(name: str) -> errors.UserError:
  """The error for a command that does not exist, with the one meant."""
  words = {word: key for key, values in _WORDS.items() for word in values}
  near = difflib.get_close_matches(name, {**words, **dict.fromkeys(COMMANDS)})
  meant = [words.get(n, n) for n in (name, *near) if n in {**words, **COMMANDS}]
  which = meant[0] if meant else "main"
  return errors.UserError(
    f"there is no command {name!r}: did you mean python -m rotjax.{which}?"
    f" (commands: {', '.join(f'rotjax.{c}' for c in COMMANDS)})"
  )


def unknown_flag(
  flag: str,
  known: Iterable[str],
  command: str,
  meant: Callable[[str], list[str]],
) -> errors.UserError:
  """The error for a flag that a command does not have, with the one meant.

  Args:
    flag: as it was typed, without a value.
    known: the flags that there are.
    command: as it is started.
    meant: a name -> the config fields that it may stand for.
  """
  known = sorted(known)
  name = flag.lstrip("-")
  head, dot, field = name.partition(".")
  near = difflib.get_close_matches(f"--{name}", known, 1, 0.75)
  if dot and "--config" in known:
    hint = f"did you mean --config.{field}?"
  elif near:
    hint = f"did you mean {near[0]}?"
  else:
    hint = _elsewhere(name, known, meant)
  return errors.UserError(f"unknown flag {flag}: {hint} (see {command} --help)")


def _elsewhere(
  name: str, known: list[str], meant: Callable[[str], list[str]]
) -> str:
  """Where what is no flag here belongs: a config field, another command."""
  if fields := meant(name):
    return f"did you mean --config.{fields[0]}?"
  for command, flags in _FLAGS_OF.items():
    if name in flags:
      return f"that is a flag of python -m rotjax.{command}"
  return f"there are {', '.join(known)}"
