"""Optimizers against NumPy, schedules at their ends, and wrong input."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rotjax import errors
from rotjax.training import optim
from tests import reference

STEPS = 6


def params():
  rng = np.random.default_rng(0)
  shapes = {"kernel": (3, 4), "conv": (2, 2, 1, 3), "bias": (4,), "scale": (5,)}
  return {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}


def gradients(n=STEPS, scale=1.0):
  rng = np.random.default_rng(1)
  return [
    {
      k: (scale * rng.normal(size=v.shape)).astype(np.float32)
      for k, v in params().items()
    }
    for _ in range(n)
  ]


def run(optimizer, grads, num_steps=STEPS):
  """The parameters after the optimizer has seen `grads`."""
  transformation = optimizer.transformation(num_steps)

  @jax.jit
  def all_steps(state, grads):
    def step(carry, grad):
      p, opt_state = carry
      updates, opt_state = transformation.update(grad, opt_state, p)
      return (optax.apply_updates(p, updates), opt_state), None

    return jax.lax.scan(step, state, grads)[0][0]

  p = jax.tree.map(jnp.asarray, params())
  stacked = jax.tree.map(lambda *g: jnp.stack(g), *grads)
  return jax.device_get(all_steps((p, transformation.init(p)), stacked))


def assert_same(got, expected):
  assert set(got) == set(expected)
  for k in got:
    np.testing.assert_allclose(got[k], expected[k], rtol=2e-5, atol=5e-6)


# --- Update rules -----------------------------------------------------------


@pytest.mark.parametrize("weight_decay", (0.0, 0.3))
def test_adam_equals_numpy_and_decays_kernels_only(weight_decay):
  optimizer = optim.Adam(
    learning_rate=0.1,
    schedule="linear",
    warmup=0.0,
    b1=0.8,
    b2=0.95,
    eps=1e-3,
    weight_decay=weight_decay,
  )
  rates = 0.1 * (1 - np.arange(STEPS) / STEPS)
  decays = dict(kernel=weight_decay, conv=weight_decay, bias=0.0, scale=0.0)
  expected = reference.adam(
    params(), gradients(), rates, 0.8, 0.95, 1e-3, decays
  )
  assert_same(run(optimizer, gradients()), expected)


def test_adams_defaults_are_the_papers():
  optimizer = optim.Adam(schedule="constant", warmup=0.0)
  decays = dict.fromkeys(params(), 0.0)
  expected = reference.adam(
    params(), gradients(), [1e-3] * STEPS, 0.9, 0.999, 1e-8, decays
  )
  assert_same(run(optimizer, gradients()), expected)


@pytest.mark.parametrize(
  "momentum, nesterov", [(0.0, False), (0.9, False), (0.7, True)]
)
def test_sgd_equals_numpy(momentum, nesterov):
  optimizer = optim.Sgd(
    learning_rate=0.05,
    schedule="constant",
    warmup=0.0,
    momentum=momentum,
    nesterov=nesterov,
  )
  expected = reference.sgd(
    params(), gradients(), [0.05] * STEPS, momentum, nesterov
  )
  assert_same(run(optimizer, gradients()), expected)


def test_adadelta_is_that_of_keras_mnist_example():
  # rho .95, epsilon 1e-7 and rate 1, constant: keras.optimizers.Adadelta().
  expected = reference.keras_adadelta(params(), gradients(scale=0.01))
  assert_same(run(optim.Adadelta(), gradients(scale=0.01)), expected)


def test_optimizers_are_found_by_name():
  for name, cls in dict(
    adam=optim.Adam, sgd=optim.Sgd, adadelta=optim.Adadelta
  ).items():
    assert optim.OPTIMIZERS[name] is cls


# --- Clipping ---------------------------------------------------------------


def test_clipping_scales_large_gradients_by_their_global_norm():
  plain = dict(learning_rate=1.0, schedule="constant", warmup=0.0, momentum=0.0)
  grads = gradients(2)
  norms = [
    np.sqrt(sum(np.sum(np.float64(g) ** 2) for g in grad.values()))
    for grad in grads
  ]
  # The first gradient is over the threshold, the second one under it.
  grads[1] = {k: g * np.float32(0.1) for k, g in grads[1].items()}
  threshold = norms[0] / 3
  assert norms[1] * 0.1 < threshold
  clipped = [{k: g / 3 for k, g in grads[0].items()}, grads[1]]
  got = run(optim.Sgd(clip_norm=threshold, **plain), grads)
  assert_same(got, reference.sgd(params(), clipped, [1.0] * 2, 0.0, False))
  # Off by default.
  got = run(optim.Sgd(**plain), grads)
  assert_same(got, reference.sgd(params(), grads, [1.0] * 2, 0.0, False))


def test_clipping_comes_before_the_rule():
  # Adam divides by the gradient's size: clipping after it would do nothing to
  # the first moment's memory of one wild gradient.
  options = dict(learning_rate=0.1, schedule="constant", warmup=0.0)
  grads = gradients(3)
  grads[1] = {k: g * np.float32(1e3) for k, g in grads[1].items()}
  scaled = []
  for grad in grads:
    norm = np.sqrt(sum(np.sum(np.float64(g) ** 2) for g in grad.values()))
    scaled.append({k: g * min(1, 0.5 / norm) for k, g in grad.items()})
  expected = reference.adam(
    params(), scaled, [0.1] * 3, 0.9, 0.999, 1e-8, dict.fromkeys(params(), 0.0)
  )
  assert_same(run(optim.Adam(clip_norm=0.5, **options), grads), expected)


# --- Schedules --------------------------------------------------------------


def rates(optimizer, num_steps, steps):
  return np.asarray(
    jax.jit(jax.vmap(optimizer.schedule_fn(num_steps)))(jnp.array(steps))
  )


@pytest.mark.parametrize("schedule", optim.SCHEDULES)
def test_the_rate_rises_over_the_warm_up_to_its_peak(schedule):
  optimizer = optim.Adam(learning_rate=0.4, schedule=schedule, warmup=0.1)
  got = rates(optimizer, 200, range(21))
  np.testing.assert_allclose(got, 0.4 * np.arange(21) / 20, atol=1e-7)


@pytest.mark.parametrize("warmup", (0.0, 0.25))
@pytest.mark.parametrize("schedule", optim.SCHEDULES)
def test_the_rate_after_the_warm_up(schedule, warmup):
  optimizer = optim.Adam(learning_rate=0.4, schedule=schedule, warmup=warmup)
  steps = np.arange(100 * warmup, 121).astype(int)
  share = np.minimum((steps - 100 * warmup) / (100 * (1 - warmup)), 1)
  expected = {
    "constant": np.full(len(steps), 0.4),
    "linear": 0.4 * (1 - share),
    "cosine": 0.2 * (1 + np.cos(np.pi * share)),
  }[schedule]
  got = rates(optimizer, 100, steps)
  np.testing.assert_allclose(got, expected, atol=1e-6)
  assert got[0] == pytest.approx(0.4)
  if schedule != "constant":
    assert got[steps == 100] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("schedule", optim.SCHEDULES)
def test_runs_of_one_step_have_a_rate(schedule):
  optimizer = optim.Adam(learning_rate=0.4, schedule=schedule, warmup=0.05)
  assert rates(optimizer, 1, [0])[0] == pytest.approx(0.4)


# --- Wrong input ------------------------------------------------------------


@pytest.mark.parametrize("cls", tuple(optim.OPTIMIZERS.values()))
@pytest.mark.parametrize(
  "options, words",
  [
    (dict(schedule="cosin"), ("optim.schedule", "did you mean 'cosine'")),
    (dict(schedule="step"), ("constant", "cosine", "linear")),
    (dict(learning_rate=0.0), ("optim.learning_rate", "0.0")),
    (dict(learning_rate=-1e-3), ("optim.learning_rate", "-0.001")),
    (dict(warmup=1.0), ("optim.warmup", "1.0", "from 0 to below 1")),
    (dict(warmup=-0.1), ("optim.warmup", "-0.1")),
    (dict(ema_decay=1.0), ("optim.ema_decay", "1.0", "from 0 to below 1")),
    (dict(ema_decay=-0.5), ("optim.ema_decay", "-0.5")),
    # A negative threshold would turn gradient descent into ascent.
    (dict(clip_norm=-1.0), ("optim.clip_norm", "-1.0")),
    (dict(learning_rate=float("nan")), ("optim.learning_rate", "nan")),
  ],
)
def test_invalid_fields_are_refused_with_what_is_valid(cls, options, words):
  with pytest.raises(errors.UserError) as caught:
    cls(**options)
  for word in words:
    assert word in str(caught.value)
