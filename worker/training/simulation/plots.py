"""The study as one picture of four."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from db.records import CellClass
from worker.training.simulation.adaptive import Row
from worker.training.simulation.fixed import Fixed
from worker.training.simulation.study import THRESHOLD, Study

NOTICE = "simulated patients; research use only, not for diagnostic procedures"
_BLUE, _ORANGE, _GREEN, _GREY = "#0072b2", "#d55e00", "#009e73", "#777777"


def draw(found: Study, path: Path) -> None:
    """Write the picture as PNG."""
    figure = Figure(figsize=(10, 7.4), layout="constrained")
    axes = figure.subplots(2, 2)
    _coverage(axes[0, 0], found)
    _findings(axes[0, 1], found)
    _cells(axes[1, 0], found)
    _correction(axes[1, 1], found)
    figure.text(0.995, -0.02, NOTICE, ha="right", va="top", fontsize=8, color=_GREY)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def _coverage(axes: Axes, found: Study) -> None:
    axes.axhline(95, color=_GREY, linewidth=1, linestyle=":")
    for cells, style in ((200, "--"), (2000, "-")):
        counts = [one for one in found.fixed if one.cells == cells]
        held, name = [100 * one.coverage for one in counts], f"{cells:,} cells, one look"
        axes.plot(_x(counts), held, style, color=_GREY, label=name)
    for rows, colour, name in (
        (found.looks, _BLUE, "looks at 500, 1,000 and the end"),
        (found.peeking, _ORANGE, "95 % interval after every batch"),
    ):
        axes.plot(_x(rows), [100 * r.coverage for r in rows], "o-", color=colour, label=name, markersize=4)
    axes.set(title="Intervals that hold the true share", ylabel="%", ylim=(69, 100.6))
    _finish(axes, at="lower left")


def _findings(axes: Axes, found: Study) -> None:
    axes.axvline(100 * THRESHOLD, color=_GREY, linewidth=1, linestyle=":")
    for rows, style, name in ((found.looks, "-", "with looks"), (found.whole, "--", "read whole")):
        axes.plot(_x(rows), [100 * r.above for r in rows], style, color=_ORANGE, label=f"above 20 %, {name}")
        axes.plot(_x(rows), [100 * r.below for r in rows], style, color=_GREEN, label=f"below 20 %, {name}")
    axes.set(title="What is found; the rest stays open", ylabel="% of patients")
    _finish(axes)


def _cells(axes: Axes, found: Study) -> None:
    axes.axvline(100 * THRESHOLD, color=_GREY, linewidth=1, linestyle=":")
    axes.plot(_x(found.whole), [r.cells for r in found.whole], "--", color=_GREY, label="read whole")
    axes.plot(_x(found.looks), [r.cells for r in found.looks], "o-", color=_BLUE, label="with looks", markersize=4)
    axes.set(title="Cells that are counted", ylabel="mean", ylim=(0, None))
    _finish(axes)


def _correction(axes: Axes, found: Study) -> None:
    axes.axhline(0, color=_GREY, linewidth=1, linestyle=":")
    for cell_class, colour in ((CellClass.LYMPHOBLAST, _BLUE), (CellClass.PLASMA_CELL, _GREEN)):
        rows = [one for one in found.confused if one.cell_class is cell_class]
        name, x = cell_class.replace("_", " ") + "s", [100 * one.share for one in rows]
        axes.plot(
            x, [100 * (r.raw - r.share) for r in rows], "o--", color=colour, label=f"{name}, counted", markersize=4
        )
        axes.plot(
            x,
            [100 * (r.corrected - r.share) for r in rows],
            "o-",
            color=colour,
            label=f"{name}, corrected",
            markersize=4,
        )
    axes.set(title="How far confusions shift a share", ylabel="mean error, percentage points")
    _finish(axes)


def _x(rows: Sequence[Row] | Sequence[Fixed]) -> list[float]:
    return [100 * one.share for one in rows]


def _finish(axes: Axes, *, at: Literal["best", "lower left"] = "best") -> None:
    axes.set_xlabel("true share, %")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False, loc=at, handlelength=3)
