"""Tables of one data set: every figure of every system, confusion matrices, and systems against each other."""

from __future__ import annotations

from worker.training.classification.evaluation.intervals import Figure
from worker.training.classification.evaluation.judging import HYBRIDS, Comparison, Judged, Judgement
from worker.training.classification.evaluation.metrics import NAMES
from worker.training.classification.evaluation.tables import (
    Cell,
    Row,
    Table,
    chance,
    fraction,
    percent,
    points,
    signed,
)
from worker.training.classification.evaluation.wording import PROTOCOLS, SINGLES, system, task

_IN_PERCENT = ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1")
_IN_FRACTIONS = ("auc", "average_precision")
_PERCENT = "\N{NO-BREAK SPACE}%"


def overview(judged: Judged, protocol: str) -> Table:
    """Return balanced accuracy and AUC of every system on every data set."""
    columns = [
        (task(name).short, figure) for name in judged.tasks for figure in (f"balanced accuracy,{_PERCENT}", "AUC")
    ]
    rows = []
    for arch in judged.systems:
        cells: list[Cell] = []
        for name in judged.tasks:
            one = judged.judgements.get((name, protocol, arch))
            cells += [percent(_of(one, "balanced_accuracy")), fraction(_of(one, "auc"))]
        rows.append(Row(name=Cell(text=system(arch)), cells=tuple(cells), tone=_tone(arch)))
    return Table(
        key=f"overview-{protocol}",
        title=f"All systems, {PROTOCOLS[protocol]}",
        stub="system",
        columns=tuple(columns),
        rows=tuple(rows),
        note="In small print the 95 % interval of a bootstrap over groups.",
    )


def headline(judged: Judged, arch: str = "hybrid") -> Table:
    """Return what is to be known first of one system on every data set, under the grouped protocol."""
    rows = []
    for name in judged.tasks:
        one = judged.judgements.get((name, "grouped", arch))
        if one is not None:
            cells = (
                percent(one.figures["balanced_accuracy"]),
                fraction(one.figures["auc"]),
                _calibration(one),
                points(judged.gaps.get((name, arch), {}).get("balanced_accuracy")),
                points(_over_colour(judged, name, arch)),
            )
            rows.append(Row(name=data_set(judged, name), cells=cells))
    return Table(
        key="headline",
        title=f"The {system(arch)}, grouped",
        stub="data set",
        columns=(
            ("", f"balanced accuracy,{_PERCENT}"),
            ("", "AUC"),
            ("", "calibration error"),
            ("balanced accuracy, points", "paper's protocol shows more by"),
            ("balanced accuracy, points", "above colour alone by"),
        ),
        rows=tuple(rows),
        note="In small print the 95 % interval of a bootstrap over groups; under the calibration error, the limit that "
        "a perfectly calibrated model of this size stays under in 95 of 100 samples.",
    )


def figures(judged: Judged, name: str, protocol: str) -> Table:
    """Return every figure of every system on one data set under one protocol."""
    of_task = _systems(judged, name, protocol)
    rows = tuple(Row(name=Cell(text=system(a)), cells=_figure_cells(one), tone=_tone(a)) for a, one in of_task.items())
    about = next(iter(of_task.values())).outcome
    positive = f"Positive = {task(name).positive_is}: {', '.join(about.positive)}." if about.positive else (
        "No class is malignant: macro averages, each class against the others."
    )  # fmt: skip
    columns = [
        *(f"{NAMES[figure]},{_PERCENT}" for figure in _IN_PERCENT),
        *(NAMES[figure] for figure in _IN_FRACTIONS),
        "calibration error",
    ]
    return Table(
        key=f"figures-{name}-{protocol}",
        title=f"Figures, {PROTOCOLS[protocol]}",
        stub="system",
        columns=tuple(("", column) for column in columns),
        rows=rows,
        note=f"{positive} In small print the 95 % interval of a bootstrap over groups; under the calibration error, "
        "the limit that a perfectly calibrated model of this size stays under in 95 of 100 samples.",
    )


def comparisons(judged: Judged, name: str, protocol: str) -> Table | None:
    """Return the hybrids against every other system; None where there is nothing to compare."""
    chosen = [one for one in judged.comparisons if (one.task, one.protocol) == (name, protocol)]
    if not chosen:
        return None
    return Table(
        key=f"comparisons-{name}-{protocol}",
        title=f"Hybrids against the others, {PROTOCOLS[protocol]}",
        stub="first less second",
        columns=(
            ("difference", "balanced accuracy, points"),
            ("difference", "AUC"),
            ("right alone", "first"),
            ("right alone", "second"),
            ("McNemar, p", "by group"),
            ("McNemar, p", "by unit"),
            ("DeLong, p", "by group"),
            ("DeLong, p", "by unit"),
        ),
        rows=tuple(_comparison_row(one) for one in chosen),
        note="By group: units of one group swapped, or summed, together: go by these. By unit: the plain tests, which "
        "take units for independent and are too sure where cells share a patient. p values are not adjusted for the "
        "number of comparisons.",
    )


