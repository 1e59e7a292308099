"""A file of rows to a file of answers: batches with several under way, in bounded memory, by one version."""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelport.errors import InvalidArgument, ModelportError
from modelport_client.asking.big_requests import refuse_other_rows
from modelport_client.client import Client
from modelport_client.commands import answer_files, row_files

_SAY_EVERY_S = 0.5


def predict_file(client: Client, options: argparse.Namespace, source: Path, target: Path) -> dict[str, Any]:
    """Answer all rows of a file.

    Returns:
        `model`, `version`, `rows` and `seconds`.

    Raises:
        The errors of `Client.predict`, with the rows at which it ended; then there is no file of answers.
    """
    if target.exists() and target.samefile(source):
        raise InvalidArgument(f"Expected another file for the answers than for the rows. Received: {str(target)!r}")
    begin = time.monotonic()
    of = row_files.wanted(client, options)
    batches, count = row_files.read(source, of, options.batch_rows)
    told = _Progress(count)
    sent: deque[row_files.Batch] = deque()

    def inputs() -> Iterator[Any]:
        for batch in batches:
            sent.append(batch)
            yield batch.inputs

    with answer_files.writing(target) as write:
        try:
            for answer in client.predict_batches(
                options.model, inputs(), version=of.version, signature=of.name, outputs=options.only
            ):
                batch = sent.popleft()
                refuse_other_rows(answer, batch.rows)
                write(answer, batch.names)
                told.add(batch.rows)
        except ModelportError as error:
            raise type(error)(f"After {told.rows} rows that were answered: {error.message}") from error
        finally:
            told.end()
    return {
        "model": options.model,
        "version": of.version,
        "rows": told.rows,
        "seconds": round(time.monotonic() - begin, 3),
    }


class _Progress:
    """A line on a terminal: rows, and the time left where the number of rows is known."""

    def __init__(self, count: int | None) -> None:
        self.rows = 0
        self._count = count
        self._begin = self._said = time.monotonic()
        self._is_shown = sys.stderr.isatty()

    def add(self, rows: int) -> None:
        self.rows += rows
        now = time.monotonic()
        if not self._is_shown or now - self._said < _SAY_EVERY_S:
            return
        self._said = now
        rate = self.rows / (now - self._begin)
        left = "" if self._count is None else f" of {self._count}, {(self._count - self.rows) / rate:.0f} s left"
        sys.stderr.write(f"\r\033[K{self.rows}{left} rows, {rate:.0f} a second")
        sys.stderr.flush()

    def end(self) -> None:
        if self._is_shown:
            sys.stderr.write("\r\033[K")
