"""The page to try a model: who may ask, what it answers, how it looks."""

import base64
import http.client
import io
import json
import re
import subprocess
import sys
import threading
import urllib.parse

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from rotjax import cli, demo
from rotjax.config import shipped
from rotjax.figures import ring
from rotjax.prediction import predictor, reader
from rotjax.prediction.demo import server
from tests.reporting import test_browser

ANGLE = 30.0


def _fn(squares):
  """A network that knows nothing and says 30 degrees."""
  theta = jnp.full(len(squares), jnp.deg2rad(ANGLE))
  grid = 2 * jnp.pi * ((jnp.arange(720) + 0.5) / 720 - 0.5)
  density = 20 * (jnp.cos(grid[None] - theta[:, None]) - 1)
  return theta, density


@pytest.fixture(scope="module")
def shown():
  """A running server."""
  spec = predictor.Spec(
    size=16,
    channels=1,
    mask="disc",
    pixel_range="unit",
    crop="none",
    source=(16, 16),
    period_deg=360.0,
    tta="none",
    trained_range_deg=(-45.0, 45.0),
  )
  only = reader.Reader("model", predictor.Predictor(spec, _fn), False)
  with server.Server(lambda _: (only, ""), "<b>&model") as made:
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()


def _ask(shown, method, path, body=None, **headers):
  """A request; its status, its headers and its body."""
  connection = http.client.HTTPConnection(*shown.server_address, timeout=60)
  try:
    connection.request(
      method, path, body, {k.replace("_", "-"): v for k, v in headers.items()}
    )
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read()
  finally:
    connection.close()


def _path(shown, name=""):
  return urllib.parse.urlsplit(shown.address).path + name


def _file(kind="PNG", size=(60, 40), **options):
  y, x = np.mgrid[: size[1], : size[0]]
  pixels = np.stack([4 * x % 256, 6 * y % 256, 0 * x + 80], -1).astype(np.uint8)
  out = io.BytesIO()
  PIL.Image.fromarray(pixels).save(out, kind, **options)
  return out.getvalue()


def _picture(address):
  return PIL.Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))


