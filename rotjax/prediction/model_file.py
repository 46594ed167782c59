"""The file of an exported model: a line of JSON, then the compiled program.

Reading it takes jax and flatbuffers, not flax. The program is code: load only
files from those you trust.
"""

from collections.abc import Callable
import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np

import rotjax
from rotjax import errors, files

FORMAT = "rotjax model"
VERSION = 2  # 1 did not say which turns it was trained on
PLATFORMS = ("cpu", "cuda", "tpu")
_MAX_HEADER = 1 << 16
MEANING = {
  "input": "uint8 [b, size, size, channels]: grey, or red, green, blue; 0..255,"
  " neither masked nor scaled. How it is made of a picture: see square",
  "output": "[b] the angle, radians in [-period/2, period/2), and [b, 720] the"
  " recalibrated log-density, nats per radian, at period ((k + 1/2)/720 - 1/2)",
  "sign": "the angle is the counter-clockwise turn, as seen on the screen, that"
  " was applied to an upright picture: turn by minus it to correct one",
}


def _need_flatbuffers() -> None:
  try:
    import flatbuffers  # noqa: F401
  except ImportError:
    raise errors.UserError(
      "model files need the package flatbuffers: pip install 'rotjax[export]'"
    ) from None


def _digest(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()


def _header_digest(header: dict[str, Any]) -> str:
  rest = {k: v for k, v in header.items() if k != "header_sha256"}
  return _digest(json.dumps(rest, sort_keys=True).encode())


def _release(version: str) -> tuple[int, ...]:
  """The part of a jax version that changes what its programs may hold."""
  return tuple(int(part) for part in version.split(".")[:2])


def save(
  path: pathlib.Path,
  fn: Callable,
  spec: dict[str, Any],
  notes: dict[str, Any] | None = None,
) -> None:
  """Exports a function for every platform and any batch, and writes it.

  Args:
    path: replaced in one go if it exists.
    fn: pure, `[b, S, S, C]` uint8 -> arrays with a leading axis b.
    spec: JSON-able, with "size" S and "channels" C; `load` returns it.
    notes: JSON-able, for those who read the header.

  Raises:
    UserError: it cannot be exported or written.
  """
  from jax import export

  _need_flatbuffers()
  (batch,) = export.symbolic_shape("b")
  shape = (batch, spec["size"], spec["size"], spec["channels"])
  exported = export.export(jax.jit(fn), platforms=PLATFORMS)(
    jax.ShapeDtypeStruct(shape, np.uint8)
  )
  payload = bytes(exported.serialize())
  header = {
    "format": FORMAT,
    "version": VERSION,
    **MEANING,
    **(notes or {}),
    "spec": spec,
    "platforms": list(PLATFORMS),
    "rotjax": rotjax.__version__,
    "jax": jax.__version__,
    "payload_bytes": len(payload),
    "payload_sha256": _digest(payload),
  }
  header["header_sha256"] = _header_digest(header)
  line = json.dumps(header, sort_keys=True).encode() + b"\n"
  try:
    files.write(path, line + payload)
  except OSError as error:
    raise errors.UserError(f"{path} cannot be written: {error}") from None


def _read(path: pathlib.Path) -> tuple[dict[str, Any], bytes]:
  """Header and payload, as they were written."""
  try:
    with open(path, "rb") as file:
      line = file.readline(_MAX_HEADER)
      payload = file.read() if line.startswith(b"{") else b""
  except OSError as error:
    raise errors.UserError(f"{path} cannot be read: {error}") from None
  try:
    header = json.loads(line)
    ours = header["format"] == FORMAT
    version = header["version"]
  except (ValueError, KeyError, TypeError):
    ours = False
  if not ours:
    raise errors.UserError(
      f"{path} is not a model file: python -m rotjax.export writes one"
    )
  if version not in (1, VERSION):
    raise errors.UserError(
      f"{path} has format version {version} and this rotjax reads 1 to"
      f" {VERSION}: export the run again"
    )
  if header.get("header_sha256") != _header_digest(header):
    raise errors.UserError(f"{path} is damaged: its header is not as written")
  if header["payload_sha256"] != _digest(payload):
    missing = header["payload_bytes"] - len(payload)
    how = f"{missing} bytes are missing" if missing > 0 else "not as written"
    raise errors.UserError(f"{path} is damaged: {how}")
  return header, payload


def load(path: pathlib.Path) -> tuple[dict[str, Any], Callable]:
  """The spec of a model file, and its function, compiled when first called.

  Raises:
    UserError: another kind of file, a damaged one, one of a newer jax.
  """
  from jax import export

  header, payload = _read(path)
  _need_flatbuffers()
  if _release(header["jax"]) > _release(jax.__version__):
    # Refused beforehand: trying it would print MLIR's own errors as well.
    raise errors.UserError(
      f"{path} was written with jax {header['jax']} and this is the older"
      f" {jax.__version__}: update jax, or export the run again"
    )
  try:
    exported = export.deserialize(bytearray(payload))
    exported.mlir_module()  # else read only when first called
  except Exception as error:  # of many types, by version
    reason = " ".join(str(error).split()) or type(error).__name__
    raise errors.UserError(
      f"{path}, written with jax {header['jax']}, cannot be loaded by jax"
      f" {jax.__version__}: {reason}"
    ) from None
  return header["spec"], jax.jit(exported.call)
