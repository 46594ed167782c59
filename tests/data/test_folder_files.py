"""Picture files nobody vouches for: found, read, made into squares."""

import io
import os
import struct
import zlib

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageCms
import pytest

from rotjax import errors, picture_files, pictures
from rotjax.data import folder_files, folders


def _noise(*shape, seed=0, dtype=np.uint8):
  top = np.iinfo(dtype).max + 1
  rng = np.random.default_rng(seed)
  return rng.integers(0, top, shape).astype(dtype)


def _smooth(height, width):
  """A colour picture that survives JPEG: a slope and two waves."""
  y, x = np.mgrid[:height, :width]
  waves = [
    255 * y / height,
    127 + 120 * np.sin(x / width * 9),
    127 + 120 * np.cos((x + y) / width * 7),
  ]
  return np.rint(np.stack(waves, -1)).astype(np.uint8)


def _read(root, name, side=16, channels=3):
  with pictures.strict():
    return folder_files.read(root, folder_files.File(name), side, channels)


def _pixels(root, name, side=16, channels=3):
  square = _read(root, name, side, channels)
  assert square.reason == ""
  with PIL.Image.open(io.BytesIO(square.png)) as picture:
    assert picture.mode == {1: "L", 3: "RGB"}[channels]
    return np.asarray(picture)


def _png(pixels, size=None):
  """A PNG of big-endian pixels, which may claim another size."""

  def chunk(kind, data):
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum

  height, width = size or pixels.shape[:2]
  rows = b"".join(b"\0" + row.tobytes() for row in pixels)
  bits = 8 * pixels.itemsize
  return (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(rows))
    + chunk(b"IEND", b"")
  )


def _lanczos(pixels, side):
  """The central square resized, in float64, from the kernel's definition."""
  short = min(pixels.shape[:2])

  def weights(length):
    start, scale = (length - short) / 2, short / side
    centers = start + (np.arange(side) + 0.5) * scale
    at = np.arange(length) + 0.5
    t = (at - centers[:, None]) / max(scale, 1.0)
    w = np.sinc(t) * np.sinc(t / 3) * (np.abs(t) < 3)
    return w / w.sum(1, keepdims=True)

  rows, columns = (weights(length) for length in pixels.shape[:2])
  found = np.einsum(
    "ij,kl,jl...->ik...", rows, columns, pixels.astype(np.float64)
  )
  return found.clip(0, 255)


@pytest.mark.parametrize(
  "ending", ["png", "bmp", "tiff", "webp", "jpg", "JPEG"]
)
@pytest.mark.parametrize("shape", [(40, 57), (57, 40), (9, 12), (16, 16)])
def test_the_square_is_lanczos_of_the_middle(tmp_path, ending, shape):
  pixels = _smooth(*shape)
  file = tmp_path / f"x.{ending}"
  options = {"lossless": True} if ending == "webp" else {}
  if ending.lower() in ("jpg", "jpeg"):
    options = {"quality": 100, "subsampling": 0}
  PIL.Image.fromarray(pixels).save(file, **options)
  got = _pixels(tmp_path, file.name)
  lossy = ending.lower() in ("jpg", "jpeg")
  # Pillow rounds after each axis.
  np.testing.assert_allclose(
    got, _lanczos(pixels, 16), atol=5 if lossy else 1.6
  )


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_the_shortcuts_for_large_pictures_are_not_seen(tmp_path, ending):
  # 20 times the side: the JPEG is decoded at a quarter, the PNG reduced first.
  pixels = _smooth(320, 380)
  options = {"quality": 98, "subsampling": 0} if ending == "jpg" else {}
  PIL.Image.fromarray(pixels).save(tmp_path / f"x.{ending}", **options)
  got = _pixels(tmp_path, f"x.{ending}")
  np.testing.assert_allclose(got, _lanczos(pixels, 16), atol=3)


def test_fine_texture_is_averaged_not_sampled(tmp_path):
  # A checkerboard of single pixels is even grey once it is made smaller.
  board = (np.indices((160, 200)).sum(0) % 2 * 255).astype(np.uint8)
  PIL.Image.fromarray(board).save(tmp_path / "x.png")
  got = _pixels(tmp_path, "x.png", channels=1)
  np.testing.assert_allclose(got, 127.5, atol=2)


# What a viewer shows of stored pixels, for each EXIF orientation.
_SHOWN = {
  2: lambda x: x[:, ::-1],
  3: lambda x: x[::-1, ::-1],
  6: lambda x: np.rot90(x, -1),
  8: lambda x: np.rot90(x, 1),
}


@pytest.mark.parametrize("orientation", _SHOWN)
def test_exif_orientation_is_applied(tmp_path, orientation):
  stored = _noise(16, 16, 3)
  exif = PIL.Image.Exif()
  exif[PIL.ExifTags.Base.Orientation] = orientation
  PIL.Image.fromarray(stored).save(tmp_path / "x.png", exif=exif)
  np.testing.assert_array_equal(
    _pixels(tmp_path, "x.png"), _SHOWN[orientation](stored)
  )


