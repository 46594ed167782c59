"""Pictures written back: whole, in their own kind, never over anything."""

import io
import os
import pathlib
import random
import resource
import struct
import types
import warnings
import zlib

import numpy as np
import PIL.ExifTags
import PIL.features
import PIL.Image
import PIL.PngImagePlugin
import PIL.TiffImagePlugin
import pytest

from rotjax import errors
from rotjax.image import pictures
from rotjax.prediction import contact_sheet, journal, outputs, rewrite, upright

_TAGS = PIL.ExifTags.Base
_Y, _X = np.mgrid[:40, :60]
# Smooth, so that what lossy formats lose is little.
_RAMP = np.stack(
  [_X * 4, _Y * 6, (_X + _Y) * 2, np.where(_X < 30, 255, 100)], -1
).astype(np.uint8)


def _picture(mode):
  colours = PIL.Image.fromarray(_RAMP)
  if mode == "1":
    return PIL.Image.fromarray(_RAMP[..., 0]).convert("1")
  if mode == "P":
    return colours.convert("RGB").quantize(16)
  if mode == "P, one clear":
    picture = colours.convert("RGB").quantize(16)
    picture.info["transparency"] = 3
    return picture
  if mode == "P, many clear":
    return colours.quantize(16)
  if mode == "I;16":
    return PIL.Image.fromarray(_RAMP[..., 0].astype(np.uint16) * 257)
  if mode == "I":
    return PIL.Image.fromarray(_RAMP[..., 0].astype(np.int32) * 257)
  if mode == "F":
    return PIL.Image.fromarray(_RAMP[..., 0].astype(np.float32))
  return (
    colours.convert("RGB").convert(mode)
    if mode == "CMYK"
    else (colours.convert(mode))
  )


_MODES = (
  *("1", "L", "LA", "P", "P, one clear", "P, many clear", "RGB", "RGBA"),
  *("CMYK", "I;16", "I", "F"),
)


def _deep_or_rgba(path):
  picture = pictures.read(path)
  if pictures.is_deep(picture):
    return picture.mode, np.asarray(picture).astype(float) / 257
  return picture.mode, np.asarray(picture.convert("RGBA")).astype(float)


@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize("form", pictures.formats())
def test_a_picture_comes_back_as_it_was_or_not_at_all(tmp_path, form, mode):
  file, out = tmp_path / "x", tmp_path / "out"
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")  # modes that Pillow will drop
      _picture(mode).save(file, format=form)
  except (OSError, ValueError):
    assert not (form in ("PNG", "TIFF") and mode in ("1", "L", "RGB", "I;16"))
    return  # no such file exists
  try:
    picture = pictures.read(file)
    upright.turn_back(picture, 33.0)
    changed = rewrite.save(upright.turn_back(picture, 0.0), file, out)
  except pictures.Unusable as error:
    assert mode in ("I", "F"), error
    assert not out.exists()
    return
  assert changed == ()
  before, after = _deep_or_rgba(file), _deep_or_rgba(out)
  # All colours of a GIF come from a palette; nothing else changes its mode.
  assert after[0].rstrip(";16") == before[0].rstrip(";16") or form == "GIF"
  lossy = form in ("AVIF", "JPEG", "WEBP")
  shown = [
    values[..., :3] * values[..., 3:] / 255 if values.ndim == 3 else values
    for _, values in (before, after)
  ]
  apart = np.abs(shown[0] - shown[1])
  assert apart.mean() < 3 if lossy else apart.max() <= 2
  with PIL.Image.open(out) as written, PIL.Image.open(file) as original:
    assert written.format == original.format


@pytest.mark.parametrize("angle", [7.0, 90.0, -133.0])
def test_one_bit_stays_one_bit(angle):
  picture = _picture("1")
  turned = upright.turn_back(picture, angle)
  grey = upright.turn_back(picture.convert("L"), angle)
  assert turned.mode == "1"
  np.testing.assert_array_equal(np.asarray(turned), np.asarray(grey) > 127)


