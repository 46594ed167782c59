"""Picture files made into a prepared dataset, once, in the user's cache.

First all files are decoded, in blocks that are kept on disk at once: a
preparation that was interrupted, even by a kill, goes on behind the last whole
block. Then TFDS writes the splits, which is quick, and the blocks are removed.
"""

import collections
from collections.abc import Iterator
import contextlib
import fcntl
import hashlib
import logging
import os
import pathlib
import re
import shutil
import sys
import time
from typing import Any

import tqdm

from rotjax import errors, pictures, stopping
from rotjax.data import (
  content,
  folder_blocks,
  folder_files,
  folders,
  hashed,
  prepare,
)
from rotjax.data import split as split_lib

# The list of what was left out, beside the prepared files.
LEFT_OUT = "left_out.txt"
# Where there is no terminal for a bar, a line this often.
_TELL_SECONDS = 60
# To be raised whenever the same files would become other squares or splits.
_FORMAT = 2

_log = logging.getLogger("rotjax")


def prepared(
  options: Any,
  root: pathlib.Path,
  found: folder_files.Found,
  turned: bool = False,
) -> pathlib.Path:
  """The prepared dataset of these files, made if need be.

  It is made anew when a name, a size, a time of change or an option that
  matters to it is another one. A second process waits for the first.

  Args:
    options: a `folder.Folder`.
    root: the folder, as `folder_files.folder` returns it.
    found: its files.
    turned: whether the files' angles are stored.

  Returns:
    The folder of the prepared version.

  Raises:
    errors.UserError: no file, too many that cannot be used, an empty split,
      or a cache folder that cannot be written or lies in `root`.
    stopping.Stopped: a signal came; the next call goes on from there.
  """
  store = folders.cache_root()
  if pathlib.Path(os.path.realpath(store)).is_relative_to(root):
    raise errors.UserError(
      f"the cache folder {store} lies in data.dir = {_shown(root)}, where"
      " nothing is written: set XDG_CACHE_HOME to a folder outside of it"
    )
  if not found.files:
    others = f"; left out: {_listed(found.others)}" if found.others else ""
    raise errors.UserError(
      f"data.dir = {_shown(root)} holds no picture: names that end in"
      f" {', '.join(folder_files.ENDINGS)} are looked for{others}"
    )
  if found.others:
    by_reason = collections.defaultdict(list)
    for name, why in found.others:
      by_reason[why].append(name)
    listed = "; ".join(
      f"{len(names)} x {why} ({_names(names)})"
      for why, names in by_reason.items()
    )
    _log.warning("left out of %s: %s", _shown(root), listed)
  name = _name(options, root, found)
  place = store / "tfds"
  size = options.side, options.channels
  decoded = store / "folders" / _digest(str(root), size, found.files)
  blocks = folder_blocks.Blocks(decoded, root, found.files, size)
  folder = folders.newest(place, name)
  if folder is not None:
    return folder
  with _alone(blocks.folder, root):
    # Another process may have been at it.
    folder = folders.newest(place, name)
    if folder is None:
      folder = _prepare(options, root, found, turned, blocks, place, name)
    shutil.rmtree(blocks.folder, ignore_errors=True)
  return folder


def _prepare(options, root, found, turned, blocks, place, name):
  """`prepared`, where it is not prepared yet."""
  digests, broken, several = _decode(options, root, found, blocks)
  splits = _splits(options, root, found.files, digests)

  def examples(split):
    for number in range(len(blocks)):
      files = blocks.files(number)
      first = number * folder_blocks.BLOCK
      parts = splits[first : first + len(files)]
      if split not in parts:
        continue
      squares = blocks.get(number).squares
      for file, square, part, digest in zip(
        files, squares, parts, digests[first : first + len(files)]
      ):
        if part != split:
          continue
        # Where the block could not be kept, the file was read again.
        if square.digest != digest:
          name = folder_files.printable(file.name)
          raise OSError(f"{name} changed meanwhile")
        yield os.fsencode(file.name), square.png, file.angle_deg

  def build(scratch):
    import tensorflow_datasets as tfds

    from rotjax.data import folder_builder

    with prepare.quiet():
      builder = folder_builder.Squares(
        dataset=options.name,
        splits=[s for s in split_lib.SPLITS if s in splits],
        shape=(options.side, options.side, options.channels),
        examples=examples,
        turned=turned,
        data_dir=scratch,
        file_format="array_record",
        config=tfds.core.BuilderConfig(name=name.split("/")[1]),
      )
      builder.download_and_prepare()
    left_out = [*broken, *found.others, *several]
    _write(pathlib.Path(builder.data_dir) / LEFT_OUT, left_out)
    used = [
      (file.name, digest, file.angle_deg, part)
      for file, digest, part in zip(found.files, digests, splits)
      if part
    ]
    (pathlib.Path(builder.data_dir) / content.FILE).write_text(
      f"{len(used)} pictures {content.digest(used)}", "utf-8"
    )

  folder = prepare.publish(
    place, name, build, "XDG_CACHE_HOME may name another cache folder"
  )
  counts = ", ".join(
    f"{splits.count(s)} {s}" for s in split_lib.SPLITS if s in splits
  )
  _log.info("prepared %s: %s", _shown(root), counts)
  for names, what in (
    (broken, "cannot be used"),
    (several, "have several frames or pages, of which the first is used"),
  ):
    if names:
      _log.warning(
        "%d of %d pictures %s: %s",
        len(names),
        len(found.files),
        what,
        folder / LEFT_OUT,
      )
  return folder


