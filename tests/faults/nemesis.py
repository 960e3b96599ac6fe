"""`make nemesis`: the nemesis of row 50 for as long, and from the seed, that the caller gives."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence

from rich.console import Console

from tests.faults.invariants import broken
from tests.faults.rows_nemesis import unleash
from tests.faults.stage import line_for, prepared

_OUT = Console(soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Unleash the nemesis for the minutes given; 0 when every invariant holds in the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.nemesis", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    chosen = parser.parse_args(arguments)
    _OUT.print(f"seed {chosen.seed}, {chosen.minutes:g} minutes", highlight=False)
    with prepared() as made, line_for(made, "nemesis") as line:
        unleash(line, minutes=chosen.minutes, seed=chosen.seed)
        wrong = broken(line)
        for figure in (*line.notes, *wrong):
            _OUT.print(figure, markup=False, highlight=False)
    _OUT.print("BROKEN" if wrong else "every invariant holds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
