"""The server of the page: on 127.0.0.1, for whoever knows its address.

The address holds a secret, so that neither another user of the machine nor a
page from elsewhere, open in the same browser, can send it pictures; a name that
somebody's DNS leads here is refused. Nothing is stored.
"""

import html
import http.server
import json
import pathlib
import secrets
import string
import sys
import threading
from typing import Any

from rotjax import errors
from rotjax.image import pictures
from rotjax.prediction import choice
from rotjax.prediction.demo import answer

HOST = "127.0.0.1"
# Of one picture file, bytes.
LARGEST = 64 * 2**20
_PAGE = pathlib.Path(__file__).with_name("page.html")


class Server(http.server.ThreadingHTTPServer):
  """Shows the page and answers to pictures, one at a time.

  Attributes:
    address: of the page, its secret included.
  """

  # At the exit a thread that is still in jax would abort the process.
  daemon_threads = False

  def __init__(self, choose: choice.Choice, title: str, port: int = 0):
    """Takes the port; 0 takes any that is free.

    Raises:
      UserError: it cannot be had.
    """
    try:
      super().__init__((HOST, port), _Handler)
    except (OSError, OverflowError) as error:
      raise errors.UserError(
        f"--port {port} cannot be taken ({error}): choose another, or 0 for any"
        " that is free"
      ) from None
    self.choose, self.title = choose, title
    self.secret = secrets.token_urlsafe(16)
    self.turn = threading.Lock()
    self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
    self.address = f"http://{HOST}:{self.server_port}/{self.secret}/"

  def handle_error(self, request: Any, client_address: Any) -> None:
    """Passes over a reader who has gone; anything else is a bug, and told."""
    if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
      super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
  """One request."""

  server: Server
  timeout = 5  # seconds that a silent connection is kept
  server_version, sys_version = "rotjax", ""

  def log_message(self, format: str, *args: object) -> None:
    """Says nothing: the page says what there is to say."""

  def _send(
    self, status: int, kind: str, body: bytes, policy: str = ""
  ) -> None:
    self.send_response(status)
    self.send_header("Content-Type", kind)
    self.send_header("Content-Length", str(len(body)))
    self.send_header("Cache-Control", "no-store")
    self.send_header("Referrer-Policy", "no-referrer")
    self.send_header("X-Content-Type-Options", "nosniff")
    if policy:
      self.send_header("Content-Security-Policy", policy)
    self.end_headers()
    self.wfile.write(body)

  def _say(self, status: int, words: str) -> None:
    # What was not read of a request would be taken for the next one.
    self.close_connection = True
    body = json.dumps({"error": words}).encode()
    self._send(status, "application/json", body)

  def _allowed(self, path: str) -> bool:
    if self.headers.get("Host") not in self.server.names:
      self._say(403, "this server is known by another name")
    elif not secrets.compare_digest(
      self.path.encode(), f"/{self.server.secret}/{path}".encode()
    ):
      self._say(404, "nothing is here: take the address as it was printed")
    else:
      return True
    return False

  def do_GET(self) -> None:
    """The page."""
    if not self._allowed(""):
      return
    nonce = secrets.token_urlsafe(16)
    page = string.Template(_PAGE.read_text("utf-8")).substitute(
      nonce=nonce,
      title=html.escape(self.server.title),
      megabytes=LARGEST // 2**20,
    )
    policy = (
      f"default-src 'none'; script-src 'nonce-{nonce}'; style-src"
      " 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none';"
      " form-action 'none'; frame-ancestors 'none'"
    )
    self._send(200, "text/html; charset=utf-8", page.encode(), policy)

  def do_POST(self) -> None:
    """A picture's bytes: what is told of it, or why it cannot be read."""
    if not self._allowed("picture"):
      return
    length = self.headers.get("Content-Length", "")
    if not length.isascii() or not length.isdigit():
      self._say(411, "the length of the picture is not stated")
      return
    if int(length) > LARGEST:
      self._say(413, f"larger than {LARGEST // 2**20} MB")
      return
    data = self.rfile.read(int(length))
    try:
      # Pillow's limits and the network's memory are for one picture.
      with self.server.turn:
        told = answer.answer(self.server.choose, data)
    except (pictures.Unusable, MemoryError) as error:
      self._say(422, str(error) or "needs more memory than there is")
      return
    self._send(200, "application/json", json.dumps(told).encode())
