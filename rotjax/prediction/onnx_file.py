"""A predictor as an ONNX file, converted by jax2onnx.

Two things are rewritten beforehand, in the traced program: where a formulation
depends on the platform, that of accelerators is taken (a plain convolution);
and the remainder is spelled out, which jax2onnx 0.17 cannot convert for a
batch of any size.
"""

from collections.abc import Callable, Sequence
import json
import logging
import pathlib
from typing import Any

import jax
from jax.extend import core
import jax.numpy as jnp
import numpy as np

import rotjax
from rotjax import errors, files
from rotjax.prediction import model_file

# Read by onnxruntime from 1.18 (May 2024) on.
_OPSET = 21
# Of the answers, converted and not: radians, nats per radian.
_APART = 1e-3
# What holds a program, and under which name.
_HOLDERS = {
  "jit": "jaxpr",
  "custom_jvp_call": "call_jaxpr",
  "custom_vjp_call": "call_jaxpr",
}
_INSTALL = (
  "ONNX files need jax2onnx: pip install 'rotjax[onnx]', then pip install"
  " --no-deps 'jax2onnx==0.17.1' (it asks for an orbax-checkpoint older than"
  " rotjax's, and uses none)"
)


def save(
  path: pathlib.Path,
  fn: Callable,
  spec: dict[str, Any],
  notes: dict[str, Any] | None = None,
) -> None:
  """Converts a function for any batch, compares its answers, and writes it.

  Args:
    path: replaced in one go if it exists.
    fn: pure, `[b, S, S, C]` uint8 -> angle and log-density, as
      `predictor.AnswerFn`.
    spec: JSON-able, with "size" S and "channels" C; kept in the file's
      `metadata_props`, as JSON.
    notes: JSON-able, kept there too.

  Raises:
    UserError: jax2onnx is not there, it cannot be converted or written, or
      onnxruntime answers otherwise than jax.
  """
  try:
    import jax2onnx
    import onnx
    import onnxruntime
  except ImportError as error:
    if error.name not in ("jax2onnx", "onnx", "onnxruntime"):
      raise
    raise errors.UserError(_INSTALL) from None

  # It tells of every value whose type it has not noted; the check below counts.
  logging.getLogger("onnx_ir").setLevel(logging.ERROR)
  shape = (spec["size"], spec["size"], spec["channels"])
  try:
    model = jax2onnx.to_onnx(
      _portable(fn),
      # A letter is a size that is not fixed; jax types it as a number.
      [jax.ShapeDtypeStruct(("b", *shape), np.uint8)],  # type: ignore[arg-type]
      model_name="rotjax",
      opset=_OPSET,
      input_names=["pictures"],
      output_names=["angle", "log_density"],
    )
    meaning = {**model_file.MEANING, **(notes or {}), "spec": spec}
    meaning |= {"rotjax": rotjax.__version__, "jax": jax.__version__}
    texts = {
      key: value if isinstance(value, str) else json.dumps(value)
      for key, value in meaning.items()
    }
    onnx.helper.set_model_props(model, texts)
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data)
    squares = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    found = session.run(None, {"pictures": squares})
  except Exception as error:  # of many types, by version
    raise errors.UserError(
      f"the network cannot be converted by jax2onnx: {type(error).__name__}:"
      f" {error}; the format jax can hold it"
    ) from error
  _compare(found, jax.device_get(jax.jit(fn)(squares)))
  try:
    files.write(path, data)
  except OSError as error:
    raise errors.UserError(f"{path} cannot be written: {error}") from None


def _compare(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> None:
  # The angle as a direction: -pi is pi.
  turn = np.abs(np.exp(1j * found[0]) - np.exp(1j * wanted[0])).max()
  # A density of almost nothing has a logarithm of few digits.
  density = np.abs(np.exp(found[1]) - np.exp(wanted[1])).max()
  scale = max(np.exp(wanted[1]).max(), 1.0)
  if not (turn <= _APART and density <= _APART * scale):
    raise errors.UserError(
      f"what jax2onnx made of this network answers otherwise, by {turn:.2g}"
      f" radians and {density:.2g} of density: nothing is written; the format"
      " jax can hold it"
    )


def _portable(fn: Callable) -> Callable:
  """The function as a program of plain operations that jax2onnx converts."""

  def plain(squares):
    traced = jax.make_jaxpr(fn)(squares)
    return tuple(_run(traced.jaxpr, traced.consts, [squares]))

  return plain


def _run(jaxpr, consts, arguments):
  """Traces a jaxpr anew, what it holds laid open; see the module."""
  known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments]))
  platforms = {}

  def value(atom):
    return atom.val if isinstance(atom, core.Literal) else known[atom]

  for equation in jaxpr.eqns:
    name, params = equation.primitive.name, equation.params
    if name == "platform_index":
      # The last branch is the one for all others.
      platforms[equation.outvars[0]] = len(params["platforms"]) - 1
      continue
    first, *rest = equation.invars or [None]
    if name == "cond" and first in platforms:
      branch = params["branches"][platforms[first]]
      rest = [value(atom) for atom in rest]
      known.update(
        zip(equation.outvars, _run(branch.jaxpr, branch.consts, rest))
      )
      continue
    values = [value(atom) for atom in equation.invars]
    if name in _HOLDERS:
      held = params[_HOLDERS[name]]
      results = _run(held.jaxpr, held.consts, values)
    elif name == "rem" and jnp.issubdtype(values[0].dtype, jnp.floating):
      ratio = values[0] / values[1]
      results = [values[0] - values[1] * jnp.trunc(ratio)]
    else:
      results = equation.primitive.bind(*values, **params)
      if not equation.primitive.multiple_results:
        results = [results]
    known.update(zip(equation.outvars, results))
  return [value(atom) for atom in jaxpr.outvars]
