"""Slow float64 NumPy oracles, written from the definitions.

Nothing here imports rotjax: an oracle that shares code with what it judges
shares its mistakes too.
"""

import itertools
import math

import numpy as np
import scipy.ndimage

_SCIPY_MODES = {
  "constant": "grid-constant",
  "edge": "nearest",
  "reflect": "reflect",
}


def source_coordinates(
  angle_deg, shape, size, center=None, shift=(0, 0), scale=1.0
):
  """Where each output pixel looks: float64 `(y, x)`, each `[H, W]`."""
  if center is None:
    center = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
  a = math.radians(math.fmod(angle_deg, 360))
  rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
  v = scale * (rows - (size[0] - 1) / 2 - shift[0])
  u = scale * (columns - (size[1] - 1) / 2 - shift[1])
  x = math.cos(a) * u - math.sin(a) * v + center[1]
  y = math.sin(a) * u + math.cos(a) * v + center[0]
  return y, x


def rotate(
  image,
  angle_deg,
  *,
  center=None,
  size=None,
  shift=(0, 0),
  scale=1.0,
  mode="constant",
  fill=0.0,
):
  """The warp through SciPy's interpolation, float64 `[H, W, C]`."""
  image = np.asarray(image, np.float64)
  size = size or image.shape[:2]
  yx = source_coordinates(angle_deg, image.shape, size, center, shift, scale)
  channels = [
    scipy.ndimage.map_coordinates(
      channel, yx, order=1, mode=_SCIPY_MODES[mode], cval=fill
    )
    for channel in np.moveaxis(image, -1, 0)
  ]
  return np.stack(channels, -1)


def _pixel(image, row, column, mode, fill):
  """One pixel of the infinite image that `mode` continues `image` to."""
  height, width = image.shape[:2]
  if mode == "constant":
    inside = 0 <= row < height and 0 <= column < width
    return image[row, column] if inside else np.full(image.shape[2], fill)
  if mode == "edge":
    return image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
  # reflect: walk out, and back in from the other side of the border.
  while not (0 <= row < height and 0 <= column < width):
    row = -1 - row if row < 0 else row
    row = 2 * height - 1 - row if row >= height else row
    column = -1 - column if column < 0 else column
    column = 2 * width - 1 - column if column >= width else column
  return image[row, column]


def rotate_loop(
  image,
  angle_deg,
  *,
  center=None,
  size=None,
  shift=(0, 0),
  mode="constant",
  fill=0.0,
):
  """The warp one pixel at a time, for small images."""
  image = np.asarray(image, np.float64)
  size = size or image.shape[:2]
  y, x = source_coordinates(angle_deg, image.shape, size, center, shift)
  out = np.zeros((*size, image.shape[2]))
  for place in itertools.product(range(size[0]), range(size[1])):
    row, column = math.floor(y[place]), math.floor(x[place])
    down, right = y[place] - row, x[place] - column
    out[place] = (
      (1 - down) * (1 - right) * _pixel(image, row, column, mode, fill)
      + (1 - down) * right * _pixel(image, row, column + 1, mode, fill)
      + down * (1 - right) * _pixel(image, row + 1, column, mode, fill)
      + down * right * _pixel(image, row + 1, column + 1, mode, fill)
    )
  return out


def disc(size):
  """`[H, W]` bool: centres within half the shorter side of the middle."""
  out = np.zeros(size, bool)
  for i, j in itertools.product(range(size[0]), range(size[1])):
    v, u = i - (size[0] - 1) / 2, j - (size[1] - 1) / 2
    out[i, j] = v * v + u * u <= (min(size) / 2) ** 2
  return out


def smooth_image(height, width, channels, seed=0):
  """A random image without detail, in [0, 1]."""
  noise = np.random.default_rng(seed).random((height, width, channels))
  blurred = scipy.ndimage.gaussian_filter(noise, (4, 4, 0), mode="wrap")
  blurred -= blurred.min()
  return (blurred / blurred.max()).astype(np.float32)


def arc(a, b):
  """Length of the shorter arc between two angles, radians."""
  turn = abs(a - b) % (2 * math.pi)
  return min(turn, 2 * math.pi - turn)


def mean_arc(point, sample):
  return sum(arc(point, other) for other in sample) / len(sample)


