"""What a mistyped field, flag or command is told that it stands for."""

import pathlib
import re
import subprocess
import sys

import pytest

from rotjax import (
  __main__,
  ablate,
  audit,
  errors,
  export,
  main,
  predict,
  report,
  tables,
)
from rotjax.cli import commands
from rotjax.config import base, resolve

ROOT = pathlib.Path(__file__).parents[2]
MODULES = {
  **{"ablate": ablate, "audit": audit, "export": export, "main": main},
  **{"predict": predict, "report": report, "tables": tables},
}


def _line(call, *args):
  with pytest.raises(errors.UserError) as caught:
    call(*args)
  assert "\n" not in str(caught.value)
  return str(caught.value)


@pytest.mark.parametrize(
  "key,meant",
  [
    ("optim.lr", "optim.learning_rate"),
    ("lr", "optim.learning_rate"),
    ("learning_rate", "optim.learning_rate"),
    ("optim.wd", "optim.weight_decay"),
    ("epochs", "num_steps"),
    ("steps", "num_steps"),
    ("batchsize", "batch_size"),
    ("bs", "batch_size"),
    ("backbone", "model.name"),
    ("optimizer", "optim.name"),
    ("image_size", "view.size"),
    ("view.image_size", "view.size"),
    ("loss", "head.loss"),
    ("model.size", "view.size"),
    ("eval.seed", "seed"),
  ],
)
def test_a_field_by_another_name(key, meant):
  bins = resolve.apply(base.base(), {"head.name": "bins"})
  line = _line(resolve.apply, bins, {key: "1"})
  assert re.search(rf"did you mean {meant!r}", line), line


def test_a_field_of_another_head_names_the_heads_that_have_it():
  line = _line(resolve.apply, base.base(), {"head.num_bins": "72"})
  assert "bins, csl, multibin, shifted" in line and "'vonmises'" in line
  line = _line(resolve.apply, base.base(), {"optim.momentum": "0"})
  assert "sgd" in line and "adadelta" not in line


def test_a_group_of_fields_is_told_from_a_field():
  line = _line(resolve.apply, base.base(), {"head": "bins"})
  assert "--config.head.name=" in line and "vonmises" in line


@pytest.mark.parametrize(
  "command,argv,meant",
  [
    ("main", ["--confg", "vonmises"], "did you mean --config?"),
    ("main", ["--confg=vonmises"], "did you mean --config?"),
    ("main", ["-config", "vonmises"], "did you mean --config?"),
    ("main", ["--conf.batch_size=3"], "did you mean --config.batch_size?"),
    ("main", ["--batch_size=3"], "did you mean --config.batch_size?"),
    ("main", ["--lr", "3"], "did you mean --config.optim.learning_rate?"),
    ("main", ["--sweep", "x"], "a flag of python -m rotjax.ablate"),
    ("main", ["--upright", "x"], "a flag of python -m rotjax.predict"),
    ("main", ["configs/vonmises.py"], "--config configs/vonmises.py"),
    ("main", ["--config", "x", "config.seed=1"], "--config.seed=1"),
    ("main", ["--no-compile-cache"], "did you mean --no_compile_cache?"),
    ("ablate", ["--swep", "x"], "did you mean --sweep?"),
    ("audit", ["--mode", "x"], "a flag of python -m rotjax.main"),
    ("tables", ["--workdri", "x"], "did you mean --workdir?"),
    ("tables", ["--colour"], "there are"),
    ("report", ["--columns=x"], "a flag of python -m rotjax.tables"),
    ("export", ["--output", "x"], "did you mean --out?"),
    ("predict", ["--notes", "x"], "a flag of python -m rotjax.export"),
    ("predict", ["--contact_sheet", "x"], "did you mean --contact-sheet?"),
  ],
)
def test_a_mistyped_flag_names_the_one_that_is_meant(command, argv, meant):
  assert meant in _line(MODULES[command].main, argv)


@pytest.mark.parametrize(
  "word,meant",
  [
    ("train", "rotjax.main?"),
    ("main", "rotjax.main?"),
    ("trian", "rotjax.main?"),
    ("predcit", "rotjax.predict?"),
    ("evaluate", "rotjax.main?"),
    ("sweep", "rotjax.ablate?"),
    ("--config", "rotjax.main?"),
    ("serve", "rotjax.demo?"),
    ("xyzzy", "rotjax.main?"),
  ],
)
def test_a_command_behind_the_package_names_its_own(word, meant):
  assert f"did you mean python -m {meant}" in _line(__main__.main, [word])


def test_the_package_lists_every_command(capsys):
  __main__.main([])
  listed = capsys.readouterr().out
  for file in (ROOT / "rotjax").glob("*.py"):
    if "cli.run(main)" in file.read_text("utf-8") and file.stem[0] != "_":
      assert f"python -m rotjax.{file.stem} " in listed
  assert "python -m rotjax.data " in listed


def test_flags_of_one_command_alone_are_its_own():
  """The table behind the hints against what the commands say themselves."""
  helps = {
    name: subprocess.run(
      [sys.executable, "-m", f"rotjax.{name}", *below, "--help"],
      capture_output=True,
      text=True,
      cwd=ROOT,
    ).stdout.partition("examples:")[0]
    for name in commands.COMMANDS
    for below in [["prepare"] if name == "data" else []]
  }
  for command, flags in commands._FLAGS_OF.items():
    for flag in flags:
      having = [n for n, h in helps.items() if re.search(rf"--{flag}\b", h)]
      assert having == [command], flag