@pytest.mark.parametrize("mode", ["P", "P, one clear", "P, many clear"])
def test_a_palette_stays_and_gives_the_nearest_colours(mode):
  picture = _picture(mode)
  fill = "black" if mode == "P" else "auto"
  turned = upright.turn_back(picture, 21.0, fill=fill)
  assert turned.mode == "P"
  assert turned.getpalette() == picture.getpalette()
  wanted = np.asarray(upright.turn_back(picture.convert("RGBA"), 21.0)).astype(
    float
  )
  found = np.asarray(turned.convert("RGBA")).astype(float)
  colours = np.unique(
    np.asarray(picture.convert("RGBA")).reshape(-1, 4), axis=0
  ).astype(float)
  if mode == "P":  # no corner can be empty
    wanted[..., :3] *= wanted[..., 3:] / 255
    wanted[..., 3] = 255
  for values in (wanted, found, colours):
    values[..., :3] *= values[..., 3:] / 255
  best = np.sqrt(((wanted[..., None, :] - colours) ** 2).sum(-1)).min(-1)
  apart = np.sqrt(((wanted - found) ** 2).sum(-1))
  # Rounding, and the edge, where black and clear are blended otherwise.
  assert (apart <= best + 3).mean() > 0.98
  if mode == "P, one clear":
    assert found[0, 0, 3] == 0


@pytest.mark.parametrize(
  "compression,mode",
  [
    *(("group3", "1"), ("group4", "1"), ("tiff_ccitt", "1")),
    *(("raw", "RGB"), ("packbits", "L"), ("tiff_lzw", "RGB"), ("jpeg", "RGB")),
    *(("tiff_adobe_deflate", "RGBA"), ("tiff_lzw", "P"), ("tiff_lzw", "I;16")),
  ],
)
def test_a_tiff_keeps_its_compression(tmp_path, compression, mode):
  file, out = tmp_path / "x.tif", tmp_path / "out.tif"
  _picture(mode).save(file, compression=compression)
  turned = upright.turn_back(pictures.read(file), 9.0)
  assert rewrite.save(turned, file, out) == ()
  with PIL.Image.open(out) as written:
    assert written.info["compression"] == compression
    assert written.mode == mode
    if compression != "jpeg":
      np.testing.assert_array_equal(np.asarray(written), np.asarray(turned))


def test_a_compression_that_is_not_written_becomes_lossless(tmp_path, capfd):
  file, out = tmp_path / "x.tif", tmp_path / "out.tif"
  _picture("1").save(file, compression="tiff_raw_16")
  turned = _picture("1")
  (words,) = rewrite.save(turned, file, out)
  assert words == "compression tiff_raw_16 (deflate instead)"
  with PIL.Image.open(out) as written:
    np.testing.assert_array_equal(np.asarray(written), np.asarray(turned))
  assert capfd.readouterr().err == ""  # of the library's own


def test_a_lossless_webp_stays_lossless(tmp_path):
  noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
  picture = PIL.Image.fromarray(noise)
  for exif in (b"", PIL.Image.Exif().tobytes()):
    file, out = tmp_path / "x.webp", tmp_path / f"out{len(exif)}.webp"
    picture.save(file, lossless=True, exif=exif)
    rewrite.save(picture, file, out)
    with PIL.Image.open(out) as written:
      np.testing.assert_array_equal(np.asarray(written), noise)


def _png_chunk(name, body):
  end = struct.pack(">I", zlib.crc32(name + body))
  return struct.pack(">I", len(body)) + name + body + end


def _deep_png(colour, channels, *chunks):
  header = struct.pack(">IIBBBBB", 8, 4, 16, colour, 0, 0, 0)
  rows = b"".join(b"\0" + bytes(range(16 * channels)) for _ in range(4))
  return b"".join(
    [
      b"\x89PNG\r\n\x1a\n",
      _png_chunk(b"IHDR", header),
      *chunks,
      _png_chunk(b"IDAT", zlib.compress(rows)),
      _png_chunk(b"IEND", b""),
    ]
  )


