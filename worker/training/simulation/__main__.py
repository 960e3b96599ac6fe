"""The simulation study of `docs/counting.md`: `python -m worker.training.simulation --docs docs`; some minutes.

Needs matplotlib, of the extra `train`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from worker.config import DEFAULT_MODEL
from worker.nets import cards
from worker.training.simulation import page, plots
from worker.training.simulation.study import carry_out


def main() -> None:
    """Carry the study out, and put its tables and its picture into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=Path, required=True, metavar="DIR", help="the folder of counting.md")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--patients", type=int, default=1000, help="of each row")
    chosen = parser.parse_args()
    confusion = cards.confusion_of(cards.find(DEFAULT_MODEL).card)
    if confusion is None:
        parser.error(f"{DEFAULT_MODEL} has no confusions on its card")
    found = carry_out(confusion, seed=chosen.seed, patients=chosen.patients, tell=print)
    text = chosen.docs / "counting.md"
    text.write_text(page.put(text.read_text(encoding="utf-8"), found), encoding="utf-8")
    plots.draw(found, chosen.docs / "images" / "counting-study.png")
    print(f"{text} and its picture are written.")


if __name__ == "__main__":
    main()
