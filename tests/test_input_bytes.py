"""The page on input at scale holds the script's tables; they add up."""

import pathlib
import re

import numpy as np
from PIL import Image
import pytest

PAGE = pathlib.Path("docs/input-at-scale.md")


@pytest.fixture
def script(monkeypatch):
  monkeypatch.syspath_prepend("experiments/benchmarks")
  import input_bytes

  return input_bytes


def test_the_page_holds_the_script_s_tables(script, capsys):
  script.main([])
  page = PAGE.read_text()
  for table in capsys.readouterr().out.strip().split("\n\n"):
    assert table in page


def _row(*first):
  start = "| " + " | ".join(first) + " |"
  (line,) = re.findall(re.escape(start) + r".*", PAGE.read_text())
  return [float(x.replace(",", "")) for x in line.split("|")[3:-1]]


def test_the_tables_add_up():
  size = _row("317 px JPEG, quality 90", "39,358")
  assert size == [pytest.approx(128 * 0.039358, abs=0.05), 0.49, 50]
  # 512 devices of 2,500 images a second: images, GB/s, cores.
  images, files, jpeg, png, cores, png_cores = _row("512", "2,500")
  assert images == 1.28e6
  assert files == pytest.approx(1.28e6 * 110e3 / 1e9, abs=0.005)
  assert jpeg == pytest.approx(1.28e6 * 39358 / 1e9, abs=0.005)
  assert png == pytest.approx(1.28e6 * 178576 / 1e9, abs=0.005)
  assert cores == pytest.approx(1280 * 0.49, abs=0.5)
  assert png_cores == pytest.approx(1280 * 2.76, abs=0.5)
  # A ring of eight: seven eighths are sent twice, 102.4 MB in all.
  (line,) = re.findall(r"\| 8 \| 179 \|.*", PAGE.read_text())
  cells = [cell.strip() for cell in line.split("|")[3:-1]]
  assert cells[:3] == ["14.3", "3.6", "0.4"]
  # Of 128 ms and of 51.2 ms.
  assert cells[3:] == ["11%, 3%, 0%", "28%, 7%, 1%"]


def test_measuring_keeps_a_photo_s_own_pixels(script, tmp_path):
  rng = np.random.default_rng(0)
  for i, (width, height) in enumerate([(200, 150), (400, 330)]):
    noise = rng.integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f"{i}.jpg", quality=95)
  small = np.asarray(script._square(tmp_path / "0.jpg"))
  assert small.shape == (317, 317, 3)
  source = np.asarray(Image.open(tmp_path / "0.jpg"))
  np.testing.assert_array_equal(small[83:233, 83:233], source[:, 25:175])
  found = script.measure(tmp_path, rounds=1)
  # Noise cannot be packed: PNG takes all three bytes of a pixel.
  assert found["PNG_BYTES"] == pytest.approx(317 * 317 * 3, rel=0.2)
  assert found["JPEG_BYTES"] < found["PNG_BYTES"]
  assert found["JPEG_DECODE_MS"] > 0
