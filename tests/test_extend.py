"""docs/extend.md: its examples work, from a package that is not rotjax's."""

import json
import math
import pathlib
import re
import sys

import numpy as np
import pytest

from rotjax import errors, heads
from rotjax.config import load, resolve, validate
from rotjax.run import train
from tests.heads import cases
from tests.heads import test_head_contract as contract

PAGE = pathlib.Path("docs/extend.md")
SMALL = {
  "num_steps": 6,
  "eval.every_steps": 3,
  "checkpoint.every_steps": 6,
  "log.every_steps": 3,
}


@pytest.fixture(autouse=True)
def _package(tmp_path, monkeypatch):
  """The page's blocks, as the files that their first lines name."""
  blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(), re.S)
  assert len(blocks) == 3
  for name, code in blocks:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(code)
  monkeypatch.syspath_prepend(tmp_path)
  yield
  for name in [n for n in sys.modules if n.partition(".")[0] == "my_package"]:
    del sys.modules[name]


def _train(overrides, folder):
  config = load.load("configs/vonmises.py:smoke")
  config = resolve.apply(config, {**SMALL, **overrides})
  validate.check(config)
  assert train.train(config, folder) == 0
  found = json.loads((folder / "summary.json").read_text())
  assert found["step"] in (3, 6)  # the better of the two on validation
  assert 0 < found["test"]["mae_deg"] < 180
  assert math.isfinite(found["test"]["recalibrated_nll"])
  return found


@pytest.mark.slow
def test_head(tmp_path):
  path = "my_package.cauchy_head.Cauchy"
  found = _train({"head.name": path, "head.uniform": "0.1"}, tmp_path / "run")
  assert math.isfinite(found["test"]["nll"])
  stored = json.loads((tmp_path / "run" / "config.json").read_text())
  assert stored["head"] == {"name": path, "uniform": 0.1}
  with pytest.raises(errors.UserError, match="head.uniform = 2"):
    _train({"head.name": path, "head.uniform": "2.0"}, tmp_path / "no")
  assert not (tmp_path / "no").exists()


def test_the_head_keeps_the_contract_of_heads(monkeypatch):
  from my_package import cauchy_head

  name = "cauchy"
  monkeypatch.setitem(heads.HEADS, name, cauchy_head.Cauchy)
  monkeypatch.setitem(cases.VARIANTS, name, cauchy_head.Cauchy())
  # Its slope vanishes with its width; the rest is for more steps.
  monkeypatch.setitem(contract.TOLERANCE, name, 3.0)
  contract.test_every_field_has_a_default_and_every_choice_a_dict(name)
  contract.test_wrong_names_are_refused_with_the_right_ones(name)
  contract.test_shapes_types_jit_and_vmap(name)
  contract.test_finite_with_finite_gradients(name)
  contract.test_a_full_turn_of_the_target_changes_nothing(name)
  contract.test_least_loss_is_the_truth(name)
  contract.test_density_integrates_to_one_or_is_none(name)
  contract.test_loss_of_a_density_is_its_negative_logarithm(name)


def test_backbone(tmp_path):
  found = _train(
    {"model.name": "my_package.pooled.Pooled", "model.width": "8"},
    tmp_path / "run",
  )
  convolution, norm, last = 5 * 5 * 8 + 8, 2 * 8, 7 * 7 * 8 * 2 + 2
  assert found["parameters"] == convolution + norm + last


@pytest.mark.slow
def test_dataset(tmp_path):
  from my_package import small_digits

  found = _train(
    {"data.name": "my_package.small_digits.SmallDigits"}, tmp_path / "run"
  )
  assert found["protocol"]["data"].startswith("small_digits: ")
  assert found["protocol"]["source"] == [24, 24, 1]
  splits = [
    small_digits.SmallDigits(()).load(s)
    for s in ("train", "validation", "test")
  ]
  indices = np.concatenate([s.indices for s in splits])
  assert sorted(indices) == list(range(1797))
  assert splits[0].images.max() == 255
  assert found["protocol"]["test_images"] == sum(splits[2].labels == 3)
