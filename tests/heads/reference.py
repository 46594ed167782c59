"""Slow float64 oracles for the heads: NumPy and SciPy, no JAX, no rotjax."""

import numpy as np
from scipy import optimize, special, stats

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)


def wrap(theta):
  """Into [-pi, pi), through the complex plane."""
  d = np.angle(np.exp(1j * np.asarray(theta, np.float64)))
  return np.where(d >= np.pi, -np.pi, d)


def arc(a, b):
  """|D| in radians."""
  return np.abs(wrap(np.asarray(a, np.float64) - np.asarray(b, np.float64)))


# Log-densities of D for a vector of length r, both `[n]`: `r, d -> [n]`.


def vonmises(r, d):
  return stats.vonmises.logpdf(d, r)


def wrapped_cauchy(r, d):
  rho = r / (1 + np.sqrt(1 + r * r))
  uniform = np.full(np.broadcast(r, d).shape, -np.log(2 * np.pi))
  safe = np.where(rho > 0, rho, 0.5)
  density = stats.wrapcauchy.logpdf(np.mod(d, 2 * np.pi), safe)
  return np.where(rho > 0, density, uniform)


def _wrapped(logpdf, d, turns):
  shifts = 2 * np.pi * np.arange(-turns, turns + 1)
  return special.logsumexp(logpdf(np.asarray(d)[..., None] + shifts), axis=-1)


def wrapped_normal(r, d):
  # Long before r = 1e-4 the density is uniform but for 2 r cos D.
  sigma = np.sqrt(np.log1p(1 / np.maximum(r, 1e-9) ** 2))
  return _wrapped(lambda x: stats.norm.logpdf(x, scale=sigma[..., None]), d, 20)


def wrapped_laplace(r, d):
  uniform = np.full(np.broadcast(r, d).shape, -np.log(2 * np.pi))
  rate = np.maximum(r, 0.02)[..., None]
  value = _wrapped(lambda x: np.log(rate / 2) - rate * np.abs(x), d, 400)
  # Below, to second order: p = (1 + r^2 ((pi - |D|)^2/2 - pi^2/6)) / 2 pi.
  second = (np.pi - arc(d, 0.0)) ** 2 / 2 - np.pi**2 / 6
  small = np.minimum(r, 0.02)
  return np.where(r < 0.02, uniform + np.log1p(small**2 * second), value)


def projected_normal(r, d):
  """Integral over the length s of s exp(-|s t - u|^2 / 2) / 2 pi."""
  z, c = r * np.cos(d), r * np.sin(d)
  low = np.maximum(z - 12, 0.0)
  high = np.where(z > -1, z + 12, 45 / np.maximum(-z, 1.0))
  s = low + (high - low) * (_NODES[:, None] + 1) / 2
  # exp(-(s - z)^2/2) without its constant exp(-z^2/2) where z < 0.
  exponent = np.where(z > 0, -0.5 * (s - z) ** 2, -0.5 * s * s + s * z)
  integral = (
    (_WEIGHTS[:, None] * s * np.exp(exponent)).sum(0) * (high - low) / 2
  )
  outside = -0.5 * np.where(z > 0, c * c, r * r)
  return np.log(integral) + outside - np.log(2 * np.pi)


def power_spherical(r, d):
  """The normaliser by quadrature of (1 + cos D)^kappa, not by gammas."""
  kappa = np.sqrt(1 + r * r) - 1
  width = np.minimum(np.pi, 12 / np.sqrt(kappa + 1e-3))
  x = width * (_NODES[:, None] + 1) / 2  # half of a symmetric integral
  log_cos2 = 2 * np.log(np.cos(x / 2))
  total = (_WEIGHTS[:, None] * np.exp(kappa * log_cos2)).sum(0) * width
  # The floor that keeps the antipode finite is part of the definition.
  lifted = np.log1p(-(np.sin(d / 2) ** 2) / (1 + 1e-6))
  return kappa * lifted - np.log(total)