def _jp2_of_16_bits():
  data = io.BytesIO()
  _picture("RGB").save(data, "JPEG2000", no_jp2=True)
  found = bytearray(data.getvalue())
  found[42] = 15  # Ssiz of the first component: 16 bits
  return bytes(found)


@pytest.mark.parametrize(
  "data,words",
  [
    (_deep_png(2, 3), "more than 8 bits a colour"),
    (_deep_png(4, 2), "more than 8 bits a colour"),
    (_deep_png(6, 4), "more than 8 bits a colour"),
    (b"P6\n2 2\n65535\n" + bytes(24), "more than 8 bits a colour"),
    (_jp2_of_16_bits(), "more than 8 bits a colour"),
    (
      _deep_png(0, 1, _png_chunk(b"tRNS", b"\0\1")),
      "16 bits and transparency",
    ),
  ],
)
def test_what_would_lose_bits_is_refused(tmp_path, data, words):
  file, out = tmp_path / "x", tmp_path / "out"
  file.write_bytes(data)
  with pytest.raises(pictures.Unusable, match=words):
    rewrite.save(_picture("RGB"), file, out)
  assert not out.exists()


def test_a_jpeg_2000_with_its_pixels_far_behind_is_taken(tmp_path):
  data = io.BytesIO()
  _picture("RGB").save(data, "JPEG2000")
  found = data.getvalue()
  at = found.index(b"jp2c") - 4
  box = struct.pack(">I4s", 70_024, b"uuid") + bytes(range(16)) + bytes(70_000)
  (tmp_path / "x").write_bytes(found[:at] + box + found[at:])
  assert rewrite.original(tmp_path / "x").form == "JPEG2000"


@pytest.mark.skipif(not PIL.features.check("avif"), reason="Pillow's own")
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_an_avif_states_its_bits(bits):
  data = io.BytesIO()
  _picture("RGB").save(data, "AVIF")
  found = data.getvalue().replace(b"\3\x08\x08\x08", b"\3" + bytes([bits] * 3))
  file = types.SimpleNamespace(fp=io.BytesIO(found), mode="RGB")
  assert rewrite._is_cut_to_8_bits(file, "AVIF") == (bits > 8)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_several_pages_are_refused_and_mpo_is_one(tmp_path, form):
  file = tmp_path / "x"
  first, second = _picture("L"), _picture("L").transpose(1)
  first.save(file, format=form, save_all=True, append_images=[second])
  if form == "MPO":
    assert rewrite.original(file).form == "JPEG"
    return
  with pytest.raises(pictures.Unusable, match="has 2 pages or frames"):
    rewrite.original(file)


@pytest.mark.parametrize("kind,pages", [(0, 2), (1, 1), (2, 2), (4, 1)])
def test_a_smaller_version_in_a_tiff_is_no_page(tmp_path, kind, pages):
  file = tmp_path / "x.tif"
  data = io.BytesIO()
  writer = PIL.TiffImagePlugin.AppendingTiffWriter(data, new=True)
  _picture("L").save(writer, "TIFF")
  writer.newFrame()
  _picture("L").reduce(2).save(writer, "TIFF", tiffinfo={254: kind})
  writer.finalize()
  file.write_bytes(data.getvalue())
  if pages == 1:
    assert rewrite.save(_picture("L"), file, tmp_path / "out.tif") == ()
  else:
    with pytest.raises(pictures.Unusable, match="has 2 pages"):
      rewrite.original(file)


