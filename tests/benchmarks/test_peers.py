"""The peers compute what rotjax computes, or a ratio would mean nothing."""

import jax
import numpy as np
import peers_jax
import programs
import pytest

from rotjax import angles as angles_lib
from rotjax.image import view as view_lib
from rotjax.image import warp
from rotjax.run import experiment as experiment_lib

SIZE = 12


def smooth(count, size=SIZE):
  """Uint8 pictures without sharp edges: kernels differ in rounding alone."""
  y, x = np.mgrid[:size, :size] / size
  rng = np.random.default_rng(0)
  phase = rng.uniform(0, 6, (count, 2, 1, 1))
  wave = np.sin(5 * x + phase[:, 0]) * np.cos(4 * y + phase[:, 1])
  # Dark at the border, where libraries disagree by convention.
  window = np.sin(np.pi * (y + 0.5 / size)) * np.sin(np.pi * (x + 0.5 / size))
  return np.uint8(127 * (1 + wave) * window)[..., None]


@pytest.fixture
def batch():
  return smooth(6), np.float32([0, 10, 90, 123.4, 250, 359])


def own(images, degrees):
  return np.asarray(jax.vmap(warp.rotate)(images, degrees))


def test_map_coordinates_turns_alike(batch):
  images, degrees = batch
  found = jax.vmap(peers_jax.map_coordinates)(images, degrees)
  np.testing.assert_allclose(found, own(*batch), atol=0.5)


def test_torch_turns_alike(batch):
  torch = pytest.importorskip("torch")
  import peers_torch

  images, degrees = batch
  source = torch.from_numpy(np.moveaxis(images, -1, 1).astype(np.float32))
  found = peers_torch.rotate(source, torch.from_numpy(degrees)).numpy()
  np.testing.assert_allclose(np.moveaxis(found, 1, -1), own(*batch), atol=0.5)


def test_torch_network_and_loss_are_ours():
  torch = pytest.importorskip("torch")
  import peers_torch

  built = experiment_lib.Experiment.bound_to(
    programs.classic(view__size=SIZE), (SIZE, SIZE, 1)
  )
  params = jax.device_get(built.init_state(0).params)
  net = peers_torch.network(SIZE).eval()
  linear = [m for m in net if hasattr(m, "weight")]
  for name, layer in zip(("conv0", "conv1", "hidden", "out"), linear):
    kernel = params[name]["kernel"]
    if name == "hidden":  # flattened channels first there
      side = (SIZE - 4) // 2
      kernel = kernel.reshape(side, side, 64, -1).transpose(2, 0, 1, 3)
      kernel = kernel.reshape(-1, kernel.shape[-1])
    axes = (3, 2, 0, 1) if "conv" in name else (1, 0)
    layer.weight.data = torch.from_numpy(kernel.transpose(axes).copy())
    layer.bias.data = torch.from_numpy(params[name]["bias"].copy())
  inputs = smooth(6).astype(np.float32) / 255
  degrees = np.float32([0, 10, 90, 123.4, 250, 359])
  outputs = built.model.apply(params, {}, inputs)[0]
  theirs = net(torch.from_numpy(np.moveaxis(inputs, -1, 1).copy()))
  np.testing.assert_allclose(theirs.detach(), outputs, atol=1e-5)
  loss = built.head.loss(outputs, angles_lib.wrap(np.deg2rad(degrees))).mean()
  found = peers_torch.cosine_loss(theirs, torch.from_numpy(degrees))
  assert float(found.detach()) == pytest.approx(float(loss), abs=1e-5)


def test_torch_step_trains():
  pytest.importorskip("torch")
  import peers_torch

  for last in (False, True):
    call = peers_torch.stepper(smooth(8), 4, channels_last=last, steps=2)
    call()


@pytest.fixture
def keras_peers(monkeypatch):
  pytest.importorskip("cv2")
  monkeypatch.setenv("KERAS_BACKEND", "jax")
  pytest.importorskip("keras")
  import peers_keras

  with jax.numpy_rank_promotion("allow"):  # as Keras needs
    yield peers_keras


def test_opencv_generator_makes_our_view(keras_peers):
  view = keras_peers.View((6.0, 6.0), disc=True)
  ours = view_lib.View(size=SIZE, center="6,6", fineness=0.0)
  for degrees, shift in ((0, (0, 0)), (30, (0.5, -1)), (200, (-0.25, 0.75))):
    image = smooth(1)[0]
    draw = view_lib.Draw(np.float32(degrees), shift=shift)
    expected = np.asarray(ours.render(image, draw))
    found = view.render(image, degrees, shift)
    assert found.shape == expected.shape
    # OpenCV gives whole grey levels, off 32nds of a pixel in some versions.
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_keras_networks_have_our_sizes(keras_peers):
  classic = experiment_lib.Experiment.bound_to(programs.classic(), (28, 28, 1))
  rotnet = experiment_lib.Experiment.bound_to(
    programs.classic(
      model__widths=(64, 64),
      model__dropout=0.25,
      head__name="bins",
      head__num_bins=360,
      head__loss="cross_entropy",
    ),
    (28, 28, 1),
  )
  for built, recipe in (
    (classic, keras_peers.forum()),
    (rotnet, keras_peers.rotnet()),
  ):
    own_count = sum(x.size for x in jax.tree.leaves(built.init_state(0).params))
    assert recipe.model.count_params() == own_count


def test_keras_recipes_decode_what_they_are_told(keras_peers):
  degrees = np.array([0.0, 45.0, 359.0])
  forum, rotnet = keras_peers.forum(SIZE), keras_peers.rotnet(SIZE)
  found = forum.decode(forum.targets(degrees)) % 360
  np.testing.assert_allclose(found, degrees, atol=1e-3)
  classes = np.eye(360)[rotnet.targets(degrees)]
  np.testing.assert_array_equal(rotnet.decode(classes), degrees)
  drawn = rotnet.draw(np.random.default_rng(0), 1000)
  assert set(drawn) <= set(range(360))


# Keras' own: its variables do not take `copy` yet.
@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_keras_step_trains(keras_peers):
  recipe = keras_peers.forum(SIZE)
  before = [w.copy() for w in recipe.model.get_weights()]
  view = keras_peers.View((5.5, 5.5), jitter=1.0, disc=True)
  keras_peers.stepper(recipe, view, smooth(8), 4)()
  assert any((a != b).any() for a, b in zip(before, recipe.model.get_weights()))
