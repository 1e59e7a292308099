"""Our server against others, on the same SavedModel (784 → 128 → 10) and machine, one after the other.

A load generator in C asks in a closed loop: 1, 16 and 64 callers, each with a connection of its own, requests of 1 and
32 rows, gRPC and REST. Peers are installed into environments of their own (`build/bench-envs`) and serve the model by
the smallest service that their documentation would have one write (`serving_peers/services/`). Before and after each
run an answer is compared with what numpy computes, and in each run the status and the length of all answers are
checked: a run with a bad one is reported as failed. The generator runs on the same cores and takes its part of them.

What a change cost is said by `--against`: the server of another checkout is up beside ours and asked in turns with it,
setting by setting, by the same interpreter.

    python benchmarks/serving.py [--peers fastapi,kserve] [--against ../before] [--seconds 3] [--rounds 1]
                                 [--quick] [--setup] [--profile]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from serving_peers import contestants, generator, model, profiling, report
from serving_peers.contestants import BEFORE, CONTESTANTS, OURS, Contestant
from serving_peers.generator import BadRun
from serving_peers.measure import Plan, Result, measure

ROWS = (1, 32)
CALLERS = (1, 16, 64)
QUICK_CALLERS = (16,)
CACHE = Path(__file__).parent.parent / "build" / "bench-envs"


def main() -> int:
    """Measure and print the tables."""
    arguments = _parse()
    console = Console(width=140)
    try:
        generator.set_up()
        if arguments.setup:
            print("\n".join(contestants.set_up(arguments.peers, CACHE)) or "set up")
            return 0
        with tempfile.TemporaryDirectory(prefix="modelport-bench-") as folder:
            work = Path(folder)
            callers = QUICK_CALLERS if arguments.quick else CALLERS
            plan = Plan(ROWS, callers, arguments.seconds, model.write(work / "models"), CACHE, work)
            if arguments.profile:
                profiling.profile(plan, console)
            else:
                _compare(plan, _groups(arguments), arguments.rounds, console)
    except BadRun as error:
        print(f"serving: {error}", file=sys.stderr)
        return 1
    return 0


def _groups(arguments: argparse.Namespace) -> list[list[Contestant]]:
    """Who is up at the same time."""
    ours = [CONTESTANTS[OURS]]
    if arguments.against:
        ours.append(contestants.before(arguments.against))
    return [ours, *([CONTESTANTS[name]] for name in arguments.peers)]


def _compare(plan: Plan, groups: Sequence[Sequence[Contestant]], rounds: int, console: Console) -> None:
    results: list[Result] = []
    for number in range(rounds):
        for group in groups:
            turns = group if number % 2 == 0 else group[::-1]  # whoever is second finds the machine warmer
            names = " and ".join(contestant.name for contestant in turns)
            print(f"{names} …" if rounds == 1 else f"{names}, {number + 1} of {rounds} …", flush=True)
            results += measure(turns, plan)
    order = [contestant.name for group in groups for contestant in group]
    results = sorted(report.middle(results), key=lambda result: order.index(result.server))
    for grpc in (True, False):
        for rows in plan.rows:
            console.print(report.table(results, grpc, rows))
    if BEFORE in order:
        console.print(report.changes(results))
    print(report.disturbance(results))
    for line in report.failures(results):
        console.print(line, markup=False)


def _parse() -> argparse.Namespace:
    peers = [name for name in CONTESTANTS if name != OURS]

    def chosen(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if unknown := set(names) - set(peers):
            raise argparse.ArgumentTypeError(f"Expected names of {', '.join(peers)}. Received: {', '.join(unknown)}")
        return names

    def checkout(text: str) -> Path:
        folder = Path(text).resolve()
        if not (folder / "serving" / "modelport_serving").is_dir():
            raise argparse.ArgumentTypeError(f"Expected a checkout of this project. Received: {text!r}")
        return folder

    parser = argparse.ArgumentParser(description="Our server against others.")
    parser.add_argument("--peers", type=chosen, default=peers, help=f"of {','.join(peers)}; empty for ours alone")
    parser.add_argument("--against", type=checkout, metavar="DIR", help="another checkout, whose server is 'before'")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a run")
    parser.add_argument("--rounds", type=int, default=1, help="how often all are measured; the median counts")
    parser.add_argument("--quick", action="store_true", help="16 callers only")
    parser.add_argument("--setup", action="store_true", help="install the generator and the peers, and end")
    parser.add_argument("--profile", action="store_true", help="where our server spends its time, by py-spy")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
