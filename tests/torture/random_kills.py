"""Kill operations at random moments, as many as one likes; prints what came of it.

python -m tests.torture.random_kills [--kills 300] [--seed N]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sys
import tempfile
from pathlib import Path

from tests.torture import kills, repositories


def main() -> int:
    """Run; the exit code is 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed  # noqa: S311  # moments, not secrets
    rng = random.Random(seed)  # noqa: S311  # moments, not secrets
    with (
        tempfile.TemporaryDirectory(prefix="modelport-torture-") as folder,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        template = repositories.make(Path(folder) / "template")
        root = Path(folder) / "models"
        longest = dict(kills.durations(template, root))
        done = dict.fromkeys(longest, 0)
        repositories.fresh(template, root)
        while sum(done.values()) < options.kills:
            name = rng.choice(sorted(longest))
            if sum(done.values()) % 20 == 0:  # much has happened to this one: another
                repositories.sweep(root)
                repositories.check_clean(root)
                repositories.fresh(template, root)
            if kills.at_random(name, root, longest[name], rng):
                done[name] += 1
                try:
                    repositories.check(root)
                except Exception as error:
                    print(f"seed {seed}, after {done}: {name} was killed: {error}", file=sys.__stderr__)
                    return 1
    told = ", ".join(f"{name} {count}" for name, count in done.items())
    print(f"{sum(done.values())} kills at random moments (seed {seed}): {told}. Nothing was lost.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
