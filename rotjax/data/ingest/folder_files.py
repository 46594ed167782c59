"""The picture files of a folder: found without leaving it, made into squares.

Their names and contents are not trusted. Symbolic links are not followed, only
regular files are opened, and what cannot be used has a reason of one line.
"""

import errno
import hashlib
import io
import os
import pathlib
import stat
from typing import NamedTuple

import PIL.Image

from rotjax import errors
from rotjax.image import picture_files, pictures

ENDINGS = (
  *(".bmp", ".dib", ".jfif", ".jpe", ".jpeg", ".jpg"),
  *(".png", ".tif", ".tiff", ".webp"),
)
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
# Endings of other pictures, those that `rotjax.predict` reads among them.
# Written out: asking Pillow takes a tenth of a second.
_OTHERS = picture_files.UNREAD | {
  *(".apng", ".avif", ".avifs", ".gif", ".icb", ".j2c", ".j2k", ".jp2"),
  *(".jpc", ".jpf", ".jpx", ".mpo", ".pbm", ".pcx", ".pfm", ".pgm", ".pnm"),
  *(".ppm", ".qoi", ".tga", ".vda", ".vst"),
}
# An uncompressed file of all the pixels that Pillow allows is smaller.
MAX_BYTES = 2**30


class File(NamedTuple):
  """A file that is named like a picture.

  Attributes:
    name: relative to the folder, with slashes; bytes that are not UTF-8 are
      surrogates, as in `os.fsdecode`.
    size, mtime_ns, mode: of the file, to notice changes.
    reason: why it cannot be used; "" where nothing is known against it.
    angle_deg: how far the picture is turned already.
  """

  name: str
  size: int = 0
  mtime_ns: int = 0
  mode: int = 0
  reason: str = ""
  angle_deg: float = 0.0


class Found(NamedTuple):
  """What lies in a folder.

  Attributes:
    files: by name.
    others: names and reasons of folders that cannot be read or are rotjax's
      own output, of pictures in formats that are not read, and of links that
      are not named like pictures.
  """

  files: tuple[File, ...]
  others: tuple[tuple[str, str], ...] = ()


class Square(NamedTuple):
  """A file, decoded.

  Attributes:
    png: of the square; empty where the file cannot be used.
    digest: of the file's content, hexadecimal; "" where it cannot be read.
    reason: why it cannot be used, in one line; "" where it can.
    frames: how many it has; the first is used.
  """

  png: bytes
  digest: str
  reason: str
  frames: int = 1


def folder(given: str) -> pathlib.Path:
  """The folder that `data.dir` names, without links on its own way.

  Raises:
    errors.UserError: none was given, or there is no such folder.
  """
  if not given:
    raise errors.UserError(
      "data.dir is not set: name the folder of your pictures with"
      " --config.data.dir=PATH"
    )
  try:
    path = os.path.realpath(os.path.expanduser(given))
  except ValueError:  # a null byte, which is in no name
    path = ""
  if not os.path.isdir(path):
    what = "is not a folder" if os.path.exists(path) else "does not exist"
    raise errors.UserError(f"data.dir = {printable(given)} {what}")
  return pathlib.Path(path)


def walk(root: pathlib.Path) -> Found:
  """All files below a folder that are named like pictures.

  What begins with a dot is left out, and so are the folders of runs and of
  other results: a plot is no photo. See `picture_files.own_output` for `root`.

  Raises:
    errors.UserError: the folder itself cannot be read.
  """
  files, others, waiting = [], [], [""]
  while waiting:
    inside = waiting.pop()
    try:
      with os.scandir(os.path.join(root, inside)) as found:
        entries = list(found)
      names = {entry.name for entry in entries}
      if own := picture_files.own_output(names, not inside):
        others.append((inside or ".", own))
        continue
      for entry in entries:
        if entry.name.startswith("."):
          continue
        name = f"{inside}/{entry.name}" if inside else entry.name
        ending = os.path.splitext(entry.name)[1].lower()
        if entry.is_dir(follow_symlinks=False):
          waiting.append(name)
        elif ending in ENDINGS:
          files.append(_file(name, entry))
        elif entry.is_symlink():
          others.append((name, picture_files.LINK))
        elif ending in _OTHERS:
          others.append((name, f"a format that is not read: {ending}"))
    except OSError as error:
      if not inside:
        raise errors.UserError(
          f"data.dir = {printable(str(root))} cannot be read:"
          f" {pictures.reason(error)}"
        ) from None
      others.append((inside, pictures.reason(error)))
  return Found(
    tuple(sorted(files, key=lambda f: os.fsencode(f.name))),
    tuple(sorted(others, key=lambda o: os.fsencode(o[0]))),
  )