def _decode(options, root, found, blocks):
  """The digest of each file, None where it cannot be used; what is left out:
  files that cannot be used, and of others the frames behind the first."""
  total = len(found.files)
  digests, broken, several = [], [], []
  _log.info("preparing %d pictures of %s, once", total, _shown(root))
  with tqdm.tqdm(
    total=total,
    desc="preparing",
    unit="picture",
    disable=not sys.stderr.isatty(),
    dynamic_ncols=True,
    leave=False,
  ) as bar:
    told = time.monotonic()
    for number in range(len(blocks)):
      stopping.check()
      if bar.disable and time.monotonic() - told > _TELL_SECONDS:
        told = time.monotonic()
        _log.info("%d of %d pictures", len(digests), total)
      squares = blocks.get(number, bar).squares
      for file, square in zip(blocks.files(number), squares):
        digests.append(None if square.reason else square.digest)
        if square.reason:
          broken.append((file.name, square.reason))
        if square.frames > 1:
          several.append(
            (file.name, f"all but the first of its {square.frames} frames")
          )
      if len(broken) > options.max_broken * total:
        break  # whatever the others are like
  if len(broken) > options.max_broken * total:
    path = blocks.folder / LEFT_OUT
    with contextlib.suppress(OSError):  # the message says the essential
      _write(path, [*broken, *found.others])
    raise errors.UserError(
      f"{len(broken)} of the first {len(digests)} pictures (of {total}) in"
      f" data.dir = {_shown(root)} cannot be used, more than data.max_broken ="
      f" {options.max_broken:g} of all: {_listed(broken)}; listed in"
      f" {path}"
    )
  return digests, broken, several


def _splits(options, root, files, digests) -> list[str]:
  """The split of each file; "" where it cannot be used."""
  usable = [i for i, digest in enumerate(digests) if digest is not None]
  known = [digests[i] for i in usable]
  groups = [
    hashed.group_of(files[i].name, digests[i], options.group) for i in usable
  ]
  parts = hashed.assign(
    groups, known, options.test_share, options.validation_share
  )
  wanted = ("test",) if options.test_share == 1 else split_lib.SPLITS
  for split in wanted:
    if split not in parts:
      raise errors.UserError(
        f"no {split} image: {len(usable)} pictures (groups:"
        f" {len(set(groups))}, data.group = {options.group!r}) in data.dir ="
        f" {_shown(root)} are"
        f" too few for data.test_share = {options.test_share:g} and"
        f" data.validation_share = {options.validation_share:g}:"
        f" {_remedy(options, split, set(groups))}"
      )
  splits = [""] * len(digests)
  for i, part in zip(usable, parts):
    splits[i] = part
  return splits


def _remedy(options, split: str, groups: set[str]) -> str:
  """What fills an empty split; the smallest share, where one does."""
  if split == "train":
    return "use more pictures, smaller shares or another data.group"
  words = "use more pictures, larger shares or another data.group"
  share = hashed.least_share(split, groups)
  other = "validation" if split == "test" else "test"
  if len(groups) < 3 or share + getattr(options, f"{other}_share") >= 1:
    return words
  return f"{words}; data.{split}_share={share:g} gives one"


@contextlib.contextmanager
def _alone(folder: pathlib.Path, root: pathlib.Path) -> Iterator[None]:
  """Holds a lock in a folder, which is made; it goes with the process."""
  try:
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w", encoding="utf-8")
  except OSError as error:
    raise errors.UserError(
      f"cannot write to the cache folder {folder}: {pictures.reason(error)};"
      " XDG_CACHE_HOME may name another one"
    ) from None
  with lock:
    told = False
    while True:
      try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        if not told:
          _log.info("another process prepares %s: waiting", _shown(root))
        told = True
        stopping.check()
        time.sleep(0.2)
        continue
      except OSError:
        pass  # a file system without locks: then both of them work
      break
    yield


def _name(options, root, found) -> str:
  """The dataset's name to TFDS: "folder/<its name>-<digest>"."""
  slug = re.sub(r"[^A-Za-z0-9_]+", "_", root.name)[:40].strip("_") or "root"
  digest = _digest(
    str(root),
    (options.side, options.channels),
    found.files,
    options.group,
    options.test_share,
    options.validation_share,
    options.max_broken,
  )
  return f"{options.name}/{slug}-{digest}"


def _digest(*parts: Any) -> str:
  return hashlib.sha256(repr((_FORMAT, *parts)).encode()).hexdigest()[:20]


def _write(path: pathlib.Path, left_out: list[tuple[str, str]]) -> None:
  """One line for each: its name, a tab, the reason."""
  lines = [f"{folder_files.printable(n)}\t{reason}\n" for n, reason in left_out]
  path.write_text("".join(lines), encoding="utf-8")


def _listed(left_out) -> str:
  """The first few, for a message."""
  parts = [f"{folder_files.printable(n)} ({why})" for n, why in left_out[:3]]
  return ", ".join(parts) + (", ..." if len(left_out) > 3 else "")


def _names(names: list[str]) -> str:
  """The first few."""
  shown = [folder_files.printable(name) for name in names[:3]]
  return ", ".join([*shown, "..."] if len(names) > 3 else shown)


def _shown(root: pathlib.Path) -> str:
  return folder_files.printable(str(root))
