"""Measure servers: start, warm up, load at each setting, look at answers before and after every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from serving_peers import generator, model
from serving_peers.checkouts import environment
from serving_peers.contestants import Contestant, Ports
from serving_peers.cores import Cores, own_s
from serving_peers.exchanges import Exchange
from serving_peers.generator import BadRun
from serving_peers.launch import ServerTree, free_port

START_S = 120.0
WARM_UP_S = 1.0
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Setting:
    """What is asked: in which protocol, how many rows a request, by how many callers at a time."""

    exchange: Exchange
    rows: int
    callers: int


@dataclass(frozen=True)
class Figures:
    """What one run came to; times in seconds."""

    rate: float
    p50: float
    p99: float
    cpu_per_request: float
    memory_bytes: int
    others: float  # share of all cores that went to neither server nor generator


@dataclass(frozen=True)
class Result:
    """One run of one server: figures, or the reason why there are none."""

    server: str
    setting: Setting
    figures: Figures | None
    failure: str = ""


@dataclass(frozen=True)
class Plan:
    """What is common to all servers."""

    rows: Sequence[int]
    callers: Sequence[int]
    seconds: float  # length of a run
    base: Path  # the model's base path
    cache: Path  # folder of the peers' environments
    work: Path  # folder for request bodies and logs


def measure(contestants: Sequence[Contestant], plan: Plan) -> Iterator[Result]:
    """Start servers and yield a result for each protocol, number of rows and number of callers.

    Several servers are up at the same time and are asked in turns, setting by setting, so that a noisy moment of the
    machine hits them all. Those that are compared as closely as that speak the same protocols.
    """
    with ExitStack() as stack:
        up = [_start(contestant, plan, stack) for contestant in contestants]
        for setting in _settings(contestants[0], plan):
            for contestant, server in zip(contestants, up, strict=True):
                yield _result(contestant, setting, server, plan)


def _settings(contestant: Contestant, plan: Plan) -> list[Setting]:
    return [Setting(exchange, r, c) for exchange in contestant.exchanges for r in plan.rows for c in plan.callers]


def _start(contestant: Contestant, plan: Plan, stack: ExitStack) -> tuple[ServerTree, Ports] | BadRun:
    """A server that answers in all its protocols, or why there is none; it ends with the stack."""
    ports = Ports(free_port(), free_port())
    try:
        command, log = contestant.command(plan.cache, plan.base, ports), plan.work / f"{contestant.name}.log"
        tree = stack.enter_context(ServerTree(command, log, environment(contestant.checkout)))
        for exchange in contestant.exchanges:
            tree.wait_until(partial(_probe, exchange, ports, 1), START_S)
    except BadRun as error:
        return error
    return tree, ports


def _result(contestant: Contestant, setting: Setting, server: tuple[ServerTree, Ports] | BadRun, plan: Plan) -> Result:
    try:
        if isinstance(server, BadRun):
            raise server
        return Result(contestant.name, setting, _figures(setting, *server, plan))
    except BadRun as error:
        return Result(contestant.name, setting, None, str(error))


def _figures(setting: Setting, tree: ServerTree, ports: Ports, plan: Plan) -> Figures:
    exchange, port = setting.exchange, ports.of(setting.exchange)
    body = plan.work / "body"
    body.write_bytes(exchange.body(model.request(setting.rows)))
    generator.run(exchange, port, body, setting.callers, WARM_UP_S)
    answer_bytes = _probe(exchange, ports, setting.rows)
    cores, cpu = Cores(tree.cpu_s, own_s), tree.cpu_s()
    load = generator.run(exchange, port, body, setting.callers, plan.seconds)
    cpu, others = tree.cpu_s() - cpu, cores.others()
    memory = tree.memory_bytes()
    load.check(exchange, answer_bytes, setting.callers)
    _probe(exchange, ports, setting.rows)
    return Figures(load.rate, load.p50, load.p99, cpu / load.requests, memory, others)


def _probe(exchange: Exchange, ports: Ports, rows: int) -> int:
    """Ask once and compare with what numpy computed; returns the length of the answer's body.

    Raises:
        BadRun: a wrong answer.
    """
    pixels = model.request(rows)
    probabilities, length = exchange.probe(ports.of(exchange), pixels)
    expected = model.answer(pixels)
    if probabilities.shape != expected.shape or not np.allclose(probabilities, expected, atol=TOLERANCE):
        raise BadRun(f"Expected the probabilities {expected[0][:3]}…. Received: {probabilities.ravel()[:3]}…")
    return length
