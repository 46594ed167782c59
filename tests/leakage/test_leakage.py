"""The audit: its estimators are right, and it tells honest from leaking."""

import itertools
import json
import math

import numpy as np
import PIL.Image
import pytest
import scipy.integrate
import scipy.stats

from rotjax import audit, errors
from rotjax.config import base, named, resolve, validate
from rotjax.data.ingest import split_by_hash
from rotjax.image import view as view_lib
from rotjax.leakage import cues, plant, verdict
from rotjax.leakage import probe as probe_lib
from rotjax.leakage import sources as sources_lib
from rotjax.models import strided


def _config(**overrides):
  overrides = {k.replace("__", "."): v for k, v in overrides.items()}
  config = resolve.apply(base.base(), overrides)
  validate.check(config)
  return config


def test_the_planted_leak_is_worth_what_it_says():
  planted = plant.Planted(view_lib.View())

  def integrand(d):
    p = (1 + 2 * planted.rho * math.cos(d)) / (2 * math.pi)
    return p * math.log(p * 2 * math.pi)

  nats, _ = scipy.integrate.quad(integrand, -math.pi, math.pi)
  assert planted.nats == pytest.approx(nats, abs=1e-6)
  assert planted.nats == pytest.approx(0.02, abs=1e-3)


def test_the_planted_dot_lies_where_the_cardioid_puts_it():
  import jax

  planted = plant.Planted(view_lib.View(center="13.5,13.5", jitter=0.0), 0.3)
  keys = jax.random.split(jax.random.key(0), 4000)
  black = np.zeros((28, 28, 1), np.uint8)
  pictures, angle_deg = jax.jit(
    jax.vmap(lambda key: planted.sample(key, black, probe_lib.UNIFORM))
  )(keys)
  dot = cues.centroid(np.asarray(pictures[..., 0], np.float64))
  direction = np.arctan2(-dot[:, 1], -dot[:, 0])  # counter-clockwise from up
  d = direction - np.deg2rad(np.asarray(angle_deg))
  # For the density (1 + 2 rho cos d)/2 pi the mean cosine is rho.
  assert np.cos(d).mean() == pytest.approx(0.3, abs=0.04)
  assert np.sin(d).mean() == pytest.approx(0.0, abs=0.04)


def test_the_interval_counts_images_not_draws():
  rng = np.random.default_rng(0)
  per_image = rng.normal(0.1, 0.5, 40)
  gain = np.repeat(per_image, 25)
  cluster = np.repeat(np.arange(40), 25)
  got = probe_lib.Information.from_draws(gain, {}, cluster, 0.95)
  want = scipy.stats.t.interval(
    0.95, 39, per_image.mean(), scipy.stats.sem(per_image)
  )
  assert (got.low, got.high) == pytest.approx(want)
  assert got.num_images == 40


def test_a_pre_turned_image_keeps_its_ink_and_its_centre():
  rng = np.random.default_rng(1)
  y, x = np.mgrid[:28, :28]
  blob = np.exp(-((y - 14) ** 2 / 20 + (x - 14) ** 2 / 6))
  images = np.round(200 * blob * rng.uniform(0.5, 1, (3, 1, 1)))
  images = images.astype(np.uint8)[..., None]
  turned = sources_lib.preturned(images, (14.0, 14.0), 4, seed=0)
  assert turned.images.shape == (12, 28, 28, 1)
  assert turned.cluster.tolist() == [0, 1, 2] * 4
  ratio = turned.images.sum((1, 2, 3)) / np.tile(images.sum((1, 2, 3)), 4)
  np.testing.assert_allclose(ratio, 1, atol=0.02)
  # cues.centroid measures from the canvas's centre, (13.5, 13.5).
  at = cues.centroid(turned.images[..., 0].astype(np.float64))
  np.testing.assert_allclose(at, 0.5, atol=0.05)


@pytest.mark.parametrize("kind", ["white", "pink", "radial", "constant"])
def test_isotropic_sources_have_no_preferred_direction(kind):
  sources = sources_lib.isotropic(kind, 400, (24, 24, 1), seed=0)
  assert sources.images.dtype == np.uint8
  pixels = sources.images[..., 0].astype(np.float64)
  quarter = np.rot90(pixels, axes=(1, 2))
  assert np.abs(pixels.mean(0) - quarter.mean(0)).max() < 25
  energy = cues.sharpness(pixels / 255 + 1e-6).mean(0)
  assert abs(energy[0] - energy[1]) < 0.1


def test_a_cue_that_knows_the_angle_gains_what_it_should():
  rng = np.random.default_rng(2)
  theta = rng.uniform(-np.pi, np.pi, 4000)
  # Four-fold: useless for the mean absolute error, worth log 6 of log 24.
  clue = np.stack([np.cos(4 * theta), np.sin(4 * theta)], -1)
  gain = cues.gain(clue[:3000], theta[:3000], clue[3000:], theta[3000:])
  assert gain.mean() > 1.2
  noise = rng.normal(size=clue.shape)
  gain = cues.gain(noise[:3000], theta[:3000], noise[3000:], theta[3000:])
  assert gain.mean() < 0.01


@pytest.fixture(scope="module")
def digits():
  """Training and held-out threes, pre-turned."""
  dataset = named.build("data", _config().data)
  train, held_out = dataset.load("train"), dataset.load("validation")
  return tuple(
    sources_lib.preturned(split.images, split.center, copies, seed)
    for split, copies, seed in ((train, 3, 0), (held_out, 6, 1))
  )


