"""`modelport demo`: the whole path with the project's own commands: a swap under load, a release, and the way back."""

from __future__ import annotations

import argparse
import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from modelport import atomic, live
from modelport.errors import FailedPrecondition
from modelport.repository import Repository
from modelport.run_record import SAMPLES, read_npz
from modelport.serverconfig import Latest, MonitoringConfig, format_monitoring
from modelport_client import Client, Prediction
from modelport_client.loadtest import Outcome, SteadyLoad, answered_by, percentile
from modelport_training.digits_drawing import draw_digits

MODEL = "digits"
RATE = 50  # requests a second while the second version is made
HASTY = "0.00001"  # a learning rate at which one epoch teaches next to nothing
REFUSED = 3  # exit code of a publication that the gate refuses
SETTLE_S = 2.0  # of steady load before and after the swap
PATIENCE_S = 60.0
FLOWER = '{"sepal_length": [5.9], "sepal_width": [3.0], "petal_length": [5.1], "petal_width": [1.8]}'


def main(argv: Sequence[str]) -> int:
    """Run the demo; returns 0 when every request was answered."""
    parser = argparse.ArgumentParser(
        prog="modelport demo", description="The whole path, from data to a swap under load."
    )
    parser.add_argument("--recipe", default="sequential", help="what to train (sequential)")
    parser.add_argument("--repository", type=Path, default=Path("models"), help="where to publish (models)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where training leaves its artefacts (runs)")
    parser.add_argument("--keep", action="store_true", help="leave the server up, with a console, until Ctrl-C")
    options = parser.parse_args(argv)
    demo = Demo(options.recipe, options.repository.absolute(), options.runs.absolute())
    return demo.run(keep=options.keep)


class Demo:
    """The stages, in order; each prints what it does and is timed."""

    def __init__(self, recipe: str, repository: Path, runs: Path) -> None:
        self._recipe = recipe
        self._repository = Repository(repository)
        self._runs = runs
        self._times: list[tuple[str, float]] = []

    def run(self, *, keep: bool) -> int:
        """All of it."""
        _headline("1. Train, export, prove and publish a model")
        run = self._train_and_publish()
        _headline("2. Serve the repository")
        with self._serving() as server:
            self._newest_is_live(server)
            _headline("3. Ask for predictions")
            with self._timed("predict"):
                self._predict(run, server)
            _headline(f"4. Train and publish the next version while {RATE} requests a second come in")
            failed = self._swap_under_load(run, server)
            _headline("5. Promote it, see a bad version refused, and go back")
            self._release(server)
            _headline("6. A table of one's own: trained, published, asked")
            self._table(server)
            _headline("Done")
            print("   ".join(f"{name} {seconds:.1f} s" for name, seconds in self._times), "\n")
            self._say_what_next(server, keep)
            if keep:
                with _console(self._repository.root, server):
                    server.wait()
        return 1 if failed else 0

    def _train_and_publish(self) -> Path:
        """One round; the seed follows the version number, so that every round gives another model."""
        newest = max(self._repository.versions(MODEL), default=0)
        run = self._runs / f"demo-{newest + 1}"
        with self._timed("train"):
            _command("train", self._recipe, "--output", str(run), "--seed", str(newest + 1), "--overwrite")
        with self._timed("export, prove, publish"):
            publish = ["publish", str(run), "--name", MODEL, "--repository", str(self._repository.root)]
            _command(
                *publish, *([] if newest == 0 else ["--force", "the demo shows a swap, whichever model is better"])
            )
        return run

    @contextmanager
    def _serving(self) -> Iterator[DemoServer]:
        with self._timed("serve"):
            server = DemoServer(self._repository.root, self._runs / "monitoring.config")
        try:
            yield server
        finally:
            server.stop()

    def _predict(self, run: Path, server: DemoServer) -> None:
        samples = read_npz(run / SAMPLES)
        images, labels = samples["image"][:8], samples["label"][:8]
        answers = []
        for target in (server.grpc, server.rest):
            with Client(target) as client:
                begin = time.monotonic()
                answers.append(client.predict(MODEL, {"image": images}))
                print(f"{target}: {len(images)} images in {(time.monotonic() - begin) * 1000:.1f} ms")
        over_grpc, over_rest = answers
        # REST writes shortest decimal texts, so the last bit may differ.
        if not np.allclose(over_grpc["probabilities"], over_rest["probabilities"], rtol=1e-5, atol=1e-6):
            raise FailedPrecondition("Expected equal answers over gRPC and REST; they differ.")
        captions = [
            f"{answer} ({share:.0%})" + ("" if int(answer) == truth else f", is {truth}")
            for answer, share, truth in zip(
                over_grpc["label"], over_grpc["probabilities"].max(axis=1), labels, strict=True
            )
        ]
        print(draw_digits(images, captions))

    def _swap_under_load(self, run: Path, server: DemoServer) -> int:
        image = read_npz(run / SAMPLES)["image"][:1]
        with Client(server.grpc, retry=False) as client:

            def ask() -> Prediction:
                return client.predict(MODEL, {"image": image}, timeout=10)

            with SteadyLoad(ask, RATE) as load:
                time.sleep(SETTLE_S)
                self._train_and_publish()
                version = max(self._repository.versions(MODEL))
                with self._timed("swap"):
                    client.wait_until_available(MODEL, version, PATIENCE_S)
                time.sleep(SETTLE_S)
        return _report(load.outcomes, version)

    def _newest_is_live(self, server: DemoServer) -> None:
        """An earlier demo went back to a version: this one wants its new ones to be taken up."""
        if not isinstance(live.model_config(self._repository, MODEL).policy, Latest):
            self._release_command("promote", f"{MODEL}", "latest", server=server)

    def _release(self, server: DemoServer) -> None:
        newest = max(self._repository.versions(MODEL))
        with self._timed("promote"):
            self._release_command("promote", f"{MODEL}@{newest}", "--why", "the demo likes it", server=server)
        hasty = self._runs / "demo-hasty"
        with self._timed("refused"):
            settings = ["--epochs", "1", "--learning_rate", HASTY]
            _command("train", "sequential", "--output", str(hasty), "--overwrite", *settings)
            publish = ["publish", str(hasty), "--name", MODEL, "--repository", str(self._repository.root)]
            _command(*publish, expected=REFUSED)
        with self._timed("rollback"):
            self._release_command("rollback", MODEL, "--why", "to show the way back", server=server)
        _command("history", MODEL, "--repository", str(self._repository.root))

    def _table(self, server: DemoServer) -> None:
        file, run = write_iris(self._runs / "iris.csv"), self._runs / "demo-iris"
        print(f"{file}: 150 flowers, four numbers and their species")
        with self._timed("table"):
            _command("train", "--data", str(file), "--target", "species", "--output", str(run), "--overwrite")
            publish = ["publish", str(run), "--name", "iris", "--repository", str(self._repository.root)]
            _command(*publish, "--force", "the demo begins anew")
            with Client(server.grpc) as client:
                client.wait_until_available("iris", max(self._repository.versions("iris")), PATIENCE_S)
            _command("predict", "iris", "--input", FLOWER, "--server", server.grpc)

    def _release_command(self, *words: str, server: DemoServer) -> None:
        _command(*words, "--server", server.grpc, "--repository", str(self._repository.root))

    def _say_what_next(self, server: DemoServer, keep: bool) -> None:
        print("READY", flush=True)
        _command("status", MODEL, "--server", server.grpc)
        at = f" --server {server.grpc}" if keep else ""
        print("Next:")
        if not keep:
            print(f"  modelport serve {self._repository.root} --rest_api_port=8501")
        print(f"  modelport predict {MODEL} --image docs/seven.png{at}")
        print(f"  modelport metadata {MODEL}{at}")
        if keep:
            print(f"The server is up at {server.grpc} and {server.rest}; Ctrl-C ends it.", flush=True)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._times.append((name, time.monotonic() - begin))


