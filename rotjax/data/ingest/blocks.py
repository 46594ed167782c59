"""Picture files decoded in blocks, each kept on disk as soon as it is whole."""

import concurrent.futures
import os
import pathlib
from typing import NamedTuple

import numpy as np
import tqdm

from rotjax.data.ingest import folder_files
from rotjax.data.store import cache
from rotjax.image import pictures

# Files in a block: what an interruption costs at most.
BLOCK = 256
# Pictures decoded at a time; each may take gigabytes.
_THREADS = min(4, os.cpu_count() or 1)


class Block(NamedTuple):
  """Some files, decoded: what `folder_files.Square` holds of each."""

  squares: list[folder_files.Square]

  def arrays(self) -> dict[str, np.ndarray]:
    """What is kept on disk."""
    pngs, digests, reasons, frames = zip(*self.squares)
    return {
      "data": np.frombuffer(b"".join(pngs), np.uint8),
      "ends": np.cumsum([len(png) for png in pngs], dtype=np.int64),
      "digests": np.array(digests, str),
      "reasons": np.array(reasons, str),
      "frames": np.array(frames, np.int64),
    }

  @classmethod
  def from_arrays(
    cls, arrays: dict[str, np.ndarray] | None, count: int
  ) -> "Block | None":
    """A block of `count` files; None where the arrays hold none."""
    names = ("data", "ends", "digests", "reasons", "frames")
    if arrays is None or set(arrays) != set(names):
      return None
    data, ends, *rest = (arrays[name] for name in names)
    if any(len(array) != count for array in (ends, *rest)):
      return None
    starts = [0, *ends[:-1].tolist()]
    return cls(
      [
        folder_files.Square(data[start:end].tobytes(), *of_file)
        for start, end, *of_file in zip(
          starts, ends.tolist(), *(array.tolist() for array in rest)
        )
      ]
    )


class Blocks:
  """The decoded blocks of a folder's files; decodes what is not there yet."""

  def __init__(
    self,
    folder: pathlib.Path,
    root: pathlib.Path,
    files: tuple[folder_files.File, ...],
    size: tuple[int, int],
  ):
    """Args: where blocks are kept, the pictures, side and channels."""
    self.folder, self._root, self._files = folder, root, files
    self._size = size

  def __len__(self) -> int:
    return -(-len(self._files) // BLOCK)

  def files(self, number: int) -> tuple[folder_files.File, ...]:
    """The files of a block."""
    return self._files[number * BLOCK : (number + 1) * BLOCK]

  def get(self, number: int, bar: tqdm.tqdm | None = None) -> Block:
    """A block, from the disk or decoded and kept."""
    files = self.files(number)
    path = self.folder / f"block-{number:06d}.npz"
    kept = Block.from_arrays(cache.load(path), len(files))
    found = dict(enumerate(kept.squares)) if kept else {}
    # What could not even be read may have been a matter of the moment.
    missing = [
      i for i in range(len(files)) if not (i in found and found[i].digest)
    ]
    if bar is not None:
      bar.update(len(files) - len(missing))
    found |= zip(missing, self._decode([files[i] for i in missing], bar))
    block = Block([found[i] for i in range(len(files))])
    if block != kept:
      cache.save(path, block.arrays())
    return block

  def _decode(self, files, bar) -> list[folder_files.Square]:
    squares = []
    # The filters before the threads, which share them.
    with pictures.strict():
      pool = concurrent.futures.ThreadPoolExecutor(_THREADS)
      try:
        for square in pool.map(
          lambda file: folder_files.read(self._root, file, *self._size), files
        ):
          squares.append(square)
          if bar is not None:
            bar.update()
      finally:
        pool.shutdown(cancel_futures=True)
    return squares