def test_every_kind_of_pixel_by_one_rule(tmp_path):
  rgb, alpha = _noise(16, 16, 3), _noise(16, 16, 1, seed=1)
  deep = _noise(16, 16, dtype=np.uint16)
  frames = [PIL.Image.fromarray(_noise(16, 16, 3, seed=s)) for s in (2, 3)]
  PIL.Image.fromarray(np.concatenate([rgb, alpha], -1)).save(
    tmp_path / "alpha.png"
  )
  PIL.Image.fromarray(deep).save(tmp_path / "deep.png")
  PIL.Image.fromarray(deep).save(tmp_path / "deep.tif")
  (tmp_path / "deep_colours.png").write_bytes(
    _png(_noise(16, 16, 3, dtype=">u2"))
  )
  few = PIL.Image.fromarray(rgb).quantize(16)
  few.save(tmp_path / "palette.png")
  PIL.Image.fromarray(rgb[..., 0]).save(tmp_path / "grey.png")
  PIL.Image.fromarray(rgb[..., 0] > 127).save(tmp_path / "bits.png")
  frames[0].copy().save(  # Pillow leaves the encoder's options behind
    tmp_path / "frames.jpg",  # as phones write them
    "MPO",
    save_all=True,
    append_images=[frames[1].copy()],
    quality=100,
    subsampling=0,
  )
  for ending in ("webp", "tiff"):
    options = {"lossless": True} if ending == "webp" else {}
    frames[0].save(
      tmp_path / f"frames.{ending}",
      save_all=True,
      append_images=frames[1:],
      **options,
    )
  share = alpha / 255
  eight = np.rint(deep / 257)
  wanted = {
    "alpha.png": share * rgb + (1 - share) * 255,  # over white
    "deep.png": eight[..., None],
    "deep.tif": eight[..., None],
    "palette.png": np.asarray(few.convert("RGB")),
    "grey.png": rgb[..., :1],
    "bits.png": 255 * (rgb[..., :1] > 127),
    "frames.webp": np.asarray(frames[0]),  # the first
    "deep_colours.png": _noise(16, 16, 3, dtype=">u2") / 257.0,
    "frames.tiff": np.asarray(frames[0]),
  }
  for name, pixels in wanted.items():
    pixels = np.broadcast_to(pixels, (16, 16, 3))
    np.testing.assert_allclose(_pixels(tmp_path, name), pixels, atol=1.01)
    grey = pixels @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(
      _pixels(tmp_path, name, channels=1), grey, atol=1.51
    )
  first = _pixels(tmp_path, "frames.jpg").astype(float)
  assert np.abs(first - np.asarray(frames[0])).mean() < 3


def test_a_colour_profile_is_not_carried_along(tmp_path):
  profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB"))
  PIL.Image.fromarray(_noise(16, 16, 3)).save(
    tmp_path / "x.png", icc_profile=profile.tobytes(), dpi=(300, 300)
  )
  with PIL.Image.open(io.BytesIO(_read(tmp_path, "x.png").png)) as picture:
    assert not picture.info


@pytest.mark.parametrize("side", [10_000, 60_000])  # warned of, refused
def test_a_bomb_is_known_by_its_header(tmp_path, side):
  import tracemalloc

  (tmp_path / "x.png").write_bytes(_png(_noise(4, 4, 3), (side, side)))
  tracemalloc.start()
  try:
    square = _read(tmp_path, "x.png")
    peak = tracemalloc.get_traced_memory()[1]
  finally:
    tracemalloc.stop()
  assert square.reason == "more than 89478485 pixels, Pillow's limit"
  assert len(square.digest) == 64 and not square.png
  assert peak < 10e6


def test_a_file_too_large_to_be_one(tmp_path, monkeypatch):
  monkeypatch.setattr(folder_files, "MAX_BYTES", 1000)
  with open(tmp_path / "x.png", "wb") as file:
    file.truncate(10**12)  # sparse: it takes no room
  assert _read(tmp_path, "x.png").reason == "more than 1000 bytes"


@pytest.mark.parametrize("ending", ["jpg", "png", "tiff", "bmp", "webp"])
@pytest.mark.parametrize("share", [0, 0.01, 0.4, 0.9])
def test_truncated_files_have_a_reason(tmp_path, ending, share):
  file = tmp_path / f"x.{ending}"
  PIL.Image.fromarray(_noise(40, 40, 3)).save(file)
  whole = file.read_bytes()
  file.write_bytes(whole[: int(share * len(whole))])
  square = _read(tmp_path, file.name)
  assert square.reason and "\n" not in square.reason
  assert not square.png


@pytest.mark.parametrize("name", ["x.gif", "x.ico", "x.svg"])
def test_other_formats_are_refused_whatever_their_name(tmp_path, name):
  if name == "x.svg":
    (tmp_path / name).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
  else:
    PIL.Image.fromarray(_noise(32, 32, 3)).save(tmp_path / name)
  os.rename(tmp_path / name, tmp_path / "x.png")
  assert _read(tmp_path, "x.png").reason == "not a picture that can be read"


