"""`make faults`: strike the line with every row of the fault matrix and say what came of each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.faults import document
from tests.faults.catalogue import rows
from tests.faults.changes import MUTANTS
from tests.faults.ground import Ground
from tests.faults.invariants import INVARIANTS
from tests.faults.stage import BROKEN, HELD, Outcome, Stage, prepared

_OUT = Console(soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows that are named, by default all; 0 when every one ran and every invariant held."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, metavar="ROW", help="numbers of rows; none: all, and all mutants")
    parser.add_argument(
        "--mutants", action="store_true", help="only the rows that mutants must be caught by, and the mutants"
    )
    parser.add_argument("--keep-logs", type=Path, metavar="DIR", help="where logs of broken rows are copied to")
    parser.add_argument("--record", action="store_true", help="write what came of the rows into docs/reliability.md")
    chosen = parser.parse_args(arguments)
    with prepared() as made:
        numbers = {mutant.row for mutant in MUTANTS} if chosen.mutants else set(chosen.rows)
        with Stage(made, chosen.keep_logs) as stage:
            outcomes = [_told(stage.struck(row)) for row in rows() if not numbers or row.number in numbers]
        if chosen.record:
            document.write(outcomes)
        escaped = escaped_of(made, outcomes) if chosen.mutants or not chosen.rows else []
    return _summary(outcomes, escaped)


def escaped_of(made: Ground, outcomes: Sequence[Outcome]) -> list[str]:
    """Take one guard away after the other; return those that no row missed.

    A row that breaks with every guard in place cannot tell whether one is gone: its mutants count as not caught.
    """
    escaped = []
    held = {outcome.row.number: outcome.row for outcome in outcomes if outcome.result == HELD}
    for mutant in MUTANTS:
        caught, told = False, f"F{mutant.row} does not hold with every guard in place"
        if mutant.row in held:
            with Stage(made, None, mutant=mutant) as stage:
                outcome = stage.struck(held[mutant.row])
            caught = outcome.result == BROKEN
            told = f"after {outcome.seconds:.0f} s: {outcome.told.splitlines()[-1] if outcome.told else ''}"
        verdict = "caught" if caught else "NOT CAUGHT"
        _OUT.print(
            f"mutant {mutant.change!r}: {verdict} by F{mutant.row}", f"\n      {told}", markup=False, highlight=False
        )
        if not caught:
            escaped.append(mutant.change)
    return escaped


def _told(outcome: Outcome) -> Outcome:
    row = outcome.row
    numbers = "all" if len(row.invariants) == len(INVARIANTS) else " ".join(f"I{n}" for n in row.invariants)
    _OUT.print(
        f"F{row.number:<3}{outcome.result:<16}{outcome.seconds:6.0f} s  {row.title} [{row.fault}] ({numbers})"
        + (f"\n      {outcome.told}" if outcome.told else ""),
        markup=False,
        highlight=False,
    )
    return outcome


def _summary(outcomes: Sequence[Outcome], escaped: Sequence[str]) -> int:
    counts = {
        result: [o.row.number for o in outcomes if o.result == result]
        for result in sorted({o.result for o in outcomes})
    }
    for result, numbers in counts.items():
        _OUT.print(f"{len(numbers)} {result}" + ("" if result == HELD else f": {numbers}"), highlight=False)
    if escaped:
        _OUT.print(f"mutants that no row noticed: {', '.join(escaped)}")
    return 0 if set(counts) <= {HELD} and not escaped else 1


if __name__ == "__main__":
    sys.exit(main())
