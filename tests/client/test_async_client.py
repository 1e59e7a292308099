"""What is of `AsyncClient` alone: its surface, cancelling, many calls at a time, its event loop."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, Unavailable
from modelport_client import AsyncClient, Client

X = {"x": np.zeros(1, np.float32)}


def surface(kind: type) -> dict[str, inspect.Signature]:
    return {name: inspect.signature(member) for name, member in vars(kind).items() if not name.startswith("_")}


def test_the_two_surfaces_are_one() -> None:
    waited, awaited = surface(Client), surface(AsyncClient)
    assert waited.keys() == awaited.keys()
    for name in waited:
        assert list(waited[name].parameters.values()) == list(awaited[name].parameters.values()) or name == (
            "predict_batches"
        )
    assert list(waited["predict_batches"].parameters) == list(awaited["predict_batches"].parameters)
    made, made_async = (inspect.signature(kind).parameters for kind in (Client, AsyncClient))
    assert list(made_async) == [*made, "under_way"]
    for name, member in vars(AsyncClient).items():
        if not name.startswith("_"):
            assert inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member), name


@pytest.fixture(params=["grpc", "rest"])
def address(request: pytest.FixtureRequest, server: Any) -> str:
    return server.grpc_address if request.param == "grpc" else server.rest_address


def test_a_thousand_calls_at_a_time(address: str) -> None:
    async def ask() -> list[float]:
        async with AsyncClient(address, timeout=60) as client:
            calls = (client.predict("affine", {"x": np.full(1, n, np.float32)}) for n in range(1000))
            return [answer["y"].item() for answer in await asyncio.gather(*calls)]

    assert asyncio.run(ask()) == [n / 2 + 2 for n in range(1000)]


@pytest.mark.parametrize("kind", ["gRPC", "REST"])
def test_no_more_than_so_many_are_under_way(fronts: Any, server: Any, kind: str) -> None:
    """Seen by a proxy over REST; over gRPC by those that run out of time while they wait for their turn."""

    async def rest() -> int:
        most, now, lock = 0, 0, threading.Lock()

        def respond(front: Any) -> None:
            nonlocal most, now
            with lock:
                now += 1
                most = max(most, now)
            fronts.respond_versioned(front)
            with lock:
                now -= 1

        async with AsyncClient(fronts.start(server.rest_address, respond), timeout=60, under_way=3) as client:
            await asyncio.gather(*(client.predict("affine", X) for _ in range(30)))
        return most

    async def grpc() -> list[str]:
        async with AsyncClient(server.grpc_address, under_way=1) as client:
            await client.metadata("slow")
            first = asyncio.create_task(client.predict("slow", {"seconds": np.float32(1)}))
            await asyncio.sleep(0)  # it is asked when it first waits
            with pytest.raises(DeadlineExceeded, match="1 calls of this client were under way all the time"):
                await client.predict("affine", X, timeout=0.2)
            return [str((await first)["done"].item())]

    if kind == "REST":
        assert 1 < asyncio.run(rest()) <= 3
    else:
        assert asyncio.run(grpc()) == ["1.0"]


@pytest.mark.parametrize("kind", ["gRPC", "REST"])
def test_cancelling_a_task_cancels_the_call(server: Any, fronts: Any, kind: str) -> None:
    """Over REST the connection is closed; over gRPC the server counts the call as cancelled."""
    gone = threading.Event()

    def respond(front: Any) -> None:
        front.read_body()
        assert front.rfile.read(1) == b""  # the client has closed its end
        gone.set()
        front.close_connection = True

    async def ask() -> None:
        target = fronts.start(server.rest_address, respond) if kind == "REST" else server.grpc_address
        async with AsyncClient(target, timeout=60) as client:
            spent = asyncio.create_task(client.predict("slow", {"seconds": np.float32(2)}, version=1))
            await asyncio.sleep(0.2)
            spent.cancel()
            with pytest.raises(asyncio.CancelledError):
                await spent
            if kind == "REST":
                assert await asyncio.to_thread(gone.wait, 10)
            else:  # the client goes on as before
                assert (await client.predict("affine", X))["y"].tolist() == [2.0]

    asyncio.run(ask())


def test_closing_ends_what_is_under_way(address: str) -> None:
    async def ask() -> None:
        client = AsyncClient(address, timeout=60, retry=False)
        await client.metadata("slow")
        call = asyncio.create_task(client.predict("slow", {"seconds": np.float32(2)}))
        await asyncio.sleep(0.3)
        await client.close()
        with pytest.raises(Unavailable):
            await call
        with pytest.raises(Unavailable, match="closed"):
            await client.predict("affine", X)

    asyncio.run(ask())


def test_an_asynchronous_iterable(address: str) -> None:
    async def batches() -> Any:
        for number in range(7):
            await asyncio.sleep(0)
            yield {"x": np.full(2, number, np.float32)}

    async def ask() -> list[float]:
        async with AsyncClient(address) as client:
            return [answer["y"][0].item() async for answer in client.predict_batches("affine", batches())]

    assert asyncio.run(ask()) == [n / 2 + 2 for n in range(7)]


def test_it_wants_an_event_loop() -> None:
    with pytest.raises(FailedPrecondition, match="within an event loop"):
        AsyncClient("localhost:1")

    async def make() -> None:
        with pytest.raises(InvalidArgument, match="1 request under way"):
            AsyncClient("localhost:1", under_way=0)

    asyncio.run(make())


def test_another_event_loop(address: str) -> None:
    made: list[AsyncClient] = []

    async def make() -> None:
        made.append(AsyncClient(address))
        await made[0].predict("affine", X)

    async def use() -> None:
        with pytest.raises(FailedPrecondition, match="in which this AsyncClient was made"):
            await made[0].predict("affine", X)

    async def whole() -> None:
        await make()
        await asyncio.to_thread(asyncio.run, use())
        await made[0].close()

    asyncio.run(whole())


def test_without_aiohttp_grpc_still_works(server: Any, tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
sys.modules["aiohttp"] = None
from modelport_client import AsyncClient

async def ask():
    async with AsyncClient("{server.grpc_address}") as client:
        print((await client.predict("affine", [1.0]))["y"].item())
    try:
        AsyncClient("{server.rest_address}")
    except Exception as error:
        print(error)

asyncio.run(ask())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "2.5" in done.stdout
    assert "pip install 'modelport[async]'" in done.stdout


def test_a_large_body_does_not_hold_up_the_loop(server: Any) -> None:
    """2 million numbers as JSON take seconds to write; meanwhile the loop goes on."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        while True:
            begin = loop.time()
            await asyncio.sleep(0.01)
            longest = max(longest, loop.time() - begin)

    async def ask() -> None:
        async with AsyncClient(server.rest_address, timeout=60) as client:
            await client.predict("affine", X)
            ticking = asyncio.create_task(tick())
            await client.predict("affine", {"x": np.random.default_rng(0).random(1_000_000).astype(np.float32)})
            ticking.cancel()

    asyncio.run(ask())
    assert longest < 1.0
