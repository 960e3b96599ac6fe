"""Judges segmenters: `python -m worker.training.segmentation.evaluate --data DIR --out DIR`.

DIR holds the public data sets that worker.training.segmentation.sets names; drawn smears are added. Writes
`scores.json`, `table.md` and a panel of best, median and worst field for each data set and segmenter.

A segmenter is NAME, or LABEL=NAME with `{source}` for the data set: `leave-one-out=net-without-{source}` judges each
set with weights that were trained without it, and is left out where there are none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from worker.errors import BadRequestError, MarrowlineError
from worker.nets.segmenter_cards import CLASSICAL, names
from worker.progress import bars
from worker.training.segmentation.contenders import Contender, contender, loader
from worker.training.segmentation.data import part_of
from worker.training.segmentation.fields import DRAWN, DRAWN_CLUMPS, Listed, drawn, listed
from worker.training.segmentation.overlays import Pixels, Shown, chosen, panel, write_panel
from worker.training.segmentation.scores import SegmentFn, SourceScore, score_source
from worker.training.segmentation.sets import SETS, present
from worker.training.segmentation.tables import to_json, to_markdown
from worker.workshop import Tell

ALL = "all"
PARTS = ("train", "val", ALL)
_SMEARS = 8


@dataclass(frozen=True, kw_only=True)
class Task:
    """One segmenter on the fields of one source: a row of the table."""

    label: str
    weights: str
    fields: Sequence[Listed] = field(repr=False)

    @property
    def source(self) -> str:
        """The source of all fields."""
        return self.fields[0].source


def fields_of(data: Path, part: str, *, only: Sequence[str] = (), smears: int = _SMEARS) -> dict[str, list[Listed]]:
    """Return by source the fields of a part of the groups, and drawn smears, which belong to every part.

    Raises BadRequestError when a source of `only` is unknown or absent, or no field is left.
    """
    found = {one.folder: listed(data, one) for one in present(data)}
    if part != ALL:
        found = {source: [one for one in fields if part_of(one.group) == part] for source, fields in found.items()}
    found |= {source: drawn(source, smears) for source in (DRAWN, DRAWN_CLUMPS)}
    if absent := [source for source in only if source not in found]:
        raise BadRequestError(f"{data} holds no {', '.join(absent)}, only {', '.join(found)}")
    kept = {source: fields for source, fields in found.items() if fields and (not only or source in only)}
    if not kept:
        raise BadRequestError(f"{data} holds no fields of the part {part!r}")
    return kept


def planned(
    fields: Mapping[str, Sequence[Listed]], contenders: Sequence[Contender], installed: Sequence[str]
) -> list[Task]:
    """Return what is to be judged; weights trained without a set are left out where there are none."""
    without = {one.folder: one.same_groups_as or one.folder for one in SETS}
    return [
        Task(label=one.label, weights=weights, fields=of_source)
        for source, of_source in fields.items()
        for one in contenders
        if (weights := one.on(without.get(source, source), installed)) is not None
    ]


def judge(tasks: Sequence[Task], load: Callable[[str], SegmentFn], out: Path, *, part: str, tell: Tell) -> None:
    """Carry the tasks out and write tables, document and panels below `out`, after each of them what is known so far.

    Raises ModelError, before anything is judged, when weights are missing.
    """
    segmenters = {task.weights: load(task.weights) for task in tasks}
    out.mkdir(parents=True, exist_ok=True)
    weights = {f"{task.label} on {task.source}": task.weights for task in tasks}
    about = {"created": datetime.now(UTC).date().isoformat(), "part": part, "weights": weights}
    scores: list[SourceScore] = []
    for task in tasks:
        scores.append(_scored(task, segmenters[task.weights], tell))
        write_panel(out / f"{task.source}-{task.label}.jpg", _shown(scores[-1], task, segmenters[task.weights]))
        (out / "scores.json").write_text(to_json(scores, **about), encoding="utf-8")
        (out / "table.md").write_text(to_markdown(scores), encoding="utf-8")


def _scored(task: Task, segment: SegmentFn, tell: Tell) -> SourceScore:
    done = iter(range(1, len(task.fields) + 1))
    return score_source(
        task.label,
        task.fields,
        segment,
        lambda: tell(f"{task.source}, {task.label}", next(done), len(task.fields)),
    )


def _shown(score: SourceScore, task: Task, segment: SegmentFn) -> Pixels:
    by_name = {one.name: one for one in task.fields}
    shown = []
    for word, one in chosen(score).items():
        truth = by_name[one.name].load()
        shown.append(Shown(word=word, score=one, truth=truth, found=segment(truth.rgb, truth.mpp_um)[0]))
    return panel(score, shown)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker.training.segmentation.evaluate", description="Judge segmenters on outlined fields."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the public data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for scores.json, table.md and the panels")
    parser.add_argument("--segmenters", default=CLASSICAL, help="NAME or LABEL=NAME, parted by commas")
    parser.add_argument("--sources", default="", help="data sets, parted by commas; default: all there are")
    parser.add_argument("--part", choices=PARTS, default="val", help="groups to judge on; drawn smears always")
    parser.add_argument("--smears", type=int, default=_SMEARS, help="drawn smears of each kind")
    parser.add_argument("--models-dir", type=Path, help="weights are looked for here before the shipped ones")
    parser.add_argument("--device", default="auto", help="cpu, cuda:0, ... or auto")
    return parser.parse_args(arguments)


def _tasks(given: argparse.Namespace) -> tuple[list[Task], list[str]]:
    """Return what is to be judged, and what is left out for want of weights."""
    contenders = [contender(text) for text in given.segmenters.split(",")]
    only = [name for name in given.sources.split(",") if name]
    fields = fields_of(given.data, given.part, only=only, smears=given.smears)
    tasks = planned(fields, contenders, names(given.models_dir))
    rows = {(task.label, task.source) for task in tasks}
    wanted = ((one.label, source) for one in contenders for source in fields)
    return tasks, [f"{label} on {source}" for label, source in wanted if (label, source) not in rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, judge, and show the tables."""
    given, console = _arguments(arguments), Console(stderr=True)
    try:
        tasks, left_out = _tasks(given)
        if left_out:
            console.print(f"left out, for there are no such weights: {', '.join(left_out)}", markup=False)
        with bars(console) as tell:
            judge(tasks, loader(given.models_dir, given.device), given.out, part=given.part, tell=tell)
    except MarrowlineError as error:
        console.print(f"error: {error}", style="red", markup=False)
        sys.exit(1)
    print((given.out / "table.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
