"""What our client costs: beside raw gRPC stubs, the official package's way, and ovmsclient, in turns on one server.

`python benchmarks/client.py [--calls N] [--no-install]`. Times are medians; a ratio is the other's time over ours, so
above 1 ours is faster. tritonclient speaks another protocol, and there is no Triton here to ask by it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
import pandas
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))
from client_peers import environment, served

from modelport import tensors
from modelport.wire import messages
from modelport.wire.services import stub
from modelport_client import AsyncClient, Client

ROW = {"x": np.zeros((1, 4), np.float32)}
OPTIONS = (("grpc.max_receive_message_length", -1),)
UNWANTED = ("pandas", "PIL", "aiohttp", "opentelemetry", "tensorflow", "keras", "rich", "urllib3", "asyncio")


def in_turns(calls: Sequence[Callable[[], object]], count: int) -> list[float]:
    """Median seconds of each, asked one after the other so that a disturbance meets all."""
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(count):
        for call, found in zip(calls, times, strict=True):
            begin = time.perf_counter()
            call()
            found.append(time.perf_counter() - begin)
    return [statistics.median(found) for found in times]


def by_hand(channel: grpc.Channel, inputs: dict[str, np.ndarray], model: str) -> Callable[[], object]:
    """As one writes it with bare stubs: messages filled by hand, the answer's bytes as an array."""
    predict = stub(channel, "Predict")

    def call() -> object:
        request = messages.PredictRequest(model_spec=messages.ModelSpec(name=model))
        for name, array in inputs.items():
            proto = request.inputs.get_or_create(name)
            proto.dtype, proto.tensor_content = 1, array.tobytes()
            for size in array.shape:
                proto.tensor_shape.dim.add(size=size)
        response = predict(request, timeout=10)
        return {name: tensors.decode(proto) for name, proto in response.outputs.items()}

    return call


def official(address: str, inputs: dict[str, np.ndarray], model: str) -> Callable[[], object]:
    """As the official guide has it: make_tensor_proto and make_ndarray of TensorFlow."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    service = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address, OPTIONS))

    def call() -> object:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        return {name: tf.make_ndarray(proto) for name, proto in service.Predict(request, 10).outputs.items()}

    return call


def calls(at: served.Addresses, count: int, console: Console) -> None:
    """One row, and 10,000 rows of a table."""
    peer = environment.ovmsclient(at.grpc, at.rest.removeprefix("http://"), str(count))
    random = np.random.default_rng(0)
    frame = pandas.DataFrame({name: random.random(10_000).astype(np.float32) for name in served.COLUMNS})
    columns = {name: frame[name].to_numpy()[:, None] for name in served.COLUMNS}
    table = Table("", "ours", "raw stubs", "official", "ovmsclient", "ours over raw", title="calls, ms")
    with Client(at.grpc) as over_grpc, Client(at.rest) as over_rest, grpc.insecure_channel(at.grpc, OPTIONS) as channel:
        for what, model, inputs, raw, number in (
            ("row", "row", ROW, ROW, count),
            ("table", "table", frame, columns, 7),
        ):
            ours, bare, theirs = in_turns(
                [
                    lambda inputs=inputs, model=model: over_grpc.predict(model, inputs),
                    by_hand(channel, raw, model),
                    official(at.grpc, raw, model),
                ],
                number,
            )
            (rest,) = in_turns([lambda inputs=inputs, model=model: over_rest.predict(model, inputs)], number)
            for name, mine, others in (("gRPC", ours, (bare, theirs)), ("REST", rest, (None, None))):
                times = [mine, *others, None if isinstance(peer, str) else peer[f"{what}, {name}"]]
                cells = ["" if one is None else f"{one * 1e3:.3f}" for one in times]
                extra = f"{(mine - bare) * 1e6:+.0f} µs" if others[0] is not None else ""
                table.add_row(f"{what}, {name}", *cells, extra)
    console.print(table)
    if isinstance(peer, str):
        console.print(peer)


def many(at: served.Addresses, console: Console) -> None:
    """1,000 calls at a time."""

    async def seconds(call: Callable[[], Awaitable[object]]) -> float:
        await call()
        begin = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(1000)))
        return time.perf_counter() - begin

    async def measured() -> list[float]:
        async with (
            AsyncClient(at.grpc, timeout=60) as ours,
            AsyncClient(at.rest, timeout=60) as rest,
            grpc.aio.insecure_channel(at.grpc) as channel,
        ):
            predict = stub(channel, "Predict")
            request = messages.PredictRequest(model_spec=messages.ModelSpec(name="row"))
            request.inputs.get_or_create("x").CopyFrom(tensors.encode(ROW["x"]))
            rounds = [
                [
                    await seconds(lambda: ours.predict("row", ROW)),
                    await seconds(lambda: predict(request, timeout=60)),
                    await seconds(lambda: rest.predict("row", ROW)),
                ]
                for _ in range(3)
            ]
        return [statistics.median(times) for times in zip(*rounds, strict=True)]

    ours, bare, rest = asyncio.run(measured())
    console.print(
        f"1,000 calls at a time: ours {1000 / ours:,.0f} a second over gRPC and {1000 / rest:,.0f} over REST; "
        f"grpc.aio with a request made beforehand {1000 / bare:,.0f}"
    )


def large(at: served.Addresses, console: Console) -> None:
    """An answer of 20 MB: reading its message against copying as many bytes."""
    with grpc.insecure_channel(at.grpc, OPTIONS) as channel:
        request = messages.PredictRequest(model_spec=messages.ModelSpec(name="large"))
        request.inputs.get_or_create("x").CopyFrom(tensors.encode(np.zeros(1, np.float32)))
        response = stub(channel, "Predict")(request, timeout=60)
    source = np.ones(5_000_000, np.float32)
    decode, copy = in_turns([lambda: tensors.decode(response.outputs["y"]), source.copy], 30)
    console.print(f"20 MB answer: decode {decode * 1e3:.2f} ms, memcpy {copy * 1e3:.2f} ms, {decode / copy:.2f} x")


def imported(console: Console) -> None:
    """Import, in fresh processes, and what comes along."""
    code = (
        "import time; begin = time.perf_counter(); import modelport_client; print(time.perf_counter() - begin)\n"
        f"import sys; print(*[name for name in {UNWANTED} if name in sys.modules])"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split("\n")
        for _ in range(5)
    ]
    fastest = min(float(run[0]) for run in runs)
    console.print(f"import: {fastest * 1e3:.0f} ms; of {', '.join(UNWANTED)} it loads: {runs[0][1] or 'nothing'}")


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000, help="of one row (2000)")
    parser.add_argument("--no-install", action="store_true", help="do not install a client to weigh it")
    options = parser.parse_args()
    console = Console(width=120)
    imported(console)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "models"
        served.write_models(root)
        with served.serving(root) as at:
            calls(at, options.calls, console)
            many(at, console)
            large(at, console)
        if not options.no_install:
            weight = environment.of_our_client(Path(folder) / "alone")
            console.print(
                f"pip install modelport: {weight.packages} packages, {weight.megabytes:.0f} MB, {weight.seconds:.0f} s"
            )


if __name__ == "__main__":
    main()