def test_what_is_turned_has_no_more_pixels_than_are_read(monkeypatch):
  strip = PIL.Image.new("L", (2_000_000, 1), 200)
  with pytest.raises(pictures.Unusable, match="more than Pillow's limit"):
    upright.turn_back(strip, 40.0, "expand")
  assert upright.turn_back(strip, 40.0, "crop").size == (1, 1)
  assert upright.turn_back(strip, 40.0, "same").size == strip.size
  tall = PIL.Image.new("RGB", (3, 65_000))
  with pytest.raises(pictures.Unusable, match="more than Pillow's limit"):
    upright.turn_back(tall, 45.0)
  pair = contact_sheet.pair(strip, 40.0, "expand", "x")
  assert max(*pair.before.size, *pair.after.size) <= 320
  monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", None)
  assert upright.turn_back(_picture("L"), 45.0).size == (71, 71)


@pytest.mark.parametrize("angle", [3.0, -48.0, 90.0, 135.0, 179.0])
@pytest.mark.parametrize("fit", ["expand", "same"])
def test_turning_is_pillows_own(fit, angle):
  picture = _picture("RGB")
  wanted = np.asarray(
    picture.rotate(-angle, pictures.BICUBIC, expand=fit == "expand"), float
  )
  found = np.asarray(upright.turn_back(picture, angle, fit, "black"), float)
  # Pillow's expanded canvas may be one pixel larger each way.
  apart = np.subtract(wanted.shape, found.shape)[:2]
  assert apart.min() >= 0 and apart.max() <= 2
  if not apart.any():
    assert np.abs(found - wanted).max() <= 1


# Metadata.


def _odd_exif(rng):
  """A TIFF block of tags with types and counts that may not fit them."""
  order = rng.choice("<>")
  tags = [_TAGS.Make, _TAGS.Orientation, _TAGS.XResolution, _TAGS.Software]
  tags += [0x8769, 0x8825, 0xA005, 0x927C, 0x9286, 0x829A, 0x0201, 0x02BC]
  count = rng.randrange(10)
  out, extra = struct.pack(order + "H", count), b""
  for _ in range(count):
    kind, length = rng.randrange(14), rng.choice([0, 1, 2, 9, 40, 2**31])
    value = struct.pack(order + "I", rng.randrange(2**32))
    if rng.random() < 0.5:
      value = struct.pack(order + "I", 14 + 12 * count + len(extra))
      extra += rng.randbytes(8 * min(length, 40))
    tag = rng.choice([*tags, rng.randrange(65536)])
    out += struct.pack(order + "HHI", tag, kind, length) + value
  start = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order]
  block = bytearray(start + out + bytes(4) + extra)
  if rng.random() < 0.3:
    block[rng.randrange(len(block))] = rng.randrange(256)
  return bytes(block[: rng.choice([len(block), rng.randrange(8, 60)])])


_XMP = (
  b'<x:xmpmeta><d tiff:Orientation="6" a="kept"/></x:xmpmeta>',
  b"<x><tiff:Orientation>8</tiff:Orientation></x>",
  b"\xff\xfe\0<",
)


def _odd_jpeg(rng, data):
  block = b"Exif\0\0" + _odd_exif(rng)
  xmp = b"http://ns.adobe.com/xap/1.0/\0" + rng.choice(_XMP)
  icc = b"ICC_PROFILE\0\1\1" + rng.randbytes(rng.randrange(99))
  segments = [(0xE1, block), (0xE1, xmp), (0xE2, icc), (0xFE, rng.randbytes(9))]
  return (
    data[:2]
    + b"".join(
      struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body
      for mark, body in rng.sample(segments, 3)
    )
    + data[2:]
  )


def _odd_png(rng, data):
  block = _odd_exif(rng)
  raw = b"Raw profile type exif\0\nexif\n 8\n" + block.hex().encode()
  xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + rng.choice(_XMP)
  chunks = [
    *((b"eXIf", block), (b"tEXt", raw), (b"iTXt", xmp)),
    *((b"pHYs", rng.randbytes(rng.choice([9, 3]))), (b"gAMA", b"\0")),
    (b"iCCP", b"x\0\0" + zlib.compress(rng.randbytes(50))),
    *((b"zTXt", rng.randbytes(9)), (b"tEXt", b"a\0" + rng.randbytes(20))),
  ]
  body = b"".join(_png_chunk(*chunk) for chunk in rng.sample(chunks, 4))
  return data[:33] + body + data[33:]