def test_links_pipes_and_what_is_gone_are_not_opened(tmp_path):
  inside, outside = tmp_path / "in", tmp_path / "out"
  inside.mkdir()
  outside.mkdir()
  PIL.Image.fromarray(_noise(16, 16, 3)).save(outside / "x.png")
  os.symlink(outside, inside / "folder")
  os.symlink(outside / "x.png", inside / "file.png")
  os.mkfifo(inside / "pipe.png")
  (inside / "x.png").mkdir()
  link = "a symbolic link, which is not followed"
  handles = len(os.listdir("/dev/fd"))
  for name, reason in (
    ("folder/x.png", link),
    ("file.png", link),
    ("pipe.png", "not a regular file"),
    ("x.png", "not a regular file"),
    ("gone.png", "No such file or directory"),
  ):
    square = _read(inside, name)
    assert (square.reason, square.digest) == (reason, "")
    assert len(os.listdir("/dev/fd")) == handles


def test_walk_finds_pictures_below_and_nothing_else(tmp_path):
  outside = tmp_path / "out"
  outside.mkdir()
  (outside / "secret.png").write_bytes(b"x")
  root = tmp_path / "in"
  (root / "a" / "b").mkdir(parents=True)
  (root / ".hidden").mkdir()
  for name in (
    *("z.PNG", "a/y.jpeg", "a/b/x.tif", "a/notes.txt", "a/.dot.png"),
    *(".hidden/x.png", "a/b/table.csv"),
  ):
    (root / name).write_bytes(b"12345")
  os.symlink(root, root / "a" / "loop")
  os.symlink(outside, root / "away")
  os.symlink(outside / "secret.png", root / "link.png")
  os.mkfifo(root / "pipe.png")
  found = folder_files.walk(root)
  link = "a symbolic link, which is not followed"
  assert [f.size for f in found.files if not f.reason] == [5, 5, 5]
  assert {f.name: f.reason for f in found.files} == {
    "a/b/x.tif": "",
    "a/y.jpeg": "",
    "link.png": link,
    "pipe.png": "not a regular file",
    "z.PNG": "",
  }
  assert dict(found.others) == {"a/loop": link, "away": link}


def test_a_name_that_is_not_utf_8(tmp_path):
  name = os.fsdecode(b"caf\xe9\n\x1b[31m.png")
  PIL.Image.fromarray(_noise(16, 16, 3)).save(tmp_path / "x.png")
  os.rename(tmp_path / "x.png", tmp_path / name)
  (file,) = folder_files.walk(tmp_path).files
  assert file.name == name
  assert _read(tmp_path, file.name).reason == ""
  assert folder_files.printable(name) == r"caf\xe9\n\x1b[31m.png"


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
  (tmp_path / "open").mkdir()
  (tmp_path / "open" / "x.png").write_bytes(b"1")
  (tmp_path / "shut").mkdir()
  scandir = os.scandir

  def refuse(path):  # the superuser, who may run the tests, reads everything
    if str(path).rstrip("/").endswith("shut"):
      raise PermissionError(13, "Permission denied", path)
    return scandir(path)

  monkeypatch.setattr(os, "scandir", refuse)
  found = folder_files.walk(tmp_path)
  assert [f.name for f in found.files] == ["open/x.png"]
  assert found.others == (("shut", "Permission denied"),)
  with pytest.raises(errors.UserError, match="cannot be read: Permission"):
    folder_files.walk(tmp_path / "shut")


def test_a_folder_of_results_that_is_named_itself(tmp_path):
  (tmp_path / ".rotjax-upright").touch()
  (tmp_path / "a.png").touch()
  found = folder_files.walk(tmp_path)
  assert [f.name for f in found.files] == ["a.png"] and not found.others


def test_pictures_that_predict_reads_are_known_here(tmp_path):
  for ending in picture_files.endings():
    (tmp_path / f"x{ending}").touch()
  found = folder_files.walk(tmp_path)
  assert {os.path.splitext(f.name)[1] for f in found.files} == set(
    folder_files.ENDINGS
  )
  assert len(found.files) + len(found.others) == len(picture_files.endings())


def test_home_in_a_folders_name(tmp_path, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path))
  assert folder_files.folder("~") == tmp_path


def test_no_home_at_all(tmp_path, monkeypatch):
  """Without one no folder named ~ is made."""
  monkeypatch.setattr(os.path, "expanduser", lambda path: path)
  monkeypatch.chdir(tmp_path)
  for name, find in (
    ("XDG_CACHE_HOME", folders.cache_root),
    ("TFDS_DATA_DIR", folders.tfds_root),
  ):
    monkeypatch.delenv(name)
    with pytest.raises(errors.UserError, match="home folder is not known"):
      find()
  with pytest.raises(errors.UserError, match="'?~'?.* does not exist"):
    folder_files.folder("~")


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("", "data.dir is not set.*--config.data.dir=PATH"),
    ("nowhere", "does not exist"),
    ("file", "is not a folder"),
    ("nul\0l", r"nul.x00l does not exist"),
    ("x" * 300, "does not exist"),
  ],
)
def test_no_such_folder(tmp_path, name, message):
  (tmp_path / "file").write_text("")
  given = str(tmp_path / name) if name else ""
  with pytest.raises(errors.UserError, match=message):
    folder_files.folder(given)