def test_a_picture_is_answered_and_turned_back(shown):
  path = _path(shown, "picture")
  status, _, body = _ask(shown, "POST", path, _file("JPEG"))
  told = json.loads(body)
  assert status == 200
  assert told["words"] == "turned 30.0° counter-clockwise"
  # A von Mises of 20: by SciPy's own distribution.
  import scipy.stats

  for degrees, line in zip((2, 5, 15), told["lines"]):
    half = np.deg2rad(degrees)
    wanted = 2 * scipy.stats.vonmises.cdf(half, 20) - 1
    assert line == f"within {degrees}°: {wanted:.0%}"
  assert told["lines"][-1].startswith("Trained on turns of -45° to 45°")
  before, after = _picture(told["before"]), _picture(told["after"])
  assert before.size == (60, 40)
  turned = before.convert("RGBA").rotate(-30, expand=True)
  assert np.abs(np.subtract(turned.size, after.size)).max() <= 2
  # Its empty corners are transparent, its middle is the picture's.
  assert after.getpixel((0, 0))[3] == 0
  middle = [np.array(x.convert("RGB")) for x in (before, after)]
  a, b = (m[m.shape[0] // 2, m.shape[1] // 2].astype(int) for m in middle)
  assert np.abs(a - b).max() <= 12


def test_a_large_one_is_shown_small_and_pages_are_told(shown):
  pages = [PIL.Image.new("L", (2000, 500), value) for value in (10, 200)]
  out = io.BytesIO()
  pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
  status, _, body = _ask(shown, "POST", _path(shown, "picture"), out.getvalue())
  told = json.loads(body)
  assert status == 200 and _picture(told["before"]).size == (900, 225)
  assert any("first of its 2 frames" in line for line in told["lines"])
  assert any("nothing tells the turn" in line for line in told["lines"])


@pytest.mark.parametrize(
  "body, words",
  [
    (b"", "an empty file"),
    (b"hello", "not a picture"),
    (_file()[: len(_file()) // 2], ""),
  ],
)
def test_what_is_no_picture_is_one_line(shown, body, words):
  status, _, reply = _ask(shown, "POST", _path(shown, "picture"), body)
  told = json.loads(reply)
  assert status == 422 and told.keys() == {"error"}
  assert told["error"] and words in told["error"] and "\n" not in told["error"]
  # And the next one is answered.
  assert _ask(shown, "POST", _path(shown, "picture"), _file())[0] == 200


def test_only_who_knows_the_address_is_answered(shown):
  path = _path(shown)
  assert _ask(shown, "GET", path)[0] == 200
  for other in ("/", "/favicon.ico", "/x" + path[2:], path + "../x", path[:-1]):
    assert _ask(shown, "GET", other)[0] == 404
    assert _ask(shown, "POST", other, _file())[0] == 404
  assert _ask(shown, "GET", path, Host="evil.example")[0] == 403
  here = f"localhost:{shown.server_port}"
  assert _ask(shown, "GET", path, Host=here)[0] == 200
  picture = _path(shown, "picture")
  assert _ask(shown, "POST", picture, _file(), Host="evil.example")[0] == 403
  assert _ask(shown, "PUT", picture, _file())[0] == 501
  assert shown.server_address[0] == "127.0.0.1"


def test_sizes_are_checked_before_anything_is_read(shown):
  path = _path(shown, "picture")
  for length, wanted in (
    (str(server.LARGEST + 1), 413),
    ("-1", 411),
    ("many", 411),
    ("²", 411),
    ("9" * 30, 413),
  ):
    connection = http.client.HTTPConnection(*shown.server_address, timeout=60)
    connection.putrequest("POST", path, skip_accept_encoding=True)
    connection.putheader("Content-Length", length.encode())
    connection.endheaders()
    assert connection.getresponse().status == wanted
    connection.close()


def test_the_page_escapes_its_title_and_loads_nothing(shown):
  _, headers, body = _ask(shown, "GET", _path(shown))
  text = body.decode()
  assert "&lt;b&gt;&amp;model" in text and "<b>&model" not in text
  policy = headers["Content-Security-Policy"]
  assert policy.startswith("default-src 'none'")
  (nonce,) = re.findall(r"'nonce-([\w-]+)'", policy)
  assert f'<script nonce="{nonce}">' in text
  assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
  assert nonce not in _ask(shown, "GET", _path(shown))[2].decode()


def test_the_ring_is_highest_where_the_density_is():
  density = np.zeros(720)
  density[360 + 180] = 1  # 90.25 degrees: to the left
  text = ring.ring(density, 90.25, 360.0)
  assert text.startswith("<svg") and "90.2°" in text
  _, fill, *_ = re.findall(r'<path d="([^"]*)"[^>]*fill: #', text)
  x, y = np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", fill), float).T
  # The canvas is 187.2 points wide; its middle is the ring's.
  far = np.hypot(x - 93.6, y - 93.6)
  assert x[far.argmax()] < 10 and abs(y[far.argmax()] - 93.6) < 1
  assert np.quantile(far, 0.99) < 0.6 * far.max()


def test_wrong_arguments_are_one_line(monkeypatch, capsys, tmp_path, shown):
  def command(*argv):
    monkeypatch.setattr(sys, "argv", ["rotjax", *map(str, argv)])
    with pytest.raises(SystemExit) as caught:
      cli.run(demo.main)
    out, err = capsys.readouterr()
    return caught.value.code, out, err.strip().splitlines()

  monkeypatch.setattr(shipped, "FOLDER", tmp_path)
  for argv, words in (
    ([], "no model is chosen"),
    (["--workdir", tmp_path], "not a run folder"),
    (["--port", "x", "--model", "y"], "invalid int"),
    (["--model", tmp_path / "none"], "no such run folder"),
  ):
    status, out, (line,) = command(*argv)
    assert (status, out) == (2, "") and words in line
  for port in (shown.server_port, 70000, -1):
    with pytest.raises(ValueError, match=f"--port {port} cannot be taken"):
      server.Server(shown.choose, "m", port)


# Drops a picture as a person would, once the page is there.
_DROP = """
<script nonce="$nonce">
  const bytes = Uint8Array.from(atob("@"), (c) => c.charCodeAt(0));
  const dropped = new DataTransfer();
  dropped.items.add(new File([bytes], "\\u003ci>one.png"));
  dispatchEvent(new DragEvent("drop", {dataTransfer: dropped}));
</script>
"""


def test_a_browser_shows_what_is_dropped(shown, monkeypatch, tmp_path):
  if test_browser._chromium() is None:
    pytest.skip("no Chromium on PATH runs")
  for data, words in (
    (_file(), "Turned 30.0° counter-clockwise"),
    (b"hello", "not a picture that can be read"),
  ):
    script = _DROP.replace("@", base64.b64encode(data).decode())
    page = tmp_path / "page.html"
    page.write_text(server._PAGE.read_text().replace("</html>", script))
    with monkeypatch.context() as patch:
      patch.setattr(server, "_PAGE", page)
      done = subprocess.run(
        [
          *(test_browser._chromium(), "--headless", "--no-sandbox"),
          *("--disable-gpu", "--enable-logging=stderr", "--dump-dom"),
          *("--virtual-time-budget=20000", f"--user-data-dir={tmp_path}/c"),
          shown.address,
        ],
        capture_output=True,
        text=True,
        timeout=120,
      )
    assert words in done.stdout
    assert "&lt;i&gt;one.png" in done.stdout and "<i>one" not in done.stdout
    assert "CONSOLE" not in done.stderr, done.stderr
    assert ("<svg" in done.stdout) == (data != b"hello")
