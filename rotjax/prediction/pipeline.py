"""Files to rows: read page by page, predicted, written upright, sorted."""

import collections
from collections.abc import Callable, Iterable, Iterator
import dataclasses
import os
import pathlib
from typing import Any

from rotjax.image import picture_files, pictures
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import (
  choice,
  contact_sheet,
  in_place,
  journal,
  kinds,
  listing,
  outputs,
  predictor,
  turns,
  writing,
)
from rotjax.prediction import reader as reader_lib
from rotjax.prediction import rows as rows_lib
from rotjax.prediction.kinds import picture

# Files that may wait for their answers, so that the first comes soon enough.
_WAITING = 4 * predictor.BATCH
_NO_MEMORY = "needs more memory than there is"


@dataclasses.dataclass(frozen=True)
class Options:
  """What is asked for.

  Attributes:
    within: degrees from the answer within which the probability is told.
    how: of turning back.
    at_least, snap: which tilts are left alone, see `turns.settled`.
    sure: the least probability within the most of `within` with which a file is
      turned; None turns all.
  """

  within: tuple[float, ...] = (5.0, 15.0)
  how: picture.How = picture.How()
  at_least: float = 0.0
  snap: bool = False
  sure: float | None = None


@dataclasses.dataclass
class _Job:
  """A file on its way: what was told of which of its pages."""

  found: picture_files.Found
  document: Any = None
  rows: dict[int, dict[str, Any]] = dataclasses.field(default_factory=dict)
  missing: int = 0
  damaged: list[int] = dataclasses.field(default_factory=list)
  done: list[dict[str, Any]] | None = None

  def page(self, number: int) -> int | None:
    """As it is told, from 1; None where there is only one."""
    return number + 1 if self.document.pages > 1 else None


@dataclasses.dataclass
class _Batch:
  """What waits for one model's answers: of which job, which page, what is seen
  of it, and whether that it is this model's is sure."""

  reader: reader_lib.Reader
  items: list[tuple[_Job, int, reader_lib.Seen, bool]] = dataclasses.field(
    default_factory=list
  )