def _odd(form, rng, picture):
  data = io.BytesIO()
  if form == "WEBP":
    picture.save(
      data, form, exif=_odd_exif(rng), xmp=rng.choice(_XMP), lossless=True
    )
  elif form == "TIFF":
    # Tags behind the directory's own, of any type.
    info = {tag: rng.randbytes(9) for tag in rng.sample((270, 305, 315), 2)}
    picture.save(data, form, tiffinfo=info)
    found = bytearray(data.getvalue())
    (at,) = struct.unpack_from("<I", found, 4)
    (count,) = struct.unpack_from("<H", found, at)
    for n in range(count):
      entry = at + 2 + 12 * n
      if struct.unpack_from("<H", found, entry)[0] in info:
        found[entry + 2] = rng.randrange(14)
        found[entry + 8 : entry + 12] = rng.randbytes(4)
    return bytes(found)
  else:
    picture.save(data, form)
  change = {"JPEG": _odd_jpeg, "PNG": _odd_png}.get(form)
  return change(rng, data.getvalue()) if change else data.getvalue()


def _rewritten(form, folder, seed, count):
  """Writes so many damaged files again; how many of them lost metadata."""
  rng = random.Random(f"{form} {seed}")
  picture = _picture("RGB")
  lost = 0
  for n in range(count):
    file, out = folder / f"{n}", folder / "out" / f"{n}"
    file.write_bytes(_odd(form, rng, picture))
    lost += bool(rewrite.save(picture, file, out))
    with pictures.strict(), PIL.Image.open(out) as written:
      assert written.format == form
      apart = np.abs(np.asarray(written, float) - np.asarray(picture)).max()
      assert apart <= (8 if form == "JPEG" else 0)
      assert written.getexif().get(_TAGS.Orientation, 1) == 1
      assert b"tiff:Orientation" not in out.read_bytes()
  return lost


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_damaged_metadata_cost_no_picture(tmp_path, form):
  assert 0 < _rewritten(form, tmp_path, 0, 40) <= 40


@pytest.mark.slow
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_thousands_of_damaged_files_cost_no_picture(tmp_path, form):
  assert 0 < _rewritten(form, tmp_path, 1, 1500) <= 1500


def test_one_odd_tag_costs_that_tag_alone(tmp_path):
  file, out = tmp_path / "x.jpg", tmp_path / "out.jpg"
  data = io.BytesIO()
  _picture("RGB").save(data, "JPEG", comment=b"hello")
  block = b"Exif\0\0" + _block(
    {_TAGS.Make: (2, b"Acme Corp\0"), 0x011A: (2, b"much text")}
  )
  found = data.getvalue()
  segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
  file.write_bytes(found[:2] + segment + found[2:])
  changed = rewrite.save(_picture("RGB"), file, out)
  assert changed == ("EXIF tag 0x011a",)
  with PIL.Image.open(out) as written:
    assert written.getexif()[_TAGS.Make] == "Acme Corp"
    assert written.info["comment"] == b"hello"


def _block(tags):
  """A TIFF block of `tag: (type, bytes)`, all of them longer than 4 bytes."""
  out, extra = struct.pack("<H", len(tags)), b""
  for tag, (kind, body) in sorted(tags.items()):
    at = 14 + 12 * len(tags) + len(extra)
    out += struct.pack("<HHII", tag, kind, len(body), at)
    extra += body
  return b"II*\0\x08\0\0\0" + out + bytes(4) + extra


