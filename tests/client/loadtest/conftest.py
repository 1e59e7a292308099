"""What tests of loads share: plans against servers that answer as a test says."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from modelport.wire import messages
from modelport.wire.services import METHODS
from modelport_client.loadtest.plan import GRPC, Plan, Samples
from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.profile import Piece
from modelport_client.loadtest.results.result import Result, result_of
from tests.support.answering_server import AnsweringServer


def samples(count: int = 1) -> Samples:
    """Predict requests for a server that does not look into them."""
    body = messages.PredictRequest(model_spec=messages.ModelSpec(name="tiny")).SerializeToString()
    return Samples(GRPC, METHODS["Predict"].path, (body,) * count, "the test")


def open_plan(target: str, rate: float, seconds: float, **more: Any) -> Plan:
    return Plan(**{"target": target, "samples": samples(), "pieces": (Piece(rate, rate, seconds),), **more})


def closed_plan(target: str, callers: int, seconds: float, **more: Any) -> Plan:
    return Plan(**{"target": target, "samples": samples(), "concurrency": callers, "seconds": seconds, **more})


@pytest.fixture(scope="session")
def one_generator() -> Iterator[Generators]:
    """A generating process for all plans of one process."""
    with Generators(1) as generators:
        yield generators


@pytest.fixture
def run(one_generator) -> Callable[[Plan], Result]:
    """Run a plan; those of several processes have processes of their own."""

    def do(plan: Plan) -> Result:
        if plan.processes == 1:
            return result_of(plan, one_generator.run(plan))
        with Generators(plan.processes) as generators:
            return result_of(plan, generators.run(plan))

    return do


@pytest.fixture
def answering() -> Iterator[Callable[..., AnsweringServer]]:
    """Start an `AnsweringServer`, which ends with the test."""
    with ExitStack() as stack:
        yield lambda *arguments, **named: stack.enter_context(AnsweringServer(*arguments, **named))