def circular_median(sample):
  """The sample's own points in [-pi, pi) with the least mean arc distance.

  Returns:
    All that attain it, ascending: ties are common (any two antipodes).
  """
  wrapped = sorted((t + math.pi) % (2 * math.pi) - math.pi for t in sample)
  distances = [mean_arc(point, sample) for point in wrapped]
  least = min(distances)
  return [p for p, d in zip(wrapped, distances) if d < least + 1e-9]


def max_pool(x, window, stride, padding):
  """Maxima over square windows; "SAME" puts its odd padding at the end."""
  n, height, width, channels = x.shape
  if padding == "SAME":
    pads = []
    for side in (height, width):
      outputs = math.ceil(side / stride)
      total = max((outputs - 1) * stride + window - side, 0)
      pads.append((total // 2, total - total // 2))
    x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=-np.inf)
    height, width = x.shape[1:3]
  rows = range(0, height - window + 1, stride)
  columns = range(0, width - window + 1, stride)
  out = np.empty((n, len(rows), len(columns), channels))
  for (i, row), (j, column) in itertools.product(
    enumerate(rows), enumerate(columns)
  ):
    block = x[:, row : row + window, column : column + window]
    out[:, i, j] = block.max((1, 2))
  return out


def group_norm(x, groups, scale, bias, eps=1e-5):
  """Each example's groups of channels, standardised one by one."""
  x, scale, bias = (np.asarray(t, np.float64) for t in (x, scale, bias))
  out = np.empty_like(x)
  width = x.shape[-1] // groups
  for n, g in itertools.product(range(len(x)), range(groups)):
    block = x[n, ..., g * width : (g + 1) * width]
    out[n, ..., g * width : (g + 1) * width] = (block - block.mean()) / np.sqrt(
      block.var() + eps
    )
  return out * scale + bias


def batch_norm(x, mask, scale, bias, eps=1e-5):
  """Normalises by the real rows' moments; returns those moments too."""
  x, scale, bias = (np.asarray(t, np.float64) for t in (x, scale, bias))
  real = x[np.asarray(mask, bool)].reshape(-1, x.shape[-1])
  mean, var = real.mean(0), real.var(0)
  return (x - mean) / np.sqrt(var + eps) * scale + bias, mean, var


def adam(params, grads, rates, b1, b2, eps, decays):
  """Adam with decoupled weight decay (Loshchilov & Hutter 2019), by leaf.

  Args:
    params: name -> array.
    grads: a list over steps of name -> array.
    rates: the learning rate of each step.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: in the denominator.
    decays: name -> weight decay.

  Returns:
    The parameters after the last step.
  """
  params = {k: np.asarray(v, np.float64) for k, v in params.items()}
  m = {k: 0.0 for k in params}
  v = {k: 0.0 for k in params}
  for t, (grad, rate) in enumerate(zip(grads, rates), 1):
    for k, g in grad.items():
      g = np.asarray(g, np.float64)
      m[k] = b1 * m[k] + (1 - b1) * g
      v[k] = b2 * v[k] + (1 - b2) * g * g
      first, second = m[k] / (1 - b1**t), v[k] / (1 - b2**t)
      step = first / (np.sqrt(second) + eps) + decays[k] * params[k]
      params[k] = params[k] - rate * step
  return params


def sgd(params, grads, rates, momentum, nesterov):
  """Heavy-ball or Nesterov momentum as Sutskever et al. 2013 rewrite it."""
  params = {k: np.asarray(v, np.float64) for k, v in params.items()}
  velocity = {k: 0.0 for k in params}
  for grad, rate in zip(grads, rates):
    for k, g in grad.items():
      g = np.asarray(g, np.float64)
      velocity[k] = momentum * velocity[k] + g
      step = momentum * velocity[k] + g if nesterov else velocity[k]
      params[k] = params[k] - rate * step
  return params


def keras_adadelta(params, grads, rate=1.0, rho=0.95, eps=1e-7):
  """Adadelta as Keras 2.2 wrote it, with its defaults."""
  params = {k: np.asarray(v, np.float64) for k, v in params.items()}
  accumulated = {k: 0.0 for k in params}
  moved = {k: 0.0 for k in params}
  for grad in grads:
    for k, g in grad.items():
      g = np.asarray(g, np.float64)
      accumulated[k] = rho * accumulated[k] + (1 - rho) * g * g
      step = g * np.sqrt(moved[k] + eps) / np.sqrt(accumulated[k] + eps)
      params[k] = params[k] - rate * step
      moved[k] = rho * moved[k] + (1 - rho) * step * step
  return params