class DemoServer:
    """`modelport serve` on free ports, as a process of its own; what it printed is kept."""

    def __init__(self, repository: Path, monitoring: Path) -> None:
        atomic.write_text(monitoring, format_monitoring(MonitoringConfig(enable=True)))  # for the console's curves
        command = [
            "serve",
            str(repository),
            "--port=auto",
            "--rest_api_port=auto",
            f"--monitoring_config_file={monitoring}",
        ]
        _show_command(command)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "modelport", *command], stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        lines: list[str] = []
        assert self._process.stdout is not None  # noqa: S101  # asked for two lines above
        for line in self._process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
            if line.startswith("Stop with"):
                break
        else:
            raise FailedPrecondition("Expected the server to come up; it ended, and said why above.")
        addresses = dict(line.split()[:2] for line in lines if line.startswith(("gRPC", "REST")))
        self.grpc, self.rest = addresses["gRPC"], addresses["REST"]

    def wait(self) -> None:
        """Until somebody ends it, or us."""
        with suppress(KeyboardInterrupt):
            self._process.wait()

    def stop(self) -> None:
        """Let it drain and end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def _console(repository: Path, server: DemoServer) -> Iterator[None]:
    """`modelport console` beside the server; it prints its address, or what is missing to have it."""
    command = ["console", str(repository), "--server", server.grpc, "--rest", server.rest, "--port=auto"]
    _show_command(command)
    process = subprocess.Popen([sys.executable, "-m", "modelport", *command])
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def write_iris(path: Path) -> Path:
    """The iris flowers that ship inside scikit-learn, as a table."""
    from sklearn.datasets import load_iris

    iris = load_iris()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([*(name.removesuffix(" (cm)").replace(" ", "_") for name in iris.feature_names), "species"])
        rows.writerows([*row, iris.target_names[kind]] for row, kind in zip(iris.data, iris.target, strict=True))
    return path


def _report(outcomes: Sequence[Outcome], version: int) -> int:
    """Print what became of the requests; returns how many failed."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    first_new = next((o.due for o in outcomes if o.version == version), outcomes[-1].due)
    counts = ", ".join(f"version {number} answered {count}" for number, count in answered_by(outcomes).items())
    print(f"{len(outcomes)} requests: {counts}, {len(failed)} failed")
    phases = {
        "before": [o for o in outcomes if o.due < outcomes[0].due + SETTLE_S],
        "during training and swap": [o for o in outcomes if outcomes[0].due + SETTLE_S <= o.due < first_new],
        "after": [o for o in outcomes if o.due >= first_new],
    }
    for name, phase in phases.items():
        p50, p99 = (percentile(phase, share) for share in (0.5, 0.99))
        if p50 is not None and p99 is not None:
            print(f"  latency {name}: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms ({len(phase)} requests)")
    for outcome in failed[:3]:
        print(f"  failed: {outcome.error}")
    return len(failed)


def _headline(text: str) -> None:
    print(f"\n=== {text}", flush=True)


def _show_command(words: Sequence[str]) -> None:
    print(f"$ modelport {' '.join(words)}", flush=True)


def _command(*words: str, expected: int = 0) -> None:
    """Run one of our commands, its output shown; its own error text is enough when it fails."""
    _show_command(words)
    result = subprocess.run([sys.executable, "-m", "modelport", *words], env=os.environ, check=False)
    if result.returncode != expected:
        raise FailedPrecondition(
            f"'modelport {words[0]}' failed with exit code {result.returncode}; it said why above."
        )
