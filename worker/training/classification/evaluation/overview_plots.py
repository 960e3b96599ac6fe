"""Plots over all data sets: every system with its interval, and hybrids against single networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from worker.training.classification.evaluation.drawing import (
    GROUPED,
    PAPER,
    QUIET,
    Plot,
    keys,
    name,
    save,
    sheet,
)
from worker.training.classification.evaluation.intervals import Figure
from worker.training.classification.evaluation.judging import Comparison, Judged
from worker.training.classification.evaluation.wording import PROTOCOLS, SINGLES, system, task

_COLOURS = {"grouped": GROUPED, "paper": PAPER}
_MARKERS = {"grouped": "o", "paper": "D"}
_OFFSETS = {"grouped": -0.16, "paper": 0.16}


def draw_overview(judged: Judged, folder: Path) -> Plot:
    """Draw balanced accuracy of every system on every data set under both protocols."""
    made, panels = sheet(1, len(judged.tasks), (2.35, 3.3))
    for index, (panel, of) in enumerate(zip(panels, judged.tasks, strict=True)):
        for (judged_task, protocol, arch), one in judged.judgements.items():
            if judged_task == of:
                y = judged.systems.index(arch) + _OFFSETS[protocol]
                _bar(panel, one.figures["balanced_accuracy"], y, protocol)
        shown = judged.systems if index == 0 else [""] * len(judged.systems)
        panel.set_yticks(range(len(judged.systems)), [system(arch) for arch in shown], fontsize=8)
        panel.invert_yaxis()
        name(panel, f"{task(of).short}\n({of})", "balanced accuracy")
        panel.title.set_fontsize(8)
    _label(panels[0])
    keys(made, panels[0])
    _share_range(panels)
    save(made, folder / "overview.png")
    alt = (
        "Balanced accuracy with 95 % intervals of all systems on all data sets, grouped and under the paper's protocol"
    )
    return Plot(file="overview.png", title="All systems at a glance", alt=alt)


def draw_differences(judged: Judged, folder: Path) -> Plot | None:
    """Draw the parallel hybrid less each single network; None where either is lacking."""
    pairs = [one for one in judged.comparisons if one.first == "hybrid" and one.second in SINGLES]
    if not pairs:
        return None
    seconds = [arch for arch in judged.systems if arch in {one.second for one in pairs}]
    made, panels = sheet(1, len(seconds), (3.3, 2.9))
    for index, (panel, second) in enumerate(zip(panels, seconds, strict=True)):
        for one in pairs:
            if one.second == second:
                y = judged.tasks.index(one.task) + _OFFSETS[one.protocol]
                _bar(panel, _in_points(one), y, one.protocol)
        panel.axvline(0, color=QUIET, linewidth=1)
        panel.set_yticks(range(len(judged.tasks)), judged.tasks if index == 0 else [""] * len(judged.tasks))
        panel.invert_yaxis()
        name(panel, f"hybrid less {system(second)}", "points of balanced accuracy")
    _label(panels[0])
    keys(made, panels[0])
    save(made, folder / "differences.png")
    alt = "Hybrid less single network, points of balanced accuracy, 95 % intervals; right of zero the hybrid is better"
    return Plot(file="differences.png", title="Hybrid less single networks", alt=alt)


def _bar(panel: Axes, found: Figure, y: float, protocol: str) -> None:
    colour = _COLOURS[protocol]
    if found.low is not None and found.high is not None:
        panel.hlines(y, found.low, found.high, color=colour, linewidth=1.6)
    if not np.isnan(found.value):
        face = colour if protocol == "grouped" else "white"
        panel.plot(found.value, y, _MARKERS[protocol], color=colour, markerfacecolor=face, markersize=5)


def _label(panel: Axes) -> None:
    for protocol, label in PROTOCOLS.items():
        face = _COLOURS[protocol] if protocol == "grouped" else "white"
        panel.plot(
            [], [], _MARKERS[protocol], color=_COLOURS[protocol], markerfacecolor=face, label=label, markersize=5
        )


def _in_points(one: Comparison) -> Figure:
    found = one.differences["balanced_accuracy"]
    if found.low is None or found.high is None:
        return Figure(value=100 * found.value)
    return Figure(value=100 * found.value, low=100 * found.low, high=100 * found.high)


def _share_range(panels: Sequence[Axes]) -> None:
    lowest = min(panel.get_xlim()[0] for panel in panels)
    for panel in panels:
        panel.set_xlim(lowest, 1.01)