def _file(name: str, entry: os.DirEntry) -> File:
  try:
    found = entry.stat(follow_symlinks=False)
  except OSError as error:
    return File(name, reason=pictures.reason(error))
  return describe(name, found)


def describe(name: str, found: os.stat_result) -> File:
  """The file of a name, from what `lstat` says of it."""
  reason = ""
  if stat.S_ISLNK(found.st_mode):
    reason = picture_files.LINK
  elif not stat.S_ISREG(found.st_mode):
    reason = "not a regular file"
  return File(name, found.st_size, found.st_mtime_ns, found.st_mode, reason)


def contents(root: pathlib.Path, name: str) -> bytes:
  """Reads a file below a folder; no part of its name may be a link.

  Folder by folder, so that none can be exchanged for a link on the way.

  Raises:
    pictures.Unusable: with the reason.
  """
  *parts, last = name.split("/")
  try:
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
      for part in parts:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        inner = os.open(part, flags, dir_fd=at)
        os.close(at)
        at = inner
      # Opening a pipe would wait for a writer for ever.
      flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
      handle = os.open(last, flags, dir_fd=at)
    finally:
      os.close(at)
    # Not as a context of its own: of a folder's handle none can be made.
    try:
      found = os.fstat(handle)
      if not stat.S_ISREG(found.st_mode):
        raise pictures.Unusable("not a regular file")
      if found.st_size > MAX_BYTES:
        raise pictures.Unusable(f"more than {MAX_BYTES} bytes")
      with open(handle, "rb", closefd=False) as file:
        return file.read(found.st_size)
    finally:
      os.close(handle)
  except (OSError, MemoryError) as error:
    # What O_NOFOLLOW meets a link with; with O_DIRECTORY it is the second.
    if getattr(error, "errno", None) in (errno.ELOOP, errno.ENOTDIR):
      raise pictures.Unusable(picture_files.LINK) from None
    raise pictures.Unusable(pictures.reason(error)) from None


def square(data: bytes, side: int, channels: int) -> PIL.Image.Image:
  """The central square of a picture, resized with antialiasing (Lanczos).

  To be called inside `pictures.strict`.

  Args:
    data: the file.
    side: of the result, pixels. A smaller picture is enlarged.
    channels: 1 or 3.

  Raises:
    pictures.Unusable: see `pictures.decode` and `pictures.flat`.
  """
  # Three times the pixels needed: then neither shortcut, the JPEG's own or
  # reducing_gap, can be seen.
  picture = pictures.decode(io.BytesIO(data), _readable(), least=3 * side)
  picture = pictures.flat(picture, channels)
  (width, height), short = picture.size, min(picture.size)
  left, top = (width - short) / 2, (height - short) / 2
  result = picture.resize(
    (side, side),
    PIL.Image.Resampling.LANCZOS,
    box=(left, top, left + short, top + short),
    reducing_gap=3.0,
  )
  result.info.clear()  # a colour profile may be larger than the pixels
  return result


def _readable() -> list[str]:
  return [name for name in pictures.formats() if name in _FORMATS]


def read(root: pathlib.Path, file: File, side: int, channels: int) -> Square:
  """Reads and decodes a file; never raises for what is wrong with it.

  To be called inside `pictures.strict`.
  """
  digest = ""
  try:
    if file.reason:
      raise pictures.Unusable(file.reason)
    data = contents(root, file.name)
    digest = hashlib.sha256(data).hexdigest()
    encoded = io.BytesIO()
    square(data, side, channels).save(encoded, "PNG", compress_level=1)
    frames = pictures.count_frames(io.BytesIO(data), _readable())
  # As in pictures.refusing: nobody can list what a hostile file may raise.
  except Exception as error:
    return Square(b"", digest, printable(pictures.reason(error)))
  return Square(encoded.getvalue(), digest, "", frames)


def printable(text: str) -> str:
  """A name on one line, harmless to a terminal, whatever its bytes are."""
  text = os.fsencode(text).decode("utf-8", "backslashreplace")
  return "".join(
    c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
  )
