"""The settings that are tried: what matters for rate and latency, and nothing that could change an answer.

Each is a choice in some of these questions; where it chooses nothing the server's default holds. They are tried in this
order: the defaults, each choice alone, and then choices together, in an order that a seed draws.

Joining requests (batching) changes answers when the rows of a request influence one another. So it is tried only where
the publisher of the version proved that they do not, or whoever tunes says so.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from modelport.serverconfig import BatchingParameters, format_batching


@dataclass(frozen=True)
class Choice:
    """One answer to one question."""

    words: str
    flags: tuple[str, ...] = ()
    batching: BatchingParameters | None = None


@dataclass(frozen=True)
class Setting:
    """Choices of different questions; none at all are the defaults."""

    choices: tuple[Choice, ...] = ()

    @property
    def name(self) -> str:
        """For people."""
        return ", ".join(choice.words for choice in self.choices) or "defaults"

    @property
    def flags(self) -> tuple[str, ...]:
        """Of the server, without the file of batching parameters."""
        return tuple(flag for choice in self.choices for flag in choice.flags)

    @property
    def batching(self) -> str | None:
        """The text of `batching.config`; None where nothing is batched."""
        for choice in self.choices:
            if choice.batching is not None:
                return format_batching(choice.batching)
        return None


DEFAULTS = Setting()


def candidates(
    cores: int, bound_s: float, is_embedded: bool, may_batch: bool, largest_rows: int, seed: int
) -> list[Setting]:
    """All settings, in the order in which they are tried.

    Args:
        cores: of this machine.
        bound_s: a batch waits for company for a part of it.
        is_embedded: whether it is our server, which has options of its own.
        may_batch: whether requests may be joined.
        largest_rows: of a request, those that warm the version up included: a batch must have room for it.
        seed: draws the order of choices together.
    """
    questions = [_threads(cores)]
    if may_batch:
        questions.append(_batching(cores, bound_s, largest_rows))
    questions.append(_runs(cores) if is_embedded else _grpc(cores))
    alone = [Setting((choice,)) for question in questions for choice in question]
    answers = [[None, *question] for question in questions]
    chosen = [tuple(choice for choice in combined if choice is not None) for combined in itertools.product(*answers)]
    together = [Setting(choices) for choices in chosen if len(choices) > 1]
    random.Random(seed).shuffle(together)  # noqa: S311  # no secret
    return [DEFAULTS, *_in_turns(questions, alone), *together]


def _in_turns(questions: Sequence[Sequence[Choice]], alone: Sequence[Setting]) -> list[Setting]:
    """One choice of each question first: with little time each is asked."""
    place = {choice: number for question in questions for number, choice in enumerate(question)}
    return sorted(alone, key=lambda setting: place[setting.choices[0]])


def _threads(cores: int) -> list[Choice]:
    """Within operations and between them; by default as many as cores for both."""
    pairs = dict.fromkeys([(1, cores), (1, 1), (cores, 1)])
    return [
        Choice(
            f"{intra} threads within operations, {inter} between",
            (f"--tensorflow_intra_op_parallelism={intra}", f"--tensorflow_inter_op_parallelism={inter}"),
        )
        for intra, inter in pairs
        if (intra, inter) != (cores, cores)
    ]


def _batching(cores: int, bound_s: float, largest_rows: int) -> list[Choice]:
    """Three sizes by powers of four; no wait, a millisecond, or a tenth of the bound."""
    small = max(8, largest_rows)
    middle, large = 4 * small, 16 * small
    waits_us = dict.fromkeys([0, min(1000, round(bound_s * 1e5)), round(bound_s * 1e5)])
    shapes = [(middle, 0, cores), (small, 0, cores), (middle, 0, 2 * cores), (large, 0, cores)]
    shapes += [(size, wait, cores) for wait in waits_us if wait for size in (middle, small, large)]
    choices = []
    for size, wait_us, threads in shapes:
        parameters = BatchingParameters(
            max_batch_size=size,
            batch_timeout_micros=wait_us,
            num_batch_threads=threads,
            max_enqueued_batches=1000,  # the default of 10 refuses requests before the bound is reached
        )
        words = f"batches of {size} rows, {wait_us} µs, {threads} threads"
        choices.append(Choice(words, ("--enable_batching=true",), parameters))
    return choices


def _grpc(cores: int) -> list[Choice]:
    """Of `tensorflow_model_server`; by default four threads for each core."""
    return [
        Choice(f"{cores} gRPC threads", (f"--grpc_max_threads={cores}",)),
        Choice(
            "gRPC for throughput",
            ("--grpc_channel_arguments=grpc.optimization_target=throughput",),
        ),
    ]


def _runs(cores: int) -> list[Choice]:
    """Of the embedded server: whether waiting requests share a run, and how many runs are under way."""
    return [
        Choice("no joined requests", ("--join_requests=none",)),
        Choice(f"{2 * cores} runs at a time", (f"--run_threads={2 * cores}",)),
        *([Choice("1 run at a time", ("--run_threads=1",))] if cores > 1 else []),
    ]