def test_texts_and_xmp_are_kept_less_the_orientation(tmp_path):
  for form in ("PNG", "JPEG", "WEBP"):
    file, out = tmp_path / f"x.{form}", tmp_path / f"out.{form}"
    options = {"xmp": _XMP[0]}
    if form == "PNG":
      note = PIL.PngImagePlugin.PngInfo()
      note.add_itxt("XML:com.adobe.xmp", _XMP[0].decode())
      note.add_text("Title", "Bäume")
      note.add_text("Long", "x" * 3_000_000, zip=True)
      options = {"pnginfo": note}
      file_limit = PIL.PngImagePlugin.MAX_TEXT_CHUNK
      assert file_limit < 3_000_000
    _picture("RGB").save(file, form, **options)
    changed = rewrite.save(_picture("RGB"), file, out)
    assert changed == (("metadata, all of them",) if form == "PNG" else ())
    if form != "PNG":
      with PIL.Image.open(out) as written:
        xmp = written.info["xmp"]
        assert b'a="kept"' in xmp and b"Orientation" not in xmp


# Where results go.


def test_results_are_known_and_others_are_not(tmp_path):
  folder = outputs.Folder(tmp_path / "in" / "out")
  (tmp_path / "in" / "out" / "deep").mkdir(parents=True)
  mine = tmp_path / "in" / "out" / "mine.png"
  mine.touch()
  folder.write(pathlib.PurePath("deep/ä\udcff\n.png"), b"1", __file__)
  folder.write(pathlib.PurePath("b.png"), b"2", __file__)
  assert journal.is_result(str(tmp_path / "in" / "out" / "b.png"))
  assert journal.is_result(str(tmp_path / "in/out/deep/ä\udcff\n.png"))
  assert not journal.is_result(str(mine))
  (tmp_path / "link.png").symlink_to(tmp_path / "in" / "out" / "b.png")
  assert journal.is_result(str(tmp_path / "link.png"))
  # A list that a kill cut, or that is another's.
  listed = tmp_path / "in" / "out" / ".rotjax-written"
  listed.write_bytes(listed.read_bytes() + b'\n["x"]\n\xff\n"half')
  journal._of.cache_clear()
  assert journal.is_result(str(tmp_path / "in" / "out" / "b.png"))
  folder.write(pathlib.PurePath("c.png"), b"3", __file__)
  journal._of.cache_clear()
  assert journal.is_result(str(tmp_path / "in" / "out" / "c.png"))


def test_a_name_that_is_taken_is_refused(tmp_path):
  folder = outputs.Folder(tmp_path)
  name = pathlib.PurePath("x.png")
  folder.write(name, b"1", __file__)
  with pytest.raises(pictures.Unusable, match="in this call .*upright.py has"):
    folder.write(name, b"2", "b/x.png")
  assert (tmp_path / name).read_bytes() == b"1"
  (tmp_path / "link.png").symlink_to(tmp_path / "nothing")
  with pytest.raises(pictures.Unusable, match="exists already"):
    folder.write(pathlib.PurePath("link.png"), b"2", __file__)
  with pytest.raises(pictures.Unusable, match="cannot be written"):
    folder.write(pathlib.PurePath("x.png/y.png"), b"2", __file__)
  with pytest.raises(FileExistsError):
    outputs.write_bytes(tmp_path / name, b"2")
  assert (tmp_path / name).read_bytes() == b"1"


@pytest.mark.parametrize("links", [True, False])
def test_a_write_that_fails_or_is_killed_leaves_nothing(
  tmp_path, monkeypatch, links
):
  def refuse(*args):
    raise PermissionError(1, "no links here")

  if not links:
    monkeypatch.setattr(os, "link", refuse)
  outputs.write_bytes(tmp_path / "whole", b"abc")
  assert (tmp_path / "whole").read_bytes() == b"abc"
  with pytest.raises(FileExistsError):
    outputs.write_bytes(tmp_path / "whole", b"x")

  def stop(*args):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, "link", stop)
  monkeypatch.setattr(os, "replace", stop)
  with pytest.raises(KeyboardInterrupt):
    outputs.write_bytes(tmp_path / "new", b"abc")
  assert [p.name for p in tmp_path.iterdir()] == ["whole"]


