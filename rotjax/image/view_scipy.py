"""The view made by SciPy on the host: an interpolator that is not ours at all.

For `eval.warp = "scipy"`. Slow; spline interpolation of order three.
"""

import numpy as np
import scipy.ndimage

from rotjax.image import view as view_lib


def render(
  view: view_lib.View, images: np.ndarray, angle_deg: np.ndarray
) -> np.ndarray:
  """Turns every image by each of its angles, as `View.render` would.

  Args:
    view: with its centre resolved. Its passes are not imitated.
    images: `[n, H, W, C]` uint8, as the dataset has them.
    angle_deg: `[n, A]`.

  Returns:
    `[n, A, size, size, C]` float32.
  """
  shape = (view.size, view.size, images.shape[-1])
  out = np.zeros((*angle_deg.shape, *shape), np.float32)
  for i, image in enumerate(images):
    center = np.asarray(view.center_of(image), np.float64)
    planes = np.moveaxis(np.asarray(view.prepare(image)), -1, 0)
    # The spline's coefficients once, not for every angle.
    splines = [scipy.ndimage.spline_filter(np.float64(p)) for p in planes]
    for j, angle in enumerate(angle_deg[i]):
      if not np.isfinite(angle):  # SciPy would show a black canvas
        out[i, j] = np.nan
        continue
      scale = float(view.scale_of(image.shape[:2], angle)[0])
      out[i, j] = _turn(splines, float(angle), center, scale, view.size)
  return np.asarray(view.finish(view.limit(np.clip(out, 0, 255))))


def _turn(splines, angle_deg, center, scale, size):
  """Splines of each channel -> `[size, size, C]`."""
  a = np.deg2rad(angle_deg)
  # Rounded: a border at -1e-15 after a quarter turn would count as outside.
  cosine, sine = np.round([np.cos(a), np.sin(a)], 12)
  matrix = scale * np.array([[cosine, sine], [-sine, cosine]])
  offset = center - matrix @ np.full(2, (size - 1) / 2)
  return np.stack(
    [
      scipy.ndimage.affine_transform(
        spline,
        matrix,
        offset,
        (size, size),
        order=3,
        prefilter=False,
      )
      for spline in splines
    ],
    axis=-1,
  )