DENSITIES = {
  "power_spherical": power_spherical,
  "projected_normal": projected_normal,
  "vonmises": vonmises,
  "wrapped_cauchy": wrapped_cauchy,
  "wrapped_laplace": wrapped_laplace,
  "wrapped_normal": wrapped_normal,
}


def integral(log_p, theta):
  """Trapezoids of exp(log_p) `[..., n]` over a full turn from theta[0]."""
  x = np.append(theta, theta[0] + 2 * np.pi)
  p = np.exp(np.asarray(log_p, np.float64))
  p = np.concatenate([p, p[..., :1]], axis=-1)
  return (0.5 * (p[..., 1:] + p[..., :-1]) * np.diff(x)).sum(-1)


def centers(num_bins):
  """Bin k at 2 pi k / K: on whole degrees for K = 360."""
  return wrap(2 * np.pi * np.arange(num_bins) / num_bins)


def fourier_log_density(coefficients, theta):
  """Generalised von Mises of (a_k, b_k) `[F, 2]` at theta `[n]`."""

  def exponent(x):
    k = np.arange(1, len(coefficients) + 1)[:, None]
    a, b = coefficients[:, :1], coefficients[:, 1:]
    return (a * np.cos(k * x) + b * np.sin(k * x)).sum(0)

  fine = np.linspace(-np.pi, np.pi, 100_000, endpoint=False)
  log_z = special.logsumexp(exponent(fine)) + np.log(2 * np.pi / len(fine))
  return exponent(np.asarray(theta, np.float64)) - log_z


def expected_arc(p, theta):
  """Mean arc distance from each of theta `[n]` to the points of p `[K]`."""
  return (p * arc(np.asarray(theta)[:, None], centers(len(p)))).sum(-1)


def expected_arc_of_histogram(p, theta, parts=20):
  """The same to bins of even density."""
  offset = (np.arange(parts) + 0.5) / parts - 0.5
  points = centers(len(p))[:, None] + offset * 2 * np.pi / len(p)
  distance = arc(np.asarray(theta)[:, None, None], points).mean(-1)
  return (p * distance).sum(-1)


def transport_cost(p, q):
  """Earth mover's distance round the ring, as a linear programme."""
  n = len(p)
  cost = arc(centers(n)[:, None], centers(n)).ravel()
  rows = np.kron(np.eye(n), np.ones(n))
  columns = np.kron(np.ones(n), np.eye(n))[:-1]  # the last follows
  result = optimize.linprog(
    cost, A_eq=np.concatenate([rows, columns]), b_eq=np.append(p, q[:-1])
  )
  return result.fun


def cross_entropy(logits, targets):
  """-sum t log softmax, less the targets' entropy."""
  log_p = logits - special.logsumexp(logits, axis=-1, keepdims=True)
  return -(targets * log_p).sum(-1) + special.xlogy(targets, targets).sum(-1)


def bce(logits, targets):
  """Binary cross-entropy less the target's entropy, summed over the last."""
  entropy = special.entr(targets) + special.entr(1 - targets)
  yes = targets * np.logaddexp(0, -logits)
  no = (1 - targets) * np.logaddexp(0, logits)
  return (yes + no - entropy).sum(-1)


def psc_code(theta, num_steps, dual):
  """cos(w theta + 2 pi n / N), w = 1 and, when dual, 2."""
  shift = 2 * np.pi * np.arange(num_steps) / num_steps
  theta = np.asarray(theta)[..., None]
  code = np.cos(theta + shift)
  if dual:
    code = np.concatenate([code, np.cos(2 * theta + shift)], axis=-1)
  return code


def svd_rotation_angle(matrix):
  """Angle of the rotation nearest to a 2 x 2 matrix (Levinson et al. 2020)."""
  u, _, vt = np.linalg.svd(matrix)
  rotation = u @ np.diag([1.0, np.linalg.det(u @ vt)]) @ vt
  return np.arctan2(rotation[1, 0], rotation[0, 0])
