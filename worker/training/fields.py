"""What `marrowline predict` answers on the fields of the public sets, as a table.

    python -m worker.training.fields --data DIR --every 5 [--model NAME]

A field counts as an example of the disease that its set is of. Most shipped models were trained on part of these sets,
so the table shows that the parts work together; it is no measure of accuracy.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from worker.config import WorkerSettings
from worker.errors import BadSlideError
from worker.nets.registry import Model, load
from worker.predict import predict
from worker.slides.sandbox.reader import open_sandboxed
from worker.slides.smear.survey import Told


@dataclass(frozen=True, kw_only=True)
class Fields:
    """A set of fields, and its scale as its publisher or its red cells have it."""

    folder: str
    mpp_um: float


SETS = (
    Fields(folder="taleqani_all", mpp_um=0.37),
    Fields(folder="segpc_mm_512", mpp_um=0.163),
    Fields(folder="segpc_mm_native", mpp_um=0.041),
    Fields(folder="bccd_fields", mpp_um=0.073),
    Fields(folder="bm_graz_HE_ood", mpp_um=0.25),
)
ANSWERS = ("ALL", "MM", "cancer, type open", "no sign", "not told", "refused")


def answers(data: Path, model: Model, every: int, say: Callable[[str], None] = print) -> Iterator[tuple[str, str, str]]:
    """Yield set, label and answer of every n-th field of each set that lies below `data`."""
    for one in SETS:
        manifest = data / one.folder / "manifest.csv"
        if not manifest.is_file():
            continue
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))[::every]
        say(f"{one.folder}: {len(rows)} fields")
        for row in rows:
            yield one.folder, row["label"], answer(data / one.folder / row["file"], model, one.mpp_um)


def answer(field: Path, model: Model, mpp_um: float) -> str:
    """Return one of ANSWERS for one field."""
    try:
        with closing(open_sandboxed(field)) as reader:
            found = predict(reader, model, Told(declared_mpp_um=mpp_um))
    except BadSlideError:
        return "refused"
    if found.cancer is None:
        return "not told"
    return (found.disease or "cancer, type open") if found.cancer else "no sign"


def table(told: Sequence[tuple[str, str, str]]) -> str:
    """Return a table in Markdown: a line per set and label, a column per answer."""
    counts = Counter(told)
    lines = [f"| set | label | fields | {' | '.join(ANSWERS)} |", "|---" * (3 + len(ANSWERS)) + "|"]
    for name, label in sorted({(name, label) for name, label, _ in told}):
        row = [counts[name, label, one] for one in ANSWERS]
        lines.append(f"| {name} | {label} | {sum(row)} | {' | '.join(map(str, row))} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--model", default=WorkerSettings().model)
    chosen = parser.parse_args()
    model = load(chosen.model, WorkerSettings().models_dir)
    print(table(list(answers(chosen.data, model, max(1, chosen.every)))))


if __name__ == "__main__":
    main()
