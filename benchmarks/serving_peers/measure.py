"""Measure one server: start, warm up, load at each setting, look at answers before and after every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from serving_peers import generator, model
from serving_peers.contestants import Contestant, Ports, environment
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


def measure(contestant: Contestant, plan: Plan) -> Iterator[Result]:
    """Start a server and yield a result for each of its protocols, numbers of rows and numbers of callers."""
    own = [Setting(exchange, r, c) for exchange in contestant.exchanges for r in plan.rows for c in plan.callers]
    ports = Ports(free_port(), free_port())
    try:
        command = contestant.command(plan.cache, plan.base, ports)
        with ServerTree(command, plan.work / f"{contestant.name}.log", environment()) as tree:
            for exchange in contestant.exchanges:
                tree.wait_until(partial(_probe, exchange, ports, 1), START_S)
            for setting in own:
                try:
                    yield Result(contestant.name, setting, _figures(setting, tree, ports, plan))
                except BadRun as error:
                    yield Result(contestant.name, setting, None, str(error))
    except BadRun as error:
        yield from (Result(contestant.name, setting, None, str(error)) for setting in own)


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
