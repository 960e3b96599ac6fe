"""Plots of one data set: ROC and precision-recall curves, reliability, confusion matrices and folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from sklearn.metrics import precision_recall_curve, roc_curve

from worker.training.classification.evaluation.drawing import (
    GROUPED,
    INK,
    PAPER,
    QUIET,
    RULE,
    Plot,
    keys,
    name,
    pen,
    save,
    sheet,
)
from worker.training.classification.evaluation.judging import Judged, Judgement
from worker.training.classification.evaluation.metrics import Values, contrasts
from worker.training.classification.evaluation.wording import PROTOCOLS, system, task

_GRID = np.linspace(0, 1, 401)
_ACROSS = 4
_PROTOCOL_COLOURS = {"grouped": GROUPED, "paper": PAPER}

Curve = Callable[[Judgement], tuple[Values, Values]]


def draw_task(judged: Judged, of: str, folder: Path) -> list[Plot]:
    """Draw all plots of one data set into a folder and return what they show."""
    by_protocol = {p: _systems(judged, of, p) for p in PROTOCOLS}
    present = {protocol: found for protocol, found in by_protocol.items() if found}
    plots = [_draw_roc(present, of, folder), _draw_precision_recall(present, of, folder)]
    plots.append(_draw_folds(present, of, folder))
    for protocol, found in present.items():
        plots.append(_draw_reliability(found, f"{of}-reliability-{protocol}", folder))
        plots.append(_draw_confusions(found, f"{of}-confusion-{protocol}", folder))
    return plots


def roc(one: Judgement) -> tuple[Values, Values]:
    """Return shares of false and true positives, the latter averaged over the classes where none is malignant."""
    curves: list[tuple[Values, Values]] = [roc_curve(*contrast)[:2] for contrast in contrasts(one.outcome)]
    if len(curves) == 1:
        return curves[0]
    return _GRID, np.mean([np.interp(_GRID, false, true) for false, true in curves], axis=0)


def precision_recall(one: Judgement) -> tuple[Values, Values]:
    """Return recall and precision, the latter averaged over the classes where none is malignant."""
    curves: list[tuple[Values, Values]] = [precision_recall_curve(*contrast)[:2] for contrast in contrasts(one.outcome)]
    if len(curves) == 1:
        return curves[0][1], curves[0][0]
    return _GRID, np.mean([np.interp(_GRID, recall[::-1], precision[::-1]) for precision, recall in curves], axis=0)


def _draw_roc(by_protocol: Mapping[str, Mapping[str, Judgement]], of: str, folder: Path) -> Plot:
    made, panels = sheet(1, len(by_protocol), (4.6, 4.1))
    for panel, (protocol, systems) in zip(panels, by_protocol.items(), strict=True):
        panel.plot([0, 1], [0, 1], color=RULE, linewidth=1)
        _draw_curves(panel, systems, roc, "auc")
        name(panel, f"{task(of).title}, {PROTOCOLS[protocol]}", "1 - specificity", "recall (sensitivity)")
    save(made, folder / f"{of}-roc.png")
    return Plot(file=f"{of}-roc.png", title="ROC curves", alt=_curves_alt(by_protocol, "ROC curves", "auc"))


def _draw_precision_recall(by_protocol: Mapping[str, Mapping[str, Judgement]], of: str, folder: Path) -> Plot:
    made, panels = sheet(1, len(by_protocol), (4.6, 4.1))
    for panel, (protocol, systems) in zip(panels, by_protocol.items(), strict=True):
        _draw_curves(panel, systems, precision_recall, "average_precision", down=True)
        name(panel, f"{task(of).title}, {PROTOCOLS[protocol]}", "recall", "precision")
    save(made, folder / f"{of}-pr.png")
    alt = _curves_alt(by_protocol, "Precision against recall", "average_precision")
    return Plot(file=f"{of}-pr.png", title="Precision and recall", alt=alt)


def _draw_curves(panel: Axes, systems: Mapping[str, Judgement], curve: Curve, area: str, *, down: bool = False) -> None:
    for arch, one in reversed(list(systems.items())):
        drawn, (x, y) = pen(arch), curve(one)
        label = f"{system(arch)}  {one.figures[area].value:.3f}"
        panel.plot(x, y, color=drawn.colour, linestyle=drawn.line, linewidth=drawn.width, label=label)
    panel.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    where: Literal["lower left", "lower right"] = "lower left" if down else "lower right"
    panel.legend(reverse=True, loc=where, fontsize=7.5, frameon=True, framealpha=0.9, edgecolor=RULE)


def _curves_alt(by_protocol: Mapping[str, Mapping[str, Judgement]], what: str, area: str) -> str:
    parts = [
        f"{PROTOCOLS[protocol]}: " + ", ".join(f"{system(a)} {one.figures[area].value:.3f}" for a, one in found.items())
        for protocol, found in by_protocol.items()
    ]
    return f"{what}, area by system. " + "; ".join(parts)


def _draw_folds(by_protocol: Mapping[str, Mapping[str, Judgement]], of: str, folder: Path) -> Plot:
    """Draw boxes over folds, and each fold as a point: three folds make a poor box."""
    figures = {"balanced_accuracy": "balanced accuracy", "auc": "AUC"}
    made, panels = sheet(1, 2, (4.9, 3.3))
    for panel, (figure, title) in zip(panels, figures.items(), strict=True):
        archs = list(dict.fromkeys(arch for found in by_protocol.values() for arch in found))
        for side, (protocol, systems) in enumerate(by_protocol.items()):
            shift = (side - (len(by_protocol) - 1) / 2) * 0.36
            _draw_boxes(panel, systems, figure, [archs.index(a) + shift for a in systems], protocol)
        panel.set_xticks(range(len(archs)), [system(a) for a in archs], rotation=35, ha="right", fontsize=7.5)
        name(panel, f"{title} by fold")
    keys(made, panels[0])
    save(made, folder / f"{of}-folds.png")
    alt = "Box plots over folds of balanced accuracy and AUC, each system under both protocols, every fold a point"
    return Plot(file=f"{of}-folds.png", title="Folds", alt=alt)


def _draw_boxes(
    panel: Axes, systems: Mapping[str, Judgement], figure: str, positions: list[float], protocol: str
) -> None:
    colour = _PROTOCOL_COLOURS[protocol]
    values = [[value for value in one.by_fold[figure] if not np.isnan(value)] for one in systems.values()]
    line = {"color": colour, "linewidth": 1.1}
    panel.boxplot(
        values, positions=positions, widths=0.28, showfliers=False, manage_ticks=False, patch_artist=True,
        boxprops={"facecolor": colour + "22", "edgecolor": colour}, medianprops=line, whiskerprops=line, capprops=line,
    )  # fmt: skip
    x = np.repeat(positions, [len(found) for found in values])
    panel.plot(x, [v for found in values for v in found], "o", color=colour, markersize=3.2, label=PROTOCOLS[protocol])


def _draw_reliability(systems: Mapping[str, Judgement], file: str, folder: Path) -> Plot:
    made, panels = sheet(-(-len(systems) // _ACROSS), min(_ACROSS, len(systems)), (2.5, 2.6))
    for panel, (arch, one) in zip(panels, systems.items(), strict=False):
        _draw_reliability_panel(panel, one)
        name(panel, f"{system(arch)}\nECE {one.reliability.error:.3f}, limit {one.reliability.limit:.3f}")
        panel.title.set_fontsize(8.5)
    _hide(panels[len(systems) :])
    made.supylabel("share called correctly, by confidence of the called class", fontsize=8.5, color=INK)
    save(made, folder / f"{file}.png")
    protocol = next(iter(systems.values())).outcome.protocol
    alt = "Reliability: share called correctly against confidence, the band in which a perfectly calibrated model lies"
    return Plot(file=f"{file}.png", title=f"Reliability, {PROTOCOLS[protocol]}", alt=alt)


def _draw_reliability_panel(panel: Axes, one: Judgement) -> None:
    found = one.reliability
    filled = found.count > 0
    x, size = found.confidence[filled], found.count[filled] / found.count.max()
    panel.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8)
    panel.vlines(x, found.band[0][filled], found.band[1][filled], color="#b6cde0", linewidth=5, alpha=0.8)
    panel.scatter(x, found.accuracy[filled], s=8 + 50 * size, color=pen(one.outcome.arch).colour, zorder=3)
    least = 1 / len(one.outcome.classes)
    panel.set(xlim=(min(least, 0.5) - 0.03, 1.03), ylim=(-0.03, 1.05))


def _draw_confusions(systems: Mapping[str, Judgement], file: str, folder: Path) -> Plot:
    classes = next(iter(systems.values())).outcome.classes
    side = 2.5 if len(classes) <= 3 else 3.6
    made, panels = sheet(-(-len(systems) // _ACROSS), min(_ACROSS, len(systems)), (side, side))
    for panel, (arch, one) in zip(panels, systems.items(), strict=False):
        _draw_confusion(panel, one)
        name(panel, system(arch))
    made.supylabel("true class; columns: called class", fontsize=8.5, color=INK)
    _hide(panels[len(systems) :])
    save(made, folder / f"{file}.png")
    protocol = next(iter(systems.values())).outcome.protocol
    alt = "Confusion matrices of all systems, true classes as rows; the same counts are in the tables below"
    return Plot(file=f"{file}.png", title=f"Confusion, {PROTOCOLS[protocol]}", alt=alt)


def _draw_confusion(panel: Axes, one: Judgement) -> None:
    counts, classes = one.confusion, one.outcome.classes
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    panel.grid(visible=False)
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else INK
        panel.text(
            column, row, str(count), ha="center", va="center", fontsize=8 if len(classes) < 4 else 6.5, color=colour
        )
    short = [label.replace("_", " ") for label in classes]
    panel.set_xticks(range(len(classes)), short, rotation=40, ha="right", fontsize=7)
    panel.set_yticks(range(len(classes)), short, fontsize=7)


def _hide(panels: list[Axes]) -> None:
    for panel in panels:
        panel.set_visible(False)


def _systems(judged: Judged, of: str, protocol: str) -> dict[str, Judgement]:
    found = {arch: judged.judgements.get((of, protocol, arch)) for arch in judged.systems}
    return {arch: one for arch, one in found.items() if one is not None}
