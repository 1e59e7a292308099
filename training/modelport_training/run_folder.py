"""The run folder: what a training leaves behind. What the exporter reads of it stands in `modelport.run_record`.

runs/sequential-digits/
├── run.json              settings, data, metrics, history, labels, versions; "finished" when all of it is there
├── model.keras           the model as of its best epoch
├── samples.npz           raw held-out inputs by name, and `label` or `target_*`
├── learning_curve.png
├── report.html           the run as a page
├── logs/                 for TensorBoard
└── checkpoint/           where an unfinished run stands; removed when it is finished
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport import run_record
from modelport.errors import AlreadyExists, FailedPrecondition, from_os_error
from modelport.run_record import RunRecord
from modelport_training.settings import Plan, Settings, differences


@dataclass(frozen=True)
class RunFolder:
    """The paths in a run folder, and its record."""

    path: Path

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.path / run_record.MODEL

    @property
    def samples(self) -> Path:
        """Raw held-out examples."""
        return self.path / run_record.SAMPLES

    @property
    def evaluation(self) -> Path:
        """Raw held-out examples, as many as a version may carry."""
        return self.path / run_record.EVALUATION

    @property
    def report(self) -> Path:
        """The run as a page."""
        return self.path / "report.html"

    @property
    def curve(self) -> Path:
        """The learning curve."""
        return self.path / "learning_curve.png"

    @property
    def logs(self) -> Path:
        """TensorBoard's folder."""
        return self.path / "logs"

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoint" / "newest.npz"

    @property
    def record(self) -> Path:
        """`run.json`."""
        return self.path / run_record.RECORD

    def read_record(self) -> RunRecord | None:
        """What `run.json` says, or None when there is none. Raises DataLoss as `run_record.read` does."""
        return run_record.read(self.path)

    def write_record(self, fields: Mapping[str, Any]) -> None:
        """Replace `run.json`."""
        run_record.write(self.path, fields)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and hold it; the lock goes when its holder dies, however it dies.

        Raises:
            FailedPrecondition: another process trains in it.
            PermissionDenied, …: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise from_os_error(error, "make the run folder", self.path) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FailedPrecondition(
                    f"Expected {str(self.path)!r} to be free; another process trains in it. Give another output."
                ) from error
            yield
        finally:
            os.close(handle)

    def begin(self, settings: Settings, plan: Plan, fingerprint: str) -> RunRecord | None:
        """Decide what becomes of an earlier run in the folder, before anything is written.

        Returns:
            The record of the run to go on with, finished or not; None when there is none, or none any more.

        Raises:
            AlreadyExists: there is a run, and neither `resume` nor `overwrite` is set.
            FailedPrecondition: the run to resume had other settings or data, or the folder holds something else.
        """
        if settings.overwrite and self.record.exists():
            self._clear()
        record = self.read_record()
        if record is None:
            strangers = sorted(child.name for child in self.path.iterdir() if not child.name.startswith("."))
            if strangers:
                raise FailedPrecondition(
                    f"Expected an empty folder or a run in {str(self.path)!r}. Received: a folder with "
                    f"{', '.join(strangers[:3])} and no run.json. Give another output."
                )
            return None
        if not settings.resume:
            done = "a finished run" if record.finished else "an unfinished run"
            replaces = "--overwrite (overwrite=True) replaces it"
            way = replaces if record.finished else f"--resume (resume=True) goes on with it, {replaces}"
            raise AlreadyExists(f"Expected no run in {str(self.path)!r}. Received: {done}; {way}.")
        _check_same(self.path, record, plan, fingerprint)
        return record

    def _clear(self) -> None:
        for folder in (self.logs, self.checkpoint.parent):
            shutil.rmtree(folder, ignore_errors=True)
        for path in (
            self.model,
            self.samples,
            self.evaluation,
            self.curve,
            self.report,
            self.record,
        ):  # the record last: it is ours by it
            path.unlink(missing_ok=True)


def _check_same(path: Path, record: RunRecord, plan: Plan, fingerprint: str) -> None:
    differing = differences(record.settings, plan)
    if (before := record.dataset.get("fingerprint")) != fingerprint:
        differing.append(f"the data had the fingerprint {before} and have {fingerprint}")
    if differing:
        raise FailedPrecondition(
            f"Expected the settings and data of the run in {str(path)!r}, so that it ends as it would have. Received: "
            f"{'; '.join(differing)}. Give the same settings, or another output, or overwrite."
        )
