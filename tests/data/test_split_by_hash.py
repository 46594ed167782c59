import hashlib

import numpy as np
import pytest

from rotjax.data.ingest import split_by_hash


def _digest(text):
  return hashlib.sha256(text.encode()).hexdigest()


def _assign(names, digests, group="none", test=0.1, validation=0.05):
  groups = [split_by_hash.group_of(n, d, group) for n, d in zip(names, digests)]
  return split_by_hash.assign(groups, digests, test, validation)


def test_shares_are_about_those_asked_for():
  digests = [_digest(str(i)) for i in range(20_000)]
  got = _assign(digests, digests)
  for split, share in (("test", 0.1), ("validation", 0.05), ("train", 0.85)):
    # Five standard deviations of a binomial share.
    wide = 5 * np.sqrt(share * (1 - share) / 20_000)
    assert got.count(split) / 20_000 == pytest.approx(share, abs=wide)


def test_the_rule_by_hand():
  digest = _digest("a picture")
  # The first 48 bits of the digest's own digest, as a binary fraction.
  number = int(_digest(digest)[:12], 16) / 2**48
  assert split_by_hash.place(digest) == number
  just_above = np.nextafter(number, 1)
  assert _assign(["x"], [digest], test=just_above) == ["test"]
  assert _assign(["x"], [digest], test=number) != ["test"]
  assert _assign(["x"], [digest], test=1e-9, validation=1 - number) == [
    "validation"
  ]


@pytest.mark.parametrize("seed", range(5))
def test_the_least_share_fills_a_split_and_a_smaller_one_does_not(seed):
  digests = [_digest(f"{seed} {i}") for i in range(6)]
  test, validation = (
    split_by_hash.least_share(split, digests)
    for split in ("test", "validation")
  )
  assert "test" in split_by_hash.assign(digests, digests, test, 1e-9)
  assert "test" not in split_by_hash.assign(
    digests, digests, test - 0.001, 1e-9
  )
  assert "validation" in split_by_hash.assign(
    digests, digests, 1e-9, validation
  )
  assert "validation" not in split_by_hash.assign(
    digests, digests, 1e-9, validation - 0.001
  )


def test_shares_do_not_shift_each_other():
  digests = [_digest(str(i)) for i in range(2000)]
  small, large = (_assign(digests, digests, test=t) for t in (0.1, 0.3))
  moved = {(a, b) for a, b in zip(small, large) if a != b}
  assert moved == {("train", "test")}


@pytest.mark.parametrize("group", split_by_hash.GROUPS)
def test_adding_files_moves_none(group):
  names = [f"{i % 7}/burst{i % 5}_{i:03d}.jpg" for i in range(300)]
  digests = [_digest(name) for name in names]
  few = _assign(names[::3], digests[::3], group)
  assert _assign(names, digests, group)[::3] == few


@pytest.mark.parametrize("group", split_by_hash.GROUPS)
def test_exact_copies_are_in_one_split(group):
  names = [f"{i % 40}/{i}.jpg" for i in range(400)]
  digests = [_digest(str(i % 150)) for i in range(400)]
  splits = {}
  for digest, split in zip(
    digests, _assign(names, digests, group, 0.3, 0.3), strict=True
  ):
    splits.setdefault(digest, set()).add(split)
  assert {len(found) for found in splits.values()} == {1}


@pytest.mark.parametrize(
  ("group", "pairs", "strangers"),
  [
    ("folder", [("a/x.jpg", "a/y.png")], [("a/x.jpg", "b/x.jpg")]),
    (
      "prefix",
      [
        ("a/shot_001.jpg", "a/shot_999.jpg"),
        ("a/shot (1).jpg", "a/shot-2.JPG"),
        ("a/001.jpg", "a/002.jpg"),
        ("x.jpg", "x2.jpg"),
      ],
      [
        ("a/shot_001.jpg", "b/shot_001.jpg"),
        ("a/shot_001.jpg", "a/short_001.jpg"),
        ("a/1b.jpg", "a/1c.jpg"),
      ],
    ),
    ("none", [], [("a/shot_001.jpg", "a/shot_002.jpg")]),
  ],
)
def test_what_is_kept_together(group, pairs, strangers):
  def same(pair):
    one, other = (split_by_hash.group_of(n, _digest(n), group) for n in pair)
    return one == other

  assert all(map(same, pairs))
  assert not any(map(same, strangers))
