"""Prove a staged version: load it in a fresh process, ask it, and hold the answers against the user's own model's."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.errors import FailedPrecondition, ModelportError
from modelport_client import Client
from modelport_export.proof import diagnosis, latency, parity, rest_parity
from modelport_export.proof.batches import Batch, batches, slice_rows
from modelport_export.proof.independence import proving
from modelport_export.proof.rows import Rows
from modelport_export.proof.validation_server import ValidationServer, validation_server
from modelport_export.signatures import Array, Spec

BUDGET_S = 10.0  # after which no further request is compared, once these were:
AT_LEAST = 3  # one row, two, and many in mixed company
_FEW = 8  # units that tell what one takes in company
_SHORTEST_TIMEOUT_S = 30.0
_SLOWER = 20  # times that a server may be slower than the model in this process

Samples = Mapping[str, Array]
BySignature = dict[str, dict[str, Array]]


@dataclass(frozen=True)
class Subject:
    """What is proven: signatures that answer the same samples.

    Args:
        inputs: of the samples.
        samples: raw ones, named as in `inputs`.
        feeds: samples → signature → inputs.
        expected: samples → signature → outputs, by the user's model; may raise whatever that raises.
        tolerances: of each signature, see `parity`.
        model: a Keras model whose weights may be to blame.
        traced: signature and inputs → outputs, by the graph in this process.
        labels: of an image classifier, see `parity.differences`.
        infinite: outputs that may be NaN or infinite.
    """

    inputs: Mapping[str, Spec]
    samples: Samples
    feeds: Callable[[Samples], BySignature]
    expected: Callable[[Samples], BySignature]
    tolerances: Mapping[str, float]
    model: Any = None
    traced: Callable[[str, Mapping[str, Array]], Mapping[str, Array]] | None = None
    labels: Sequence[str] = ()
    infinite: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Single:
    """The request of one unit whose latency is measured, and what was measured.

    Args:
        signature: that is asked.
        rows: of it.
        inputs: samples, unit by unit.
        timeout: seconds of a call.
        figures: milliseconds: first, p50, p99, and the number of calls.
        calls: milliseconds of each.
    """

    signature: str
    rows: Rows
    inputs: Samples
    timeout: float
    figures: Mapping[str, float]
    calls: Sequence[float]


# What is done with the server once its answers are proven; gives further figures.
Then = Callable[[ValidationServer, Single | None], Mapping[str, Any]]


def no_more(server: ValidationServer, single: Single | None) -> Mapping[str, Any]:
    """Nothing further."""
    return {}


def prove(
    folder: Path,
    name: str,
    subjects: Sequence[Subject],
    signatures: Iterable[str],
    then: Then = no_more,
) -> dict[str, Any]:
    """Prove what was written.

    Args:
        folder: the staged version, warm-up included.
        name: the model's.
        subjects: what to ask, and what is to be answered.
        signatures: all of the version.
        then: see `Then`.

    Returns:
        The figures for the manifest: parity of each signature, requests, latency, memory, seconds to start, and whether
        rows are independent.

    Raises:
        FailedPrecondition: it does not load, its answers differ, or are not finite.
    """
    figures: dict[str, Any] = {}
    asked: dict[str, Any] = {}
    feeds: BySignature = {}
    single: Single | None = None
    over_rest: dict[str, str] = {}
    with validation_server(folder, name) as server:
        for subject in subjects:
            asking = _Asking(server.client, name, subject)
            first_ms = asking.first() if single is None else 0.0
            asking.run()
            for signature, errors in asking.errors.items():
                figures[signature] = {"max_abs_error": errors, "tolerance": subject.tolerances[signature]}
                asked[signature] = asking.told()
            found = subject.feeds(subject.samples)
            if single is None:
                single = asking.single(first_ms)
            over_rest |= rest_parity.compare(server, name, asking.small(), subject.tolerances, asking.timeout)
            feeds.update(found)
        tolerances = {signature: figure["tolerance"] for signature, figure in figures.items()}
        return {
            "parity": figures,
            "asked": asked,
            "over_rest": over_rest,
            "latency_ms": {} if single is None else dict(single.figures),
            "resident_mib": server.resident_mib(),
            "start_seconds": server.start_seconds,
            **then(server, single),
            **_row_independence(folder, name, server.client, signatures, feeds, tolerances),
        }


@dataclass
class _Asking:
    """Asks for the samples of a subject, and keeps what came of it."""

    client: Client
    name: str
    subject: Subject
    errors: dict[str, dict[str, float]] = field(default_factory=dict)  # signature → output → largest difference
    scales: dict[str, dict[str, Array]] = field(default_factory=dict)  # of all samples' outputs, see `parity.scale`
    requests: int = 0
    timeout: float = _SHORTEST_TIMEOUT_S
    left_out: list[str] = field(default_factory=list)

    def _request(self) -> tuple[str, Rows, Samples]:
        """Signature, rows and samples of the request whose latency counts."""
        signature, inputs = next(iter(self.subject.feeds(self.subject.samples).items()))
        return signature, Rows.of(self.subject.inputs), inputs

    def small(self) -> BySignature:
        """A request of some units."""
        rows, samples = Rows.of(self.subject.inputs), self.subject.samples
        one = sum(array.nbytes for array in rows.take(samples, [0]).values())
        most = min(rest_parity.UNITS, rows.count(samples), rest_parity.MOST_BYTES // max(one, 1))
        units = max(1, most) if rows.is_open else 1
        return self.subject.feeds(rows.take(samples, range(units)))

    def first(self) -> float:
        """Milliseconds of the first request after the load."""
        try:
            return latency.first(self.client, self.name, *self._request(), self.timeout)
        except ModelportError as error:
            raise FailedPrecondition(
                f"Expected the served version to answer one of its samples. Received: {error.message}"
            ) from error

    def single(self, first_ms: float) -> Single:
        """Measure the steady ones."""
        asked = self._request()
        figures, calls = latency.steady(self.client, self.name, *asked, self.timeout)
        return Single(*asked, self.timeout, {"first": first_ms, **figures}, calls)

    def run(self) -> None:
        subject = self.subject
        rows = Rows.of(subject.inputs)
        one = rows.take(subject.samples, [0])
        self._bytes(one)  # the first call takes longer than others
        begin = time.monotonic()
        size = self._bytes(one)
        unit_s = self._unit_s(rows, size, time.monotonic() - begin)
        self._measure(rows, size, unit_s)
        self.timeout = max(_SHORTEST_TIMEOUT_S, _SLOWER * unit_s)
        deadline = time.monotonic() + BUDGET_S
        for batch in batches(subject.inputs, subject.samples, size, unit_s):
            if time.monotonic() > deadline and self.requests >= AT_LEAST:
                self.left_out.append(batch.name)
                continue
            self._ask(batch)

    def _unit_s(self, rows: Rows, unit_bytes: float, alone_s: float) -> float:
        """Seconds that a unit takes in company: what a call costs by itself says nothing of many rows."""
        few = slice_rows(_FEW, unit_bytes, alone_s) if rows.is_open else 1
        if few == 1:
            return alone_s
        count = rows.count(self.subject.samples)
        together = rows.take(self.subject.samples, [unit % count for unit in range(few)])
        begin = time.monotonic()
        with contextlib.suppress(Exception):  # whoever asks for them will say it
            self.subject.expected(together)
            return min(alone_s, (time.monotonic() - begin) / few)
        return alone_s

    def _measure(self, rows: Rows, unit_bytes: float, unit_s: float) -> None:
        """Learn how large the outputs are over several samples: one row alone may be answered with zeros."""
        if not rows.is_open:
            return
        count = slice_rows(rows.count(self.subject.samples), unit_bytes, unit_s)
        with contextlib.suppress(Exception):  # whoever asks for them will say it
            expected = self.subject.expected(rows.take(self.subject.samples, range(count)))
            for signature, outputs in expected.items():
                floats = {alias: array for alias, array in outputs.items() if parity.is_float(array)}
                self.scales[signature] = {alias: parity.scale(array) for alias, array in floats.items()}

    def told(self) -> dict[str, Any]:
        """For the manifest."""
        return {"requests": self.requests, "left_out": self.left_out}

    def _bytes(self, one: Samples) -> float:
        """Bytes of one unit with its answer."""
        try:
            expected = self.subject.expected(one)
        except ModelportError:
            raise
        except Exception as error:  # the user's layers run here
            raise FailedPrecondition(
                f"Expected the model to answer its samples. Called by itself it raises {type(error).__name__}: {error}"
            ) from error
        answers = max(sum(array.nbytes for array in outputs.values()) for outputs in expected.values())
        return float(answers + sum(array.nbytes for array in one.values()))

    def _ask(self, batch: Batch) -> None:
        subject = self.subject
        try:
            expected = subject.expected(batch.samples)
        except Exception as error:  # the user's layers run here
            if batch.is_other:
                self.left_out.append(f"{batch.name}, which the model itself does not take")
                return
            raise FailedPrecondition(
                f"Expected the model to answer {batch.name}. Called by itself it raises {type(error).__name__}: {error}"
            ) from error
        if batch.is_other and not all(
            parity.is_finite(array) for outputs in expected.values() for array in outputs.values()
        ):
            self.left_out.append(f"{batch.name}, for which the model itself has no finite answer")
            return
        self.requests += 1
        for signature, inputs in subject.feeds(batch.samples).items():
            parity.refuse_non_finite(signature, expected[signature], subject.model, subject.infinite)
            try:
                received = self.client.predict(self.name, inputs, signature=signature, timeout=self.timeout).raw
            except ModelportError as error:
                raise FailedPrecondition(
                    f"Expected the served version to answer {batch.name} of {signature!r}, as the model itself does. "
                    f"Received: {error.message}"
                ) from error
            parity.refuse_non_finite(signature, received, subject.model, subject.infinite)
            try:
                errors = parity.differences(
                    expected[signature],
                    received,
                    subject.tolerances[signature],
                    labels=subject.labels,
                    scales=self.scales.get(signature),
                )
            except parity.Different as error:
                steady = diagnosis.is_steady(subject, signature, batch, expected[signature])
                if batch.is_other and not steady:
                    self.left_out.append(f"{batch.name}, which the model itself answers differently each time")
                    return
                cause = diagnosis.cause(subject, signature, batch, received, steady=steady)
                raise FailedPrecondition(
                    f"The served answers of {signature!r} to {batch.name} are not those of the model: expected "
                    f"{error.expected}. Received: {error.received}. {cause}"
                ) from None
            known = self.errors.setdefault(signature, {})
            for alias, error_of in errors.items():
                known[alias] = max(error_of, known.get(alias, 0.0))


def _row_independence(
    folder: Path,
    name: str,
    client: Client,
    signatures: Iterable[str],
    feeds: Mapping[str, Mapping[str, Array]],
    tolerances: Mapping[str, float],
) -> dict[str, Any]:
    """The last figures, because a server may end when it is asked for the rows that this takes."""
    begin = time.monotonic()
    verdicts = proving.prove(folder, name, client, signatures, feeds, tolerances)
    return {
        "row_independence": {signature: dataclasses.asdict(verdict) for signature, verdict in verdicts.items()},
        "row_independence_seconds": time.monotonic() - begin,
    }
