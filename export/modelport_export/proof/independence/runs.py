"""Whether runs contradict it: each sample is asked alone and in many companies, and must get the same answer.

The samples are compared, not their neighbours: what a model makes of NaN or of the largest numbers may change with the
place that a row has in a vector instruction, without following from other rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from modelport.errors import DeadlineExceeded, ModelportError
from modelport_export.proof.independence.companies import MANY, Company, companies, pick, row_limit
from modelport_export.proof.independence.verdict import Verdict
from modelport_export.proof.parity import Different, differences
from modelport_export.signatures import Array

BUDGET_S = 2.5  # of one signature's runs; a small model needs a tenth of a second, a slow one is not waited for
_AT_LEAST = 4  # companies without which runs say nothing: two rows, three, many, and other values

Ask = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def run(ask: Ask, inputs: Mapping[str, Array], tolerance: float, budget_s: float = BUDGET_S) -> Verdict:
    """Ask for samples alone and in companies.

    Args:
        ask: sends a request; input alias → array to output alias → array. Raises ModelportError.
        inputs: input alias → array of samples, one row at least.
        tolerance: see `parity`.
        budget_s: seconds after which no further company is asked.

    Returns:
        The verdict; its reason says how many requests there were and what was left out, or what contradicts.
    """
    deadline = time.monotonic() + budget_s
    asked: list[Company] = []
    failed: list[str] = []
    try:
        first, row_s = _ask_first(ask, inputs, tolerance)
        limit = row_limit(inputs, row_s)
        samples = pick(inputs, limit)
        offered = list(companies(samples, limit))
        alone = _ask_alone(ask, samples, first)
        for company in offered:
            if time.monotonic() > deadline:
                break
            asked.append(company)
            try:
                answer = ask(company.inputs)
            except DeadlineExceeded:
                raise
            except ModelportError as error:  # of a neighbour, as may be
                failed.append(error.message)
                continue
            _compare(company, alone, answer, tolerance)
    except Different as error:
        return Verdict(False, f"runs contradict it: {error}")
    except ModelportError as error:
        return Verdict(False, f"it could not be tried: {error.message}")
    if len(asked) < _AT_LEAST:
        return Verdict(False, f"only {len(asked)} of {len(offered)} companies of rows could be tried in {budget_s:g} s")
    if len(failed) == len(asked):
        return Verdict(False, f"every request of several rows fails: {failed[0]}")
    return Verdict(True, _told(len(next(iter(samples.values()))), offered, asked, failed, budget_s))


def _ask_first(ask: Ask, inputs: Mapping[str, Array], tolerance: float) -> tuple[Mapping[str, Array], float]:
    """The answer to the first sample, asked twice, and how long it takes in seconds."""
    begin = time.monotonic()
    first = _one_row(ask, inputs, 0)
    middle = time.monotonic()
    again = _one_row(ask, inputs, 0)
    seconds = min(middle - begin, time.monotonic() - middle)
    try:
        differences(first, again, tolerance)
    except Different as error:
        raise Different(f"the same sample to be answered alike each time: {error.expected}", error.received) from error
    return first, seconds


def _ask_alone(ask: Ask, samples: Mapping[str, Array], first: Mapping[str, Array]) -> dict[str, Array]:
    """The answer to each sample alone, in one array for each output."""
    count = len(next(iter(samples.values())))
    answers = [first, *(_one_row(ask, samples, row) for row in range(1, count))]
    try:
        return {alias: np.concatenate([answer[alias] for answer in answers]) for alias in first}
    except (ValueError, KeyError) as error:
        raise Different("all samples to be answered with outputs of one shape", str(error)) from error


def _one_row(ask: Ask, samples: Mapping[str, Array], row: int) -> Mapping[str, Array]:
    answer = dict(ask({alias: array[row : row + 1] for alias, array in samples.items()}))
    _check_rows(answer, 1)
    return answer


def _check_rows(answer: Mapping[str, Array], rows: int) -> None:
    for alias, array in answer.items():
        if not array.ndim or len(array) != rows:
            raise Different(f"output {alias!r} to have {rows} rows, as the request has", f"the shape {array.shape}")


def _compare(company: Company, alone: Mapping[str, Array], answer: Mapping[str, Array], tolerance: float) -> None:
    """Hold the rows that are samples against what they were answered alone.

    Raises:
        Different: naming the company.
    """
    _check_rows(answer, len(company.samples))
    places = [place for place, sample in enumerate(company.samples) if sample is not None]
    taken = [sample for sample in company.samples if sample is not None]
    expected = {alias: array[taken] for alias, array in alone.items()}
    try:
        differences(expected, {alias: array[places] for alias, array in answer.items()}, tolerance)
    except Different as error:
        raise Different(f"{company.name} to be answered as alone: {error.expected}", error.received) from error


def _told(
    count: int,
    offered: Sequence[Company],
    asked: Sequence[Company],
    failed: Sequence[str],
    budget_s: float,
) -> str:
    """What was tried, for a person."""
    largest = max(len(company.samples) for company in asked)
    notes = []
    if len(asked) < len(offered):
        notes.append(f"{len(offered) - len(asked)} more would have taken longer than {budget_s:g} s")
    if max(len(company.samples) for company in offered) < MANY:
        notes.append("no more rows at once, because they are large or slow")
    if failed:
        notes.append(f"{len(failed)} of them failed and were left out")
    told = f"{count + 1 + len(asked)} requests of 1 to {largest} rows"
    return f"{told} ({'; '.join(notes)})" if notes else told