def test_a_full_disk_is_one_reason_and_leaves_nothing(tmp_path):
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
  try:
    with pytest.raises(pictures.Unusable, match="written: File too large"):
      outputs.Folder(tmp_path).write(
        pathlib.PurePath("x"), bytes(9999), __file__
      )
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert [p.name for p in tmp_path.iterdir()] == [".rotjax-written"]
  folder = outputs.Folder(pathlib.Path("/dev/null/out"))
  with pytest.raises(pictures.Unusable, match="cannot be written: Not a dir"):
    folder.write(pathlib.PurePath("x.png"), b"1", __file__)


# The contact sheet.


def test_a_sheets_name_is_checked_as_it_will_be(tmp_path):
  (tmp_path / "sheet.png").write_text("mine")
  for name in ("sheet", "sheet.png"):
    with pytest.raises(errors.UserError, match="sheet.png exists already"):
      contact_sheet.final_name(str(tmp_path / name))
  with pytest.raises(errors.UserError, match="does not end in .png"):
    contact_sheet.final_name(str(tmp_path / "sheet.pdf"))
  with pytest.raises(errors.UserError, match="no such folder"):
    contact_sheet.final_name(str(tmp_path / "nothing" / "x.png"))
  assert contact_sheet.final_name("other").name == "other.png"
  (tmp_path / "link.png").symlink_to(tmp_path / "nothing")
  with pytest.raises(errors.UserError, match="exists already"):
    contact_sheet.final_name(str(tmp_path / "link"))


_NAMES = (
  *("$a_1$ $b.png", "$", "\\frac{", "100% #&~^_{}", "…" * 9, "", " "),
  *("写真.png", "हिन्दी.jpg", "مرحبا.png", "\U0001f600\U000f0000", "x" * 9999),
)


def test_names_of_any_kind_are_drawn_without_a_word(tmp_path, capfd, recwarn):
  pairs = [
    contact_sheet.pair(_picture("RGB"), 5.0, "same", f"{name}\nturned")
    for name in _NAMES
  ]
  contact_sheet.write(pairs, tmp_path / "sheet.png")
  assert capfd.readouterr() == ("", "") and not recwarn.list
  with PIL.Image.open(tmp_path / "sheet.png") as sheet:
    # Something dark where each name but the empty ones is.
    cells = np.asarray(sheet.convert("L"))[:, : sheet.width]
  height, width = cells.shape[0] // 3, cells.shape[1] // 4
  for n, name in enumerate(_NAMES):
    top, left = n // 4 * height, n % 4 * width
    ink = (cells[top + 12 : top + 31, left : left + width] < 128).any()
    assert ink == bool(name.strip()), name
  assert contact_sheet.is_one(pictures.read(tmp_path / "sheet.png"))
  assert not contact_sheet.is_one(_picture("RGB"))


def test_what_no_font_has_is_a_question_mark(monkeypatch):
  monkeypatch.setattr(contact_sheet, "_installed", lambda: ("no such.ttf",))
  assert contact_sheet._set_type("a\u5199b", 300)[0] == "a?b"
  text, font = contact_sheet._set_type("folder/" * 99 + "end.png", 300)
  assert text.startswith("…") and text.endswith("end.png")
  assert font.getlength(text) <= 300


def test_a_font_that_has_the_letters_is_chosen(monkeypatch):
  # One of matplotlib's own, for a sign that its usual one lacks.
  import matplotlib

  fonts = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
  usual = contact_sheet._charmap(str(fonts / "DejaVuSans.ttf"))
  other = str(fonts / "STIXGeneral.ttf")
  sign = chr(min(contact_sheet._charmap(other) - usual))
  monkeypatch.setattr(contact_sheet, "_installed", lambda: (other,))
  text, font = contact_sheet._set_type(sign, 300)
  assert text == sign and font.path == other
