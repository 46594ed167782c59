"""Ratios, their spread, and which windows count, by hand."""

import json
import time

import harness
import numpy as np
import pytest


def timing(seconds, others=0.0):
  return harness.Timing(
    tuple(seconds), tuple(np.broadcast_to(others, len(seconds)))
  )


def test_median_and_spread_are_over_the_quiet_windows():
  t = timing([1.0, 2.0, 3.0, 100.0], [0.0, 0.1, 0.0, 0.5])
  assert (t.median, t.quiet, t.rounds) == (2.0, 3, 4)
  # Linear between 1, 2, 3: a tenth of the way from either end.
  assert t.low == pytest.approx(1.2) and t.high == pytest.approx(2.8)


def test_all_windows_count_where_too_few_are_quiet():
  t = timing([1.0, 2.0, 3.0, 100.0], [0.0, 0.1, 0.5, 0.5])
  assert t.median == 2.5 and t.quiet == 2


def test_ratio_pairs_the_windows_of_a_round():
  # Twice as slow in every round, while the machine slows down tenfold.
  fast = timing([1.0, 3.0, 10.0])
  slow = timing([2.0, 6.0, 20.0])
  found = harness.ratio(slow, fast)
  assert (found.low, found.median, found.high) == (2.0, 2.0, 2.0)
  assert str(found) == "2.00x (2.00..2.00)"
  assert harness.ratio(fast, slow).median == 0.5


def test_ratio_leaves_out_rounds_in_which_either_was_disturbed():
  fast = timing([1.0] * 5, [0, 0, 0, 0, 1.0])
  slow = timing([2.0, 2.0, 2.0, 50.0, 70.0], [0, 0, 0, 1.0, 0])
  assert harness.ratio(slow, fast).high == 2.0
  # Fewer than three are left: all count.
  slow = timing([2.0, 2.0, 4.0, 4.0, 4.0], [0, 0, 1.0, 1.0, 1.0])
  assert harness.ratio(slow, fast).median == 4.0


def test_scaled_is_for_more_work():
  assert timing([1.0, 2.0, 3.0]).scaled(4.0).median == 8.0


def test_interleave_takes_turns_and_reverses_the_order():
  order = []

  def call(name, seconds):
    def run():
      order.append(name)
      time.sleep(seconds)

    return run

  rows = harness.interleave(
    {"a": call("a", 0.002), "b": call("b", 0.004)}, rounds=2, seconds=0.001
  )
  # Each is called twice first, once to compile and once to see how long it is.
  assert order == ["a", "a", "b", "b", "a", "b", "b", "a"]
  assert rows["a"].rounds == rows["b"].rounds == 2
  assert rows["a"].median >= 0.002


def test_table_and_its_warning():
  rows = {"ours": timing([1.0] * 3), "peer": timing([2.0] * 3)}
  text = harness.table(rows, 10, "ours")
  assert "| peer | 5 | 5..5 | 2.00x (2.00..2.00) | 3/3 |" in text
  assert "quoted" not in text
  loud = {"ours": timing([1.0] * 3, 1.0), "peer": timing([2.0] * 3)}
  assert "quoted" not in harness.table(loud, 10, "ours")
  loud["peer"] = timing([2.0] * 3, 1.0)
  assert "in 6 of 6 windows" in harness.table(loud, 10, "ours")


def test_child_gives_what_the_last_line_says():
  code = "import json; print('noise'); print(json.dumps({'a': [1, 2.5]}))"
  assert harness.child(["-c", code]) == {"a": [1, 2.5]}
  code = "import os, json; print(json.dumps({'x': os.environ['X_TEST']}))"
  assert harness.child(["-c", code], {"X_TEST": "1"}) == {"x": "1"}
  with pytest.raises(RuntimeError, match="ValueError: no"):
    harness.child(["-c", "raise ValueError('no')"])


def test_publish_leaves_out_empty_paragraphs(tmp_path, capsys):
  out = tmp_path / "results" / "page.md"
  harness.publish(["# a", "", "b"], out)
  assert out.read_text() == "# a\n\nb\n"
  assert capsys.readouterr().out.startswith("# a\n\nb")


def test_timing_survives_json():
  t = timing([1.0, 2.0, 3.0])
  import dataclasses

  found = harness.Timing(**json.loads(json.dumps(dataclasses.asdict(t))))
  assert found.median == t.median and found.quiet == t.quiet
