"""Planted leaks are worth what they say, and show what they say."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from rotjax.image import view as view_lib
from rotjax.leakage import cues, plants, verdict

VIEW = view_lib.View(center="13.5,13.5", jitter=0.0, pixel_range="raw")


def test_a_shown_direction_is_worth_its_integral():
  rho = plants.strength(verdict.LIMIT, False)

  def integrand(d):
    p = (1 + 2 * rho * math.cos(d)) / (2 * math.pi)
    return p * math.log(p * 2 * math.pi)

  nats, _ = scipy.integrate.quad(integrand, -math.pi, math.pi)
  assert nats == pytest.approx(verdict.LIMIT, abs=1e-9)


def test_a_shown_cosine_is_worth_its_integral():
  rho = plants.strength(verdict.LIMIT, True)

  # p(a | cos of the direction): the direction and its mirror image are one.
  def integrand(a, direction):
    pair = [math.cos(direction - a), math.cos(-direction - a)]
    ratio = 1 + rho * sum(pair)
    return ratio * math.log(ratio) / (2 * math.pi) ** 2

  nats, _ = scipy.integrate.dblquad(
    integrand, -math.pi, math.pi, -math.pi, math.pi
  )
  assert nats == pytest.approx(verdict.LIMIT, abs=1e-5)


def test_the_dot_lies_where_the_cardioid_puts_it():
  rho = plants.strength(0.1, False)
  kind = plants.PLANTS["rim dot"]
  keys = jax.random.split(jax.random.key(0), 3000)
  angle_deg = np.float32(np.random.default_rng(0).uniform(0, 360, 3000))
  views = jax.jit(
    jax.vmap(
      lambda key, a: plants.plant(
        kind, VIEW, key, jnp.zeros((28, 28, 1)), a, worth=0.1
      )
    )
  )(keys, angle_deg)
  dot = cues.centroid(np.asarray(views[..., 0]))
  d = np.arctan2(-dot[:, 1], -dot[:, 0]) - kind.k * np.deg2rad(angle_deg)
  # For the density (1 + 2 rho cos d)/2 pi the mean cosine is rho.
  assert np.cos(d).mean() == pytest.approx(rho, abs=0.05)
  assert np.sin(d).mean() == pytest.approx(0.0, abs=0.05)


def test_every_plant_changes_the_disc_alone():
  rng = np.random.default_rng(1)
  views = rng.uniform(90, 255, (8, 28, 28, 1)).astype(np.float32)
  keys = jax.random.split(jax.random.key(0), 8)
  angle_deg = jnp.arange(8) * 45.0

  @jax.jit  # one program for all: compiling is what takes time here
  def planted(keys, views, angle_deg):
    return {
      name: jax.vmap(functools.partial(plants.plant, kind, VIEW))(
        keys, views, angle_deg
      )
      for name, kind in {**plants.PLANTS, "together": plants.TOGETHER}.items()
    }

  for name, shown in planted(keys, views, angle_deg).items():
    shown = np.asarray(shown)
    assert np.isfinite(shown).all(), name
    assert not shown[:, 0, 0].any(), name
    ratio = shown[:, 10:18, 10:18].mean() / views[:, 10:18, 10:18].mean()
    assert 0.5 < ratio < 1.5, name
    change = np.abs(shown - views)[:, 1:-1, 9:-9]
    assert change.max() > 0.01 * 255, name
