"""The load laboratory: how much a server can take, and how long it takes.

`SteadyLoad` is the small one, for programs that ask by a function of their own while something happens. `modelport
loadtest` and `modelport tune` generate their load in processes apart:

    profile       how many requests are due when
    samples       what is asked, written beforehand
    plan          one run
    generator/    one process: sends what is due, notes what became of it
    processes     several of them
    results/      what a run showed: percentiles, timeline, whether the generator was the bottleneck
    search        the highest rate that holds a bound
    comparison    two servers in turns
    page/         a report in one file
"""

from modelport_client.loadtest.steady_load import Outcome, SteadyLoad, answered_by, percentile

__all__ = ["Outcome", "SteadyLoad", "answered_by", "percentile"]
