"""ONNX files: the same answers from onnxruntime alone, by the header's words.

The conversion needs packages that rotjax does not; where they are missing, it
says so, and the rest is skipped.
"""

import importlib.util
import json
import subprocess
import sys

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import errors
from rotjax.image import pictures
from rotjax.models import convolution
from rotjax.prediction import onnx_file, predictor
from tests.prediction import test_export

# Reads an ONNX file and answers with it; says what the file says of itself.
_ALONE = """
import json, sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map
squares = np.load(sys.argv[2])
for part in (squares[:1], squares):
  theta, log_density = session.run(None, {"pictures": part})
  assert theta.shape == (len(part),) and log_density.shape == (len(part), 720)
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"jax", "flax", "rotjax", "onnx"}
np.savez(sys.argv[3], theta=theta, log_density=log_density)
print(json.dumps(about))
"""


def _needs_jax2onnx():
  for name in ("jax2onnx", "onnx", "onnxruntime"):
    if importlib.util.find_spec(name) is None:
      pytest.skip(f"{name} is not installed")


def _spec(size):
  return predictor.Spec(
    size=size,
    channels=1,
    mask="none",
    pixel_range="unit",
    crop="none",
    source=(size, size),
    period_deg=180.0,
    tta="none",
  )


def _fn(squares):
  """A network in little: what platforms do otherwise, remainders, a density."""
  kernel = jnp.ones((3, 3, 1, 2)) * jnp.array([[[[0.1, -0.2]]]])
  x = convolution.conv2d(squares.astype(jnp.float32) / 255, kernel, 2)
  theta = jnp.mod(9 * x.mean((1, 2, 3)), 2 * jnp.pi) - jnp.pi
  grid = 2 * jnp.pi * ((jnp.arange(720) + 0.5) / 720 - 0.5)
  return theta, jnp.cos(grid[None] - theta[:, None])


def test_the_plain_program_is_the_same_function():
  squares = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 1), np.uint8)
  plain = onnx_file._portable(_fn)
  for a, b in zip(jax.jit(plain)(squares), jax.jit(_fn)(squares)):
    np.testing.assert_allclose(a, b, atol=2e-5)
  text = str(jax.make_jaxpr(plain)(squares))
  assert "conv_general_dilated" in text
  for name in ("platform_index", "cond", "rem", "custom_", "pjit"):
    assert f"{name}[" not in text and f" {name} " not in text


@pytest.mark.parametrize("value", [-7.5, -3.0, 0.0, 2.0, 3.0, 7.25])
def test_remainders_have_the_dividends_sign(value):
  plain = onnx_file._portable(lambda x: (lax.rem(x, jnp.float32(3)),))
  (found,) = plain(jnp.float32(value))
  assert found == np.fmod(np.float32(value), np.float32(3))


def test_answers_that_differ_are_not_written():
  theta, density = np.float32([np.pi, 1]), np.zeros((2, 720), np.float32)
  onnx_file._compare([-theta * [1, -1], density], [theta, density])
  for found in (
    [theta + 0.01, density],
    [theta, density + 0.01],
    [theta * np.nan, density],
  ):
    with pytest.raises(errors.UserError, match="answers otherwise"):
      onnx_file._compare(found, [theta, density])


def test_what_it_needs_is_one_line(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, "jax2onnx", None)
  spec = {"size": 12, "channels": 1}
  with pytest.raises(errors.UserError, match=r"--no-deps 'jax2onnx"):
    onnx_file.save(tmp_path / "m.onnx", _fn, spec)
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_onnxruntime_alone_gives_the_same_answers(tmp_path):
  _needs_jax2onnx()
  size = 20
  spec = _spec(size)
  # In a process of its own: importing jax2onnx patches jax and flax.
  code = f"""
import dataclasses, pathlib, sys
from rotjax.image import pictures
from tests.prediction import test_onnx_file as t
spec = t._spec({size})
t.onnx_file.save(
  pathlib.Path(sys.argv[1]), t._fn, dataclasses.asdict(spec),
  {{"square": pictures.square_in_words(spec)}},
)
"""
  model = tmp_path / "m.onnx"
  subprocess.run([sys.executable, "-c", code, model], check=True, timeout=300)
  files = [
    test_export._photo(tmp_path, width, height, kind)
    for width, height, kind in ((50, 40, "L"), (31, 77, "RGB"))
  ]
  squares = np.stack(
    [pictures.square(pictures.read(file), spec) for file in files]
  )
  np.save(tmp_path / "squares.npy", squares)
  done = subprocess.run(
    [
      *(sys.executable, "-c", _ALONE, model),
      *(tmp_path / "squares.npy", tmp_path / "out.npz"),
    ],
    check=True,
    capture_output=True,
    text=True,
    timeout=300,
  )
  about = {
    key: json.loads(text) if text[0] in "[{" else text
    for key, text in json.loads(done.stdout).items()
    if key not in ("input", "output")
  }
  assert about["spec"]["period_deg"] == 180
  assert "counter-clockwise" in about["sign"]
  # Its words lead to the square that predict itself makes.
  for file, square in zip(files, squares):
    np.testing.assert_array_equal(
      test_export._by_the_words(file, about), square
    )
  found = np.load(tmp_path / "out.npz")
  theta, log_density = jax.jit(_fn)(squares)
  np.testing.assert_allclose(found["theta"], theta, atol=1e-5)
  np.testing.assert_allclose(found["log_density"], log_density, atol=1e-5)