class Pipeline:
  """Files to rows; keeps count of what became of them.

  Attributes:
    outcomes: how many files were "turned", "left" as they are, put into
      "review", done "before"; how many lines "failed".
  """

  def __init__(
    self,
    choose: choice.Choice,
    options: Options,
    tell: Callable[[str | os.PathLike, object], None],
    output: outputs.Folder | in_place.Backup | None = None,
    sheet: pathlib.Path | None = None,
  ):
    self.outcomes: collections.Counter = collections.Counter()
    self._choose, self._options, self._tell = choose, options, tell
    self._output, self._sheet = output, sheet
    self._writer = output and writing.Writer(
      output, options.sure is not None, options.how, tell
    )
    self._pairs: list[contact_sheet.Pair] = []
    self._own: list[str] = []
    self._batches: dict[str, _Batch] = {}
    self._rows: list[dict[str, Any]] = []

  @property
  def specs(self) -> list[predictor.Spec]:
    """Of the models that were asked."""
    return [b.reader.predictor.spec for b in self._batches.values()]

  def _fail(self, path, error) -> None:
    self.outcomes["failed"] += 1
    self._tell(path, error)

  def run(
    self, found: Iterable[picture_files.Found | picture_files.LeftOut]
  ) -> Iterator[dict[str, Any]]:
    """Yields what is told of each page that can be read, a file at a time."""
    waiting: collections.deque[_Job] = collections.deque()
    for job in self._jobs(found):
      waiting.append(job)
      if job.done is None:
        job.missing = job.document.pages
        for page in range(job.document.pages):
          if not self._see(job, page):
            job.missing -= 1
        # A batch of one model may wait for long while others answer.
        if len(waiting) > _WAITING:
          self._answer_all()
      yield from self._finished(waiting)
    self._answer_all()
    yield from self._finished(waiting)

  def _jobs(self, found):
    for item in found:
      if not isinstance(item, picture_files.Found):
        (self._fail if item.wanted else self._tell)(item.path, item.reason)
        continue
      done = self._output.done(item.path) if self._output else None
      if done is not None:
        self.outcomes["before"] += 1
        yield _Job(item, done=done)
        continue
      if self._output and journal.is_result(item.path):
        self._own.append(item.path)
        continue
      try:
        document = kinds.opened(item.path)
      except pictures.Unusable as error:
        self._fail(item.path, error)
        continue
      yield _Job(item, document)

  def _see(self, job, page) -> bool:
    """Puts what a model sees of a page into its batch; False if it cannot be
    read."""
    path = job.found.path
    try:
      shown = job.document.read(page)
      if contact_sheet.is_one(shown):
        self._own.append(path)
        return False
      reader, unsure = self._choose(shown)
      seen = reader.see(shown)
    except (pictures.Unusable, MemoryError) as error:
      self._damaged(job, page, error)
      return False
    if not page:
      for note in job.document.notes:
        self._tell(path, note)
    if unsure:
      self._tell(listing.page_name(path, job.page(page)), unsure)
    batch = self._batches.setdefault(reader.name, _Batch(reader))
    batch.items.append((job, page, seen, not unsure))
    if len(batch.items) == predictor.BATCH:
      self._answer(batch)
    return True

  def _damaged(self, job, page, error) -> None:
    job.damaged.append(page)
    words = _NO_MEMORY if isinstance(error, MemoryError) else error
    self._fail(listing.page_name(job.found.path, job.page(page)), words)

  def _answer_all(self) -> None:
    for batch in self._batches.values():
      self._answer(batch)

  def _answer(self, batch) -> None:
    items, batch.items = batch.items, []
    if not items:
      return
    reader = batch.reader
    answers, found = reader.answer([seen for _, _, seen, _ in items])
    rows = rows_lib.of(
      answers, reader.predictor.spec, self._options.within, found
    )
    for (job, page, _, sure), row in zip(items, rows):
      job.missing -= 1
      if row is None:
        self._damaged(job, page, "the network's answer is not a number")
      else:
        place = {"path": job.found.path, "page": job.page(page)}
        model = {"model": reader.name, "model_sure": sure}
        job.rows[page] = {**place, **row, **model}

  def _finished(self, waiting):
    """Rows of the files whose pages are all told, in order."""
    while waiting and not waiting[0].missing:
      job = waiting.popleft()
      rows = job.done
      if rows is None:
        rows = [job.rows[page] for page in sorted(job.rows)]
        if rows:
          self._finish(job, rows)
      self._rows += rows
      yield from rows

  def _finish(self, job, rows) -> None:
    """Writes and draws what was asked for; the pages are read again, for all
    of a batch in full size may not fit into memory."""
    options = self._options
    unsure = options.sure is not None and not self._is_sure(rows)
    angles = [0.0] * job.document.pages
    for page, row in zip(sorted(job.rows), rows):
      # Nothing tells which way up an empty page is.
      if not (row["blank"] or unsure):
        angles[page] = turns.settled(
          row["angle_deg"], row["spread_deg"], options.at_least, options.snap
        )
      row["turned_back_deg"] = angles[page]
    outcome = "turned" if any(angles) else "left"
    if unsure:
      outcome = writing.REVIEW
    for row in rows:
      row["outcome"] = outcome
    self._draw(job, angles)
    if self._write(job, rows, angles, unsure):
      self.outcomes[outcome] += 1
    else:
      for row in rows:
        row["outcome"] = "failed"
    if not self._writer:
      for row in rows:
        del row["outcome"], row["turned_back_deg"]

  def _write(self, job, rows, angles, unsure) -> bool:
    """Whether all that was asked for was written."""
    if not self._writer:
      return True
    target = self._writer.target(job.found, unsure)
    try:
      if job.damaged:
        lost = ", ".join(str(page + 1) for page in job.damaged)
        raise pictures.Unusable(f"not written, for page {lost} cannot be read")
      self._writer.write(job.found, job.document, angles, rows, unsure)
    except pictures.Unusable as error:
      self._fail(target, error)
      return False
    except MemoryError:
      self._fail(target, _NO_MEMORY)
      return False
    return True

  def _is_sure(self, rows) -> bool:
    """Whether every page that shows something is told surely enough."""
    key = rows_lib.within_key(max(self._options.within))
    shares = [row[key] for row in rows if not row["blank"]]
    known = all(row["model_sure"] for row in rows)
    return known and bool(shares) and min(shares) >= self._options.sure

  def _draw(self, job, angles) -> None:
    how = self._options.how
    for page in sorted(job.rows):
      if not self._sheet or len(self._pairs) == contact_sheet.LIMIT:
        return
      name = listing.page_name(job.found.name, job.page(page))
      words = answers_lib.in_words(job.rows[page]["angle_deg"])
      try:
        shown = job.document.read(page)
        self._pairs.append(
          contact_sheet.pair(
            shown, angles[page], how.fit, f"{name}\n{words}", how.fill
          )
        )
      except pictures.Unusable as error:
        self._fail(job.found.path, error)
      except MemoryError:
        self._fail(job.found.path, _NO_MEMORY)

  def finish(self) -> None:
    """Writes the table and the contact sheet, if there is anything to tell;
    tells what of its own the command left out, and what became of the rest."""
    if self._own:
      count = f"{len(self._own)} such in all"
      self._tell(self._own[0], f"left out: rotjax.predict wrote it ({count})")
    if self._sheet and self._pairs:
      try:
        contact_sheet.write(self._pairs, self._sheet)
      except (pictures.Unusable, MemoryError) as error:
        self._fail(self._sheet, error)
    if not (self._output and self._writer):
      return
    sorts = self._options.sure is not None
    if sorts:
      try:
        self._writer.write_table(self._rows, self._options.within)
      except pictures.Unusable as error:
        self._fail(self._output.path / writing.TABLE, error)
    before = self.outcomes["before"]
    if before or sorts:
      words = [
        f"{self.outcomes[kind]} {said}"
        for kind, said in (
          ("turned", "turned"),
          ("left", "left as they are"),
          (writing.REVIEW, "to review"),
          ("before", "done by an earlier call"),
          ("failed", "failed"),
        )
        if self.outcomes[kind]
      ]
      self._tell(self._output.path, ", ".join(words) or "nothing to do")