def not_beaten(judged: Judged) -> Table:
    """Return where the parallel hybrid is not better than a single network beyond the interval."""
    rows = []
    for one in judged.not_beaten():
        pair = [judged.judgements[one.task, one.protocol, arch] for arch in (one.first, one.second)]
        found = one.differences["balanced_accuracy"]
        rows.append(
            Row(
                name=Cell(text=task(one.task).title, detail=f"{one.task}, {PROTOCOLS[one.protocol]}"),
                cells=(
                    Cell(text=system(one.second)),
                    *(percent(judgement.figures["balanced_accuracy"]) for judgement in pair),
                    points(found),
                    signed(one.differences["auc"]),
                    Cell(text=_verdict(found)),
                ),
                tone="baseline" if found.excludes_zero else "",
            )
        )
    columns = ("single network", "hybrid, %", "single, %", "difference, points", "difference of AUC", "result")
    return Table(
        key="not-beaten",
        title="Where the parallel hybrid does not beat a single VGG or ResNet50",
        stub="data set",
        columns=tuple(("", column) for column in columns),
        rows=tuple(rows),
        note="Balanced accuracy, hybrid less single, with the 95 % interval of a bootstrap over groups. The hybrid "
        "beats a network only where the whole interval lies above zero.",
    )


def confusion(one: Judgement) -> Table:
    """Return how often each class was called each class."""
    about = one.outcome
    rows = [
        Row(name=Cell(text=name), cells=tuple(Cell(text=str(count)) for count in counts))
        for name, counts in zip(about.classes, one.confusion.tolist(), strict=True)
    ]
    return Table(
        key=f"confusion-{about.task}-{about.protocol}-{about.arch}",
        title=f"{system(about.arch)}, {PROTOCOLS[about.protocol]}",
        stub="true class",
        columns=tuple(("called", name) for name in about.classes),
        rows=tuple(rows),
    )


def data_set(judged: Judged, name: str) -> Cell:
    """Return a task's name as the first cell of its row, with what its groups are."""
    about = next(one.outcome for (judged_task, _, _), one in judged.judgements.items() if judged_task == name)
    grouping = "image-level" if about.grouping == "image" else f"by {about.grouping}"
    return Cell(text=task(name).short, detail=", ".join([name, grouping, *(["macro"] if not about.positive else [])]))


def _of(one: Judgement | None, name: str) -> Figure | None:
    return one.figures[name] if one else None


def _systems(judged: Judged, name: str, protocol: str) -> dict[str, Judgement]:
    found = {arch: judged.judgements.get((name, protocol, arch)) for arch in judged.systems}
    return {arch: one for arch, one in found.items() if one is not None}


def _over_colour(judged: Judged, name: str, arch: str) -> Figure | None:
    for one in judged.comparisons:
        if (one.task, one.protocol, one.first, one.second) == (name, "grouped", arch, "colour"):
            return one.differences["balanced_accuracy"]
    return None


def _calibration(one: Judgement) -> Cell:
    found = one.reliability
    verdict = "within" if found.is_calibrated else "above"
    return Cell(text=f"{found.error:.3f}", detail=f"{verdict} {found.limit:.3f}")


def _figure_cells(one: Judgement) -> tuple[Cell, ...]:
    return (
        *(percent(one.figures[name]) for name in _IN_PERCENT),
        *(fraction(one.figures[name]) for name in _IN_FRACTIONS),
        _calibration(one),
    )


def _comparison_row(one: Comparison) -> Row:
    return Row(
        name=Cell(text=f"{system(one.first)} less {system(one.second)}"),
        cells=(
            points(one.differences["balanced_accuracy"]),
            signed(one.differences["auc"]),
            Cell(text=str(one.only_first)),
            Cell(text=str(one.only_second)),
            chance(one.mcnemar_by_group),
            chance(one.mcnemar),
            chance(one.delong_by_group),
            chance(one.delong),
        ),
        tone="hybrid" if one.first == "hybrid" and one.second in SINGLES else "",
    )


def _verdict(found: Figure) -> str:
    return "the single network is better" if found.excludes_zero else "not told apart"


def _tone(arch: str) -> str:
    return "hybrid" if arch in HYBRIDS else "baseline" if arch == "colour" else ""
