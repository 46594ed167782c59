"""`csv`: pictures that are turned already."""

import os

import numpy as np
import PIL.Image
import pytest

from rotjax import data, errors


def _write(root, rows, header="path,angle_deg", file="angles.csv", n=40):
  """n pictures of 8 x 8 in two folders, and a table of `rows`."""
  rng = np.random.default_rng(0)
  pixels = {}
  for i in range(n):
    name = f"{'a' if i % 2 else 'b'}/{i:02d}.bmp"
    pixels[name] = rng.integers(0, 256, (8, 8, 3), np.uint8)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels[name]).save(root / name)
  text = "\n".join([header, *rows(pixels)]) + "\n"
  (root / file).write_text(text)
  return pixels


def _csv(root, **options):
  shares = {"test_share": 0.2, "validation_share": 0.2, **options}
  return data.find("csv")(dir=str(root), side=8, **shares)


def _angle(name):
  return int(name[2:4]) * 7.3 - 100


@pytest.mark.parametrize("max_resident_mb", [1, 0])
def test_every_picture_has_its_angle(tmp_path, max_resident_mb):
  pixels = _write(
    tmp_path / "x", lambda names: [f"{n},{_angle(n)}" for n in names]
  )
  expected = {p.tobytes(): _angle(name) for name, p in pixels.items()}
  found = {}
  for split in data.SPLITS:
    got = _csv(tmp_path / "x", max_resident_mb=max_resident_mb).load(split)
    assert got.angle_deg.dtype == np.float64
    assert len(got.angle_deg) == len(got)
    images = got.__getitems__(range(len(got)))["image"]
    for image, angle in zip(images, got.angle_deg, strict=True):
      found[image.tobytes()] = angle
    some = got.rows(np.array([2, 0]))
    np.testing.assert_array_equal(some.angle_deg, got.angle_deg[[2, 0]])
  assert found.keys() == expected.keys()
  for image, angle in found.items():
    assert angle == pytest.approx(expected[image], rel=0, abs=2e-5)


def test_pictures_that_the_table_does_not_name_are_left_alone(tmp_path):
  _write(tmp_path / "x", lambda names: [f"{n},1" for n in list(names)[:30]])
  splits = [_csv(tmp_path / "x").load(split) for split in data.SPLITS]
  assert sum(map(len, splits)) == 30


def test_new_angles_are_noticed(helpers, tmp_path):
  root = tmp_path / "x"
  for angle in (10.0, 20.0):
    helpers.forget()
    _write(root, lambda names, a=angle: [f"{n},{a}" for n in names])
    for name in root.rglob("*.bmp"):
      os.utime(name, ns=(0, 0))  # the table alone is another one
    assert set(_csv(root).load("train").angle_deg) == {angle}


def test_a_table_of_a_spreadsheet(tmp_path):
  """A byte order mark, carriage returns, quotes, an empty line at the end."""
  root = tmp_path / "x"
  pixels = _write(root, lambda names: [], file="mine.csv")
  lines = ["\ufeffpath,angle_deg", *(f'"{n}",+1e1' for n in pixels), "", ""]
  (root / "mine.csv").write_bytes("\r\n".join(lines).encode())
  assert set(_csv(root, file="mine.csv").load("test").angle_deg) == {10.0}


@pytest.mark.parametrize(
  ("row", "message"),
  [
    ("a/01.bmp,ten", "line 2: angle_deg = 'ten' is not a number"),
    ("a/01.bmp,", "line 2: angle_deg = '' is not a number"),
    ("a/01.bmp,nan", "line 2: angle_deg = 'nan' is not in -360"),
    ("a/01.bmp,-inf", "line 2: angle_deg = '-inf' is not in -360"),
    ("a/01.bmp,360.1", "line 2: angle_deg = '360.1' is not in -360 ... 360"),
    ("a/01.bmp", "line 2: 1 values, not the two"),
    ("a/01.bmp,1,2", "line 2: 3 values, not the two"),
    ("/etc/passwd,1", "line 2: path = '/etc/passwd' must be relative"),
    ("../x.bmp,1", "line 2: path = '../x.bmp' must be relative"),
    ("a/../../x.bmp,1", "line 2: .* must be relative"),
    ("a/./01.bmp,1", "line 2: .* lead straight down"),
    (",1", "line 2: path = '' must be relative"),
    ("a\0b.bmp,1", "must be relative|line contains NUL"),
    ("a/01.bmp,1\nb/00.bmp,2\na/01.bmp,3", "line 4: a/01.bmp is in an earl"),
    ('"a/01.bmp,1', "line 2: unexpected end of data"),
    ("x" * 200_000 + ",1", "line 2: field larger"),
    ("", "angles.csv has no row below its header"),
  ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
  _write(tmp_path, lambda names: [row])
  with pytest.raises(errors.UserError, match=message) as e:
    _csv(tmp_path).load("train")
  assert "\n" not in str(e.value) and "\0" not in str(e.value)


@pytest.mark.parametrize(
  "header",
  ["path,angle", "angle_deg,path", "", "a/01.bmp,10", "path;angle_deg"],
)
def test_the_header_is_exact(tmp_path, header):
  _write(tmp_path, lambda names: [f"{n},1" for n in names], header)
  with pytest.raises(
    errors.UserError, match="the first row must be path,angle_deg, not"
  ):
    _csv(tmp_path).load("train")


def test_a_table_that_is_none(tmp_path):
  (tmp_path / "angles.csv").write_bytes(b"path,angle_deg\n\xff\xfe,1\n")
  with pytest.raises(errors.UserError, match="not a text file in UTF-8"):
    _csv(tmp_path).load("train")
  with pytest.raises(errors.UserError, match="mine.csv in .*No such file"):
    _csv(tmp_path, file="mine.csv").load("train")
  for name in ("../angles.csv", "", "..", "a/b.csv"):
    with pytest.raises(errors.UserError, match="not the name of a file"):
      _csv(tmp_path, file=name)


def test_links_out_of_the_folder_are_not_followed(tmp_path):
  outside, root = tmp_path / "out", tmp_path / "in"
  _write(outside, lambda names: [f"{n},1" for n in names])
  _write(root, lambda names: [*(f"{n},1" for n in names), "away/a/01.bmp,1"])
  os.symlink(outside, root / "away")
  link = "away/a/01.bmp\ta symbolic link, which is not followed\n"
  assert (_csv(root).prepare() / "left_out.txt").read_text() == link
  os.symlink(outside / "angles.csv", root / "table.csv")
  with pytest.raises(errors.UserError, match="a symbolic link"):
    _csv(root, file="table.csv").load("train")


def test_missing_pictures_count_as_broken(tmp_path):
  def rows(names):
    return [*(f"{n},1" for n in names), *(f"gone{i}.bmp,1" for i in range(5))]

  _write(tmp_path / "x", rows)
  with pytest.raises(
    errors.UserError, match="gone0.bmp .No such file or directory"
  ):
    _csv(tmp_path / "x").load("train")
  # 5 of 45 are 11 %.
  folder = _csv(tmp_path / "x", max_broken=0.12).prepare()
  assert (folder / "left_out.txt").read_text().count("No such file") == 5