def _probed(digits, view):
  backbone = strided.Strided(widths=(8, 16), kernels=(3, 3), hidden=32)
  probe = probe_lib.Probe(view, backbone, (28, 28, 1), 250, 64)
  return probe(*digits, 0, 0.95)


def test_the_honest_view_gives_nothing_away(digits):
  found = _probed(digits, view_lib.View(center="14.0,14.0"))
  assert found.high < verdict.LIMIT
  assert found.num_images == 50
  for k in (1, 2, 4):
    assert found.fold_error_deg[k] == pytest.approx(90, abs=5)


def test_turning_about_the_wrong_point_is_found(digits):
  found = _probed(digits, view_lib.View(center="13.5,13.5"))
  assert found.low > verdict.LIMIT
  assert found.fold_error_deg[1] < 80


def test_the_centroid_shows_the_wrong_point_and_not_the_right_one(digits):
  import jax

  def gain(center):
    view = view_lib.View(center=center)
    parts = []
    for i, sources in enumerate(digits):
      keys = jax.random.split(jax.random.key(i), len(sources.images))
      views, angle_deg = probe_lib.draw_views(view, sources.images, keys)
      parts += [cues.summarize("centroid", views), np.deg2rad(angle_deg)]
    return cues.gain(*parts).mean()

  assert gain("13.5,13.5") > 0.05
  assert gain("14.0,14.0") < 0.0


@pytest.mark.parametrize("crop", ["inscribed", "expand"])
def test_a_zooming_crop_is_found_though_it_knows_no_quadrant(digits, crop):
  found = _probed(digits, view_lib.View(center="14.0,14.0", crop=crop))
  assert found.low > 0
  # The angle modulo a quarter turn is told, the full one is not.
  assert found.fold_error_deg[4] < 87
  assert found.fold_error_deg[1] > 85


def test_black_corners_are_found(digits):
  # Bright paper: the corners that the turn leaves black are the leak.
  bright = tuple(sources_lib.Sources(255 - s.images, s.cluster) for s in digits)
  view = view_lib.View(center="13.5,13.5", mask="none", jitter=0.0)
  found = _probed(bright, view)
  assert found.low > verdict.LIMIT


def test_the_command_exits_with_3_and_leaves_its_report(
  tmp_path, capsys, caplog
):
  caplog.set_level("INFO", logger="rotjax")
  argv = [
    "--config=smoke",
    f"--workdir={tmp_path}",
    "--num_steps=60",
    "--num_sources=384",
    "--config.view.center=canvas",
    "--config.model.widths=(8,)",
    "--config.model.kernels=(5,)",
  ]
  assert audit.main(argv) == 3
  shown = capsys.readouterr().out
  report = json.loads((tmp_path / "audit.json").read_text())
  assert report["passed"] is False
  assert set(report["probes"]) == {
    "pre-turned",
    "control",
    "white",
    "pink",
    "radial",
    "constant",
    *cues.CUES,
  }
  assert "leak: " in shown and "view.center=canvas" in shown
  assert verdict.outcome(report) == "leaks"
  assert (tmp_path / "audit.png").stat().st_size > 5000
  # Minutes pass on real pictures: each probe is told as it is done.
  told = [r.getMessage().split(":")[1] for r in caplog.records]
  assert told == [
    " pre-turned",
    " control",
    *map(" {}".format, verdict._ISOTROPIC),
  ]


@pytest.mark.parametrize(
  "nats, planted, expected",
  [
    ((-0.001, 0.004), (0.015, 0.019), ("passes", 0)),
    ((0.05, 0.07), (0.06, 0.08), ("leaks", 3)),
    # The control is not found, or not told apart from the view.
    ((-0.001, 0.004), (-0.001, 0.003), ("undecided", 4)),
    ((-0.001, 0.012), (0.008, 0.014), ("undecided", 4)),
  ],
)
def test_each_outcome_has_a_status(
  tmp_path, monkeypatch, capsys, nats, planted, expected
):
  def information(low, high):
    return probe_lib.Information((low + high) / 2, low, high, {}, 50)

  config = _config()
  view = named.build("view", config.view)
  none = {name: information(-0.01, 0.01) for name in cues.CUES}
  results = {
    "pre-turned": information(*nats),
    "control": information(*planted),
    **none,
  }
  train = named.build("data", config.data).load("train")
  report = verdict._report(config, view, train, results, 0.02, 0.0)
  report = json.loads(json.dumps(report))  # as audit.json brings it back
  monkeypatch.setattr(verdict, "run", lambda *args: report)
  outcome, status = expected
  assert verdict.outcome(report) == outcome
  assert audit.main(["--config=smoke", f"--workdir={tmp_path}"]) == status


def test_too_few_steps_are_refused():
  with pytest.raises(errors.UserError, match="--num_steps"):
    audit.main(["--config=smoke", "--num_steps=1"])


def test_one_held_out_picture_is_no_audit(tmp_path, monkeypatch):
  """Its interval would be nan, and nan would be told as a leak."""
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
  overrides = {
    "data.dir": str(tmp_path / "pages"),
    "data.group": "prefix",
    "data.test_share": 0.3,
    "data.validation_share": 0.2,
  }
  config = resolve.apply(_config(data__name="folder"), overrides)
  with pytest.raises(errors.UserError, match="one validation image"):
    verdict.run(config, 2, 64)
