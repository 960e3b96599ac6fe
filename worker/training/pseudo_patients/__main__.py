"""Reads pseudo-patients of the public sets by the real line and writes the table of what was found.

    python -m worker.training.pseudo_patients --data DIR --work DIR [--only NAME ...] [--write PAGE] [--picture FILE]

`--work` keeps the sheets and the stack: what was read before costs nothing in the next call. Research use only, not for
diagnostic procedures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from worker.rules import DEFAULT_RULE
from worker.training.pseudo_patients.groups import all_of
from worker.training.pseudo_patients.line import Line
from worker.training.pseudo_patients.picture import write_panel
from worker.training.pseudo_patients.table import inserted, table

FEWER_CELLS = "marrowline-2026.3-min200"
"""Rule set by which all are judged too: small groups have fewer than the 500 cells of marrow that the default needs."""


def main() -> None:
    """Read, judge by both rule sets, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--write", type=Path)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    line = Line(home=chosen.work / "home")
    patients = [one for one in all_of(chosen.data) if not chosen.only or one.name in chosen.only]
    if chosen.picture:
        write_panel(chosen.picture, patients)
    for number, patient in enumerate(patients, 1):
        print(f"{number} of {len(patients)}: {patient.name}")
        line.read(patient, chosen.work / "sheets")
    found = line.found()
    line.use(FEWER_CELLS)
    fewer = line.found()
    line.use(DEFAULT_RULE)
    text = table(patients, found, fewer)
    print(text)
    if chosen.write:
        chosen.write.write_text(inserted(chosen.write.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
