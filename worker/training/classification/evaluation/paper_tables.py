"""Tables in the shape of the paper's: a system on five data sets, under both protocols, beside what it reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.training.classification.evaluation import reported
from worker.training.classification.evaluation.judging import Judged
from worker.training.classification.evaluation.reported import Reported
from worker.training.classification.evaluation.tables import NONE, Cell, Row, Table, percent, points
from worker.training.classification.evaluation.task_tables import data_set
from worker.training.classification.evaluation.wording import system

_PRINTED = ("accuracy", "precision", "recall")
_COMPARED = (*_PRINTED, "specificity")
_SIDES = ("paper", "grouped", "gap")
_TITLES = {
    "vgg19": "VGG19",
    "vgg16": "VGG16",
    "hybrid": "VGG16+VGG19 (hybrid, parallel)",
    "resnet50": "ResNet50",
    "svm": "SVM",
}

NOTE = (
    "In percent; in small print the 95 % interval of a bootstrap over groups. paper: the paper's protocol, 70/30 by "
    "picture. grouped: no patient, or what stands for one, on both sides. gap: paper less grouped, in points."
)
REPORTED_NOTE = (
    "Reported: as printed in the paper. Its data sets 1 to 5 are not named there and are not ours: no row stands for a "
    "row of the other table. Its text calls benign positive (see Methods)."
)


def numbered(judged: Judged) -> list[tuple[Table, Table]]:
    """Return ours and the reported one for each of the paper's tables 1 to 5 whose systems were judged."""
    pairs = [
        (_of_system(judged, arch, f"Table {number}: {_TITLES[arch]}"), _reported(number, arch))
        for number, arch in enumerate(reported.TABLES, start=1)
        if arch in judged.systems
    ]
    compared = [arch for arch in reported.COMPARED if arch in judged.systems]
    return [*pairs, (_of_both(judged, compared), _reported_both())] if compared else pairs


def others(judged: Judged) -> list[Table]:
    """Return the same for systems that the paper prints no table of."""
    names = [arch for arch in judged.systems if arch not in {*reported.TABLES, "svm"}]
    return [_of_system(judged, arch, f"In the same shape: {system(arch)}") for arch in names]


def _of_system(judged: Judged, arch: str, title: str) -> Table:
    rows = [Row(name=data_set(judged, name), cells=_sides(judged, name, arch, _PRINTED)) for name in judged.tasks]
    return Table(key=f"table-{arch}", title=title, stub="data set", columns=_columns(_PRINTED), rows=tuple(rows))


def _of_both(judged: Judged, compared: Sequence[str]) -> Table:
    rows = [
        Row(
            name=Cell(text=system(arch), detail=name),
            cells=_sides(judged, name, arch, _COMPARED),
            tone="hybrid" if arch == "hybrid" else "",
        )
        for name in judged.tasks
        for arch in compared
    ]
    title = "Table 5: " + " and ".join(_TITLES[arch] for arch in compared)
    return Table(key="table-5", title=title, stub="system", columns=_columns(_COMPARED), rows=tuple(rows))


def _columns(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, side) for name in names for side in _SIDES)


def _sides(judged: Judged, name: str, arch: str, names: Sequence[str]) -> tuple[Cell, ...]:
    found = {side: judged.judgements.get((name, side, arch)) for side in _SIDES[:2]}
    gap = judged.gaps.get((name, arch), {})
    cells = []
    for figure in names:
        cells += [percent(one.figures[figure] if one else None) for one in found.values()]
        cells.append(points(gap.get(figure)))
    return tuple(cells)


def _reported(number: int, arch: str) -> Table:
    rows = {f"Dataset {n}": row for n, row in enumerate(reported.DATA_SETS[arch], start=1)}
    return _printed(f"reported-{arch}", f"Reported in its table {number}", rows, _PRINTED)


def _reported_both() -> Table:
    rows = {_TITLES[arch]: row for arch, row in reported.COMPARED.items()}
    return _printed("reported-5", "Reported in its table 5", rows, _COMPARED)


def _printed(key: str, title: str, rows: Mapping[str, Reported], names: Sequence[str]) -> Table:
    made = [
        Row(name=Cell(text=name), cells=tuple(_as_printed(getattr(row, figure)) for figure in names))
        for name, row in rows.items()
    ]
    columns = tuple(("", name) for name in names)
    return Table(key=key, title=title, stub="reported", columns=columns, rows=tuple(made))


def _as_printed(value: float | None) -> Cell:
    return Cell(text=NONE if value is None else f"{value:.2f}")
