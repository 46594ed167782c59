"""Every head with every named option, found rather than listed."""

import ast
import dataclasses
import functools
import sys

import jax
import numpy as np

from rotjax import heads
from rotjax.heads import catalogue

# A field that is a name -> the dict, in the head's module, that has the names.
OPTIONS = {
  "activation": "ACTIVATIONS",
  "code": "CODES",
  "component": "COMPONENTS",
  "decode_": "DECODINGS",
  "loss_": "LOSSES",
  "output": "OUTPUTS",
  "parametrization": "PARAMETRIZATIONS",
  "window": "WINDOWS",
}


def options(head_class):
  """{field: its possible values} for the fields with a finite choice."""
  found = {}
  for field in dataclasses.fields(head_class):
    if isinstance(field.default, bool):
      found[field.name] = [False, True]
    elif isinstance(field.default, str):
      module = sys.modules[head_class.__module__]
      found[field.name] = list(getattr(module, OPTIONS[field.name]))
  return found


def build(line):
  """`head.name=... head.loss=...` -> (head, what else the line sets)."""
  settings = dict(item.split("=") for item in line.split())
  head_class = heads.HEADS[settings.pop("head.name")]
  fields = {field.name for field in dataclasses.fields(head_class)}
  chosen = {}
  for key in [k for k in settings if k.startswith("head.")]:
    name, value = key.removeprefix("head."), settings.pop(key)
    try:
      value = ast.literal_eval(value)
    except ValueError:
      pass  # a name
    chosen[name if name in fields else name + "_"] = value
  return head_class(**chosen), settings


def variants():
  """{readable name: head}: defaults, each option by itself, the catalogue."""
  found = {}
  for name, head_class in heads.HEADS.items():
    found[name] = head_class()
    for field, values in options(head_class).items():
      for value in values:
        head = dataclasses.replace(found[name], **{field: value})
        if head != found[name]:
          found[f"{name} {field.rstrip('_')}={value}"] = head
  for row, line in catalogue.CATALOGUE.items():
    head, _ = build(line)
    if head not in found.values():
      found[f"row {row}"] = head
  return found


VARIANTS = variants()

# Away from every bin's edge, no symmetry, both signs, near 0, 90 and 180.
THETA = np.deg2rad(
  [0.2, 33.3, 61.8, 88.8, 91.2, 127.7, 155.6, 179.3]
  + [-0.7, -14.2, -46.7, -77.3, -90.6, -118.2, -140.8, -178.9]
).astype(np.float32)


@functools.cache
def compiled(head):
  """`[16, n]`, `[16]` -> loss `[16]` and its gradient `[16, n]`, NumPy."""

  def total(outputs, theta):
    loss = head.loss(outputs, theta)
    return loss.sum(), loss

  both = jax.jit(jax.grad(total, has_aux=True))

  def run(outputs, theta=THETA):
    gradient, loss = both(outputs, theta)
    return np.asarray(loss), np.asarray(gradient)

  return run


@functools.cache
def reading(head):
  """`[16, n]`, `[16]` -> decoded angles and log-density, or None, NumPy."""
  both = jax.jit(lambda x, theta: (head.decode(x), head.log_density(x, theta)))

  def run(outputs, theta=THETA):
    return jax.tree.map(np.asarray, both(outputs, theta))

  return run


def fit(head, outputs, num_steps=600, learning_rate=0.05):
  """Outputs that minimise the loss, by Adam with a falling step size."""
  x = np.asarray(outputs, np.float32)
  m, v = np.zeros_like(x), np.zeros_like(x)
  for i in range(num_steps):
    _, g = compiled(head)(x)
    m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
    rate = learning_rate * (1 - i / num_steps)
    rate *= np.sqrt(1 - 0.99 ** (i + 1)) / (1 - 0.9 ** (i + 1))
    x = x - (rate * m / (np.sqrt(v) + 1e-8)).astype(np.float32)
  return x
