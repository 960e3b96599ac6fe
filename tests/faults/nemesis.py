"""`make nemesis`: the nemesis of row 50 for as many minutes, and from the seed, that the caller gives."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.faults.rows_nemesis import unleash
from tests.faults.stage import line_for, prepared

_OUT = Console(soft_wrap=True, markup=False, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Unleash the nemesis for the minutes given; 0 when the line came to rest and every invariant holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.nemesis", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31), help="by default drawn")
    parser.add_argument("--keep-logs", type=Path, metavar="DIR", help="where logs are copied to when something broke")
    chosen = parser.parse_args(arguments)
    _OUT.print(f"seed {chosen.seed}, {chosen.minutes:g} minutes")
    with prepared() as made, line_for(made, "nemesis") as line:
        try:
            unleash(line, minutes=chosen.minutes, seed=chosen.seed)
        except AssertionError as error:
            _OUT.print(f"BROKEN: {error}")
            if chosen.keep_logs is not None:
                shutil.copytree(line.folder / "logs", chosen.keep_logs, dirs_exist_ok=True)
            return 1
        for figure in line.notes:
            _OUT.print(figure)
    _OUT.print("every invariant holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
