"""`modelport loadtest`: one load, the highest rate that holds a bound, or two servers in turns."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

# Of the extra `load`: asked for here, so that a missing one is told before the processes that need them start.
import hdrh.histogram  # noqa: F401  # is all that is asked
import hpack  # noqa: F401  # likewise
import httptools  # noqa: F401  # likewise

from modelport_client.loadtest import options as told
from modelport_client.loadtest import telling
from modelport_client.loadtest.comparison import in_turns
from modelport_client.loadtest.measurement import Measurement
from modelport_client.loadtest.plan import Plan
from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.profile import Piece
from modelport_client.loadtest.results.result import Result
from modelport_client.loadtest.run import Interruption, run
from modelport_client.loadtest.search import Search

FAILED, NO_RESULT = 1, 4
_WARM_UP_S = 1.0  # of both sides of a comparison: connections, and what servers do at first
_PAIRS = 6


def main(argv: Sequence[str]) -> int:
    """See `--help`."""
    parser, options = told.parse_options(argv)
    interruption = Interruption()
    if options.compare:
        return _compare(parser, options, interruption)
    asked = told.asked_of(options)
    samples = told.samples_of(parser, options, options.server, asked, not options.no_retry)
    plan = told.plan_of(options, options.server, samples)
    if options.slo is not None:
        return _search(options, plan, interruption)
    with interruption.heeded(), Generators(options.processes) as generators:
        result = run(generators, plan, interruption, _progress(options, plan))
    if options.report is not None:
        telling.run_page(result, f"{asked.words} at {options.server}", options.report)
    if options.json:
        print(json.dumps({"model": asked.words, "server": options.server, **result.to_json()}, indent=2))
    else:
        telling.print_run(result, f"{asked.words} at {options.server}")
    if result.bottleneck is not None:
        return NO_RESULT
    return FAILED if result.failed else 0


def _search(options: argparse.Namespace, plan: Plan, interruption: Interruption) -> int:
    with interruption.heeded(), Generators(options.processes) as generators:
        measurement = Measurement(generators, plan, options.slo, interruption)
        first = options.rate or measurement.pilot()
        found = Search(
            options.slo,
            measurement.at_rate,
            told.budget_of(options),
            first,
            lambda: interruption.happened,
            lambda one: None if options.json else telling.print_try(one, options.slo),
        ).find()
    title = f"{options.model} at {options.server}"
    if options.report is not None:
        telling.search_page({"": found}, title, options.report)
    if options.json:
        print(json.dumps({"model": options.model, "server": options.server, **found.to_json()}, indent=2))
    else:
        telling.print_search(found, title)
    if found.rate is not None:
        return 0
    return NO_RESULT if all(one.holds is None for one in found.tries) else FAILED


def _compare(parser: argparse.ArgumentParser, options: argparse.Namespace, interruption: Interruption) -> int:
    sides = [told.side_of(text, options) for text in options.compare]
    plans = []
    for server, asked in sides:
        plans.append(
            told.plan_of(options, server, told.samples_of(parser, options, server, asked, not options.no_retry))
        )
    names = (options.compare[0], options.compare[1])

    with interruption.heeded(), Generators(options.processes) as generators:

        def side(plan: Plan) -> Callable[[], Result]:
            seeds = count(options.seed)  # both sides have the same arrivals in a pair
            return lambda: run(generators, replace(plan, seed=next(seeds)), interruption)

        for plan in plans:
            run(generators, _warm_up(plan), interruption)
        pairs = options.pairs or _PAIRS
        comparison = in_turns(names, (side(plans[0]), side(plans[1])), pairs, lambda: interruption.happened)
    if options.report is not None:
        telling.comparison_page(comparison, options.report)
    if options.json:
        print(json.dumps(comparison.to_json(), indent=2))
    else:
        telling.print_comparison(comparison)
    if not comparison.ratios:
        return NO_RESULT
    return FAILED if any(comparison.failed) else 0


def _warm_up(plan: Plan) -> Plan:
    """A second of the load, of which nothing is kept."""
    if not plan.is_open:
        return replace(plan, seconds=_WARM_UP_S, warm_up_s=0.0)
    rate = plan.pieces[0].begin or plan.pieces[0].end
    return replace(plan, pieces=(Piece(rate, rate, _WARM_UP_S),), warm_up_s=0.0)


def _progress(options: argparse.Namespace, plan: Plan) -> Callable[[float], None]:
    """How far a run is, on a terminal."""
    whole = plan.warm_up_s + plan.counted_s
    if options.json or not sys.stderr.isatty():
        return lambda _: None

    def show(seconds: float) -> None:
        end = "\n" if seconds >= whole else ""
        print(f"\r{min(seconds, whole):.0f} of {whole:.0f} s", end=end, file=sys.stderr, flush=True)

    return show
