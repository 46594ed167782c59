"""Whatever a user's jax is set to, types are rotjax's own."""

import jax
import numpy as np
import pytest

from rotjax.evaluation import calibration, evaluator
from tests import training

SMALL = {"model.widths": (4, 4, 4), "model.hidden": 8, "log.every_steps": 5}
AS_IT_IS = {"view.fineness": 0.0}
CASES = [
  {"model.norm": "batch", "optim.ema_decay": 0.9, "model.dropout": 0.2},
  {"model.norm": "group", "optim.name": "adam", "optim.clip_norm": 1.0},
  {"optim.schedule": "linear", "dtype": "bfloat16", "head.name": "bins"},
  {"optim.name": "adadelta", "view.passes": "double", **AS_IT_IS},
  {
    "view.passes": "supersample",
    "view.blur": 1.0,
    "view.threshold": 0.1,
    **AS_IT_IS,
  },
  {"view.center": "centroid", "angles.distribution": "grid"},
  {"view.crop": "expand", "angles.period_deg": 180.0, **AS_IT_IS},
]
SETTINGS = {
  "strict": lambda: jax.numpy_dtype_promotion("strict"),
  "x64": lambda: jax.enable_x64(True),
}


def _shape(*shape, dtype=np.float32):
  return jax.ShapeDtypeStruct(shape, dtype)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
  "setting", [pytest.param("strict", marks=pytest.mark.slow), "x64"]
)
def test_step_and_evaluation_keep_their_types(setting, case):
  built = training.experiment({**training.SMALL, **SMALL, **case})
  finer = built.view.finer_shape((28, 28, 1))
  batch = {
    "image": _shape(4, *finer, dtype=np.uint8),
    "slot": _shape(4, dtype=np.int32),
    "mask": _shape(4, dtype=bool),
    "seed": _shape(dtype=np.uint32),
  }
  with SETTINGS[setting]():
    state = jax.eval_shape(lambda: built.init_state(0))
    after, metrics = jax.eval_shape(built.make_step(), state, batch)
    for interpolator, source in (("own", finer), ("cubic", (28, 28, 1))):
      views = [_shape(2, 1), _shape(2, 3), _shape(2, 3)]
      found = jax.eval_shape(
        built.evaluator(interpolator)._score_views,
        *(after.eval_params, after.eval_model_state),
        evaluator.Views(_shape(2, *source, dtype=np.uint8), *views),
        calibration.Calibration("vonmises", 3.0),
      )
      assert {x.dtype for x in jax.tree.leaves(found)} == {np.dtype("float32")}
  plain = jax.eval_shape(lambda: built.init_state(0))
  for got, want in zip(
    jax.tree.leaves(after), jax.tree.leaves(plain), strict=True
  ):
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
  finite = metrics.pop("finite")
  assert finite.dtype == bool
  assert {m.dtype for m in metrics.values()} == {np.dtype("float32")}


@pytest.mark.slow
def test_the_numbers_of_x64_are_the_same():
  built = training.experiment(
    {**training.BATCH_NORM_AND_DROPOUT, "angles.distribution": "grid"}
  )
  batch = {
    "image": built.split("train").images[:8],
    "slot": np.arange(8, dtype=np.int32),
    "mask": np.ones(8, bool),
    "seed": np.uint32(0),
  }

  def two_steps():
    step, state = jax.jit(built.make_step()), built.init_state(0)
    for _ in range(2):
      state, metrics = step(state, batch)
    return jax.device_get((state, metrics))

  plain = two_steps()
  with SETTINGS["x64"]():
    wide = two_steps()
  training.assert_close(wide, plain, atol=2e-6)
