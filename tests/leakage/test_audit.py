"""The audit as a whole: its verdict, its command, its report."""

import dataclasses
import itertools
import json
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from rotjax import audit, errors
from rotjax.config import base, resolve, validate
from rotjax.data.ingest import split_by_hash
from rotjax.leakage import evidence, examine, plants, report, sources, verdict


def _finding(low, high, highest=None):
  return evidence.Finding(
    "4 x angle",
    (low + high) / 2,
    low,
    high,
    high if highest is None else highest,
    "4 x angle",
    50,
    {"4 x angle": ((low + high) / 2, high)},
  )


CLEAN, LEAKS = _finding(-0.001, 0.004), _finding(0.03, 0.05)
FOUND = {"offset": True, "rim dot": True}


@pytest.mark.parametrize(
  "findings, planted, expected, words",
  [
    ([CLEAN, CLEAN], FOUND, "passes", "at most 0.0040"),
    # One family is enough for a leak, and for a doubt.
    ([CLEAN, LEAKS], FOUND, "leaks", "0.040 nats (0.030 to 0.050)"),
    ([CLEAN, _finding(0.015, 0.025)], FOUND, "undecided", "second"),
    ([CLEAN, _finding(-0.01, 0.01, 0.03)], FOUND, "undecided", "second"),
    ([CLEAN], {**FOUND, "noise": False}, "undecided", "not found: noise"),
    ([CLEAN, LEAKS], {"noise": False}, "leaks", "by second"),
    # A small leak is told and passes: the limit is what is asked.
    ([_finding(0.004, 0.008)], FOUND, "passes", "at most 0.0080"),
  ],
)
def test_a_verdict_is_the_weakest_link(findings, planted, expected, words):
  named = dict(zip(("first", "second"), findings))
  outcome, sentence = verdict.decide(named, planted, "")
  assert outcome == expected
  assert words in sentence


def test_a_plant_is_found_above_what_the_view_itself_shows():
  assert verdict.found(_finding(0.01, 0.03), CLEAN)
  assert not verdict.found(_finding(0.003, 0.03), CLEAN)
  assert not verdict.found(_finding(-0.01, 0.03), _finding(-0.02, -0.015))
  # What the view shows at another multiple is no measure for this one.
  other = dataclasses.replace(LEAKS, members={"1 x angle": (0.04, 0.05)})
  once = dataclasses.replace(LEAKS, members={"4 x angle": (0.0, 0.001)})
  assert verdict.found(_finding(0.01, 0.03), once)
  assert not verdict.found(_finding(0.01, 0.03), other)


@pytest.fixture(scope="module")
def audited():
  """A view that turns about the wrong point, seen by every family, briefly."""
  config = resolve.apply(
    base.base(),
    {
      "view.center": "canvas",
      "model.widths": "(8,)",
      "model.kernels": "(5,)",
      "model.hidden": "16",
    },
  )
  validate.check(config)
  given = examine.Budget(400, 2, 3, examine._TRAININGS[:1], False)
  return config, examine.run(config, given)


@pytest.mark.slow
def test_the_wrong_centre_is_told_with_its_cue_and_its_control(audited):
  _, found = audited
  assert found["outcome"] == "leaks"
  assert "the place alone tells" in found["verdict"]
  assert "removed by view.center=dataset" in found["verdict"]
  assert any("view.center=canvas" in leak for leak in found["known_leaks"])
  # A leak is a leak whatever else is there: the rest is not looked at.
  assert list(found["findings"]) == ["linear", "boosting"]
  assert not found["planted"]
  assert max(f["low"] for f in found["null"].values()) < verdict.LIMIT / 2


@pytest.mark.slow
def test_a_whole_audit_looks_with_every_family_at_everything():
  given = examine.Budget(300, 2, 1, examine._TRAININGS, True)
  found = examine.run(base.base(), given)
  families = ["linear", "boosting"]
  kinds = [f"{kind}, {f}" for kind in sources.ISOTROPIC for f in families]
  assert list(found["findings"]) == [*families, *kinds, "networks"]
  assert len(found["findings"]["networks"]["members"]) == 4
  assert set(found["seen"]) == {*plants.PLANTS, "all at once, networks"}
  # So few views show no planted leak, and so no absence of one.
  assert found["outcome"] == "undecided"


@pytest.mark.slow
@pytest.mark.parametrize("outcome, status", verdict.EXIT_STATUS.items())
def test_the_command_exits_with_its_outcome_and_leaves_a_report(
  audited, tmp_path, monkeypatch, capsys, outcome, status
):
  _, found = audited
  changed = {**found, "outcome": outcome}
  asked = []
  monkeypatch.setattr(
    examine, "run", lambda _, given: asked.append(given) or changed
  )
  argv = ["--config=smoke", f"--workdir={tmp_path}", "--num_steps=7"]
  assert audit.main(argv) == status
  assert asked[0].num_steps == 7
  assert asked[0].num_sources == examine.budget(None, None, False).num_sources
  shown = capsys.readouterr().out
  assert shown.splitlines()[0].endswith(found["verdict"])
  kept = json.loads((tmp_path / "audit.json").read_text())
  assert verdict.outcome(kept) == outcome
  assert report.text(changed) in shown
  assert (tmp_path / "audit.png").stat().st_size > 5000


def test_thorough_is_more_of_everything():
  usual, thorough = (examine.budget(None, None, t) for t in (False, True))
  assert all(a < b for a, b in zip(usual[:3], thorough[:3]))
  assert len(thorough.trainings) > len(usual.trainings)
  for field in ("name", "learning_rate", "seed"):
    assert len({getattr(t, field) for t in thorough.trainings}) > 1
  assert examine.budget(99, 9, True)[:2] == (99, 9)


@pytest.mark.parametrize("flag", ["--num_steps=1", "--num_sources=0"])
def test_a_budget_too_small_is_refused(flag):
  with pytest.raises(errors.UserError, match="at least 2, --num_sources 64"):
    audit.main(["--config=smoke", flag])


def test_too_few_pictures_are_no_audit(tmp_path, monkeypatch):
  """Their intervals would be nan, and nan would be told as something."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  (tmp_path / "pages").mkdir()
  places = {
    name: split_by_hash.place(name)
    for name in map("".join, itertools.permutations("abcde"))
  }
  wanted = [(0, 0.3), (0.4, 0.5), (0.5, 0.6), (0.8, 1)]
  for n, (low, high) in enumerate(wanted):
    name = next(k for k, at in places.items() if low < at < high)
    pixels = np.full((40, 40), 30 * n, np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "pages" / f"{name}_1.png")
  config = resolve.apply(base.base(), {"data.name": "folder"})
  overrides = {
    "data.dir": str(tmp_path / "pages"),
    "data.group": "prefix",
    "data.test_share": 0.3,
    "data.validation_share": 0.2,
  }
  config = resolve.apply(config, overrides)
  with pytest.raises(errors.UserError, match="too few for an audit"):
    examine.subject(config, 64)


def test_tables_do_without_what_fits():
  code = (
    "import sys; from rotjax.reporting import tables;"
    "assert 'rotjax.leakage.verdict' in sys.modules;"
    "assert 'rotjax.leakage.estimators' not in sys.modules"
  )
  subprocess.run([sys.executable, "-c", code], check=True)
