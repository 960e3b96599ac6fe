"""Pictures of a fuzzy system for its documentation: `python -m worker.training.fuzzy_plots --out docs/images`.

Words of every variable, and scores over pairs of inputs. Needs matplotlib, of the extra `train`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from worker.counting.intervals import clopper_pearson
from worker.fuzzy.mamdani import System, Variable, infer
from worker.fuzzy.released import ALL, DEFAULT_SYSTEM, MM, SYSTEMS
from worker.predict import ABSENT_TO, PRESENT_FROM

NOTICE = "research use only, not for diagnostic procedures"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555")
_ACROSS = 4
_POINTS = 41
_CLEAR: Mapping[str, float | None] = {
    "lymphoblast_share": 0.0,
    "lymphoblast_share_at_least": 0.0,
    "lymphoblast_confidence": 0.95,
    "lymphoblast_nc_ratio": 0.8,
    "lymphoblast_nucleus_um2": 60.0,
    "plasma_cell_share": 0.0,
    "plasma_cell_share_at_least": 0.0,
    "plasma_cell_confidence": 0.95,
    "plasma_cell_nc_ratio": 0.43,
    "plasma_cell_nucleus_offset": 0.34,
    "cells": 30.0,
    "called": 1.0,
    "outlines": 1.0,
}
"""A field without doubts, of usual cells: what a surface does not vary."""


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A score over two inputs; `share` stands for a share and what it proves in as many cells as there are."""

    output: str
    cell: str
    x: str
    y: str
    share: float = 0.5  # of the cells, where neither axis is it


SURFACES = (
    Surface(output=ALL, cell="lymphoblast", x="share", y="cells"),
    Surface(output=ALL, cell="lymphoblast", x="share", y="lymphoblast_confidence"),
    Surface(output=ALL, cell="lymphoblast", x="lymphoblast_nc_ratio", y="lymphoblast_nucleus_um2"),
    Surface(output=MM, cell="plasma_cell", x="share", y="cells"),
    Surface(output=MM, cell="plasma_cell", x="share", y="called"),
    Surface(output=MM, cell="plasma_cell", x="plasma_cell_nc_ratio", y="plasma_cell_nucleus_offset"),
)


def memberships(system: System) -> Figure:
    """Return the words of every input and of the outputs."""
    shown = (*system.inputs, system.outputs[0])
    rows = -(-len(shown) // _ACROSS)
    figure = Figure(figsize=(3.4 * _ACROSS, 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, _ACROSS).ravel()
    for number, axis in enumerate(axes):
        if number < len(shown):
            _draw_words(axis, shown[number], is_output=number == len(shown) - 1)
        else:
            axis.set_axis_off()
    figure.suptitle(f"Words of {system.name} — {NOTICE}", fontsize=10)
    return figure


def surfaces(system: System) -> Figure:
    """Return scores over pairs of inputs, all else being clear; the lines are the limits of an answer."""
    figure = Figure(figsize=(12.6, 7.6), layout="constrained")
    for axis, surface in zip(figure.subplots(2, 3).ravel(), SURFACES, strict=True):
        x, y, scores = scores_over(system, surface)
        drawn = axis.pcolormesh(x, y, scores, vmin=0.0, vmax=1.0, cmap="RdBu_r", shading="nearest", rasterized=True)
        axis.contour(x, y, scores, levels=(ABSENT_TO, PRESENT_FROM), colors="black", linewidths=0.9)
        axis.set(xlabel=_label(surface, surface.x), ylabel=_label(surface, surface.y))
        axis.set_title(f"score of {surface.output}")
        figure.colorbar(drawn, ax=axis)
    figure.suptitle(f"Scores of {system.name}; no answer between the lines — {NOTICE}", fontsize=10)
    return figure


def scores_over(
    system: System, surface: Surface, points: int = _POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the values of both axes and the (y, x) scores."""
    x, y = (_values(system, name, points) for name in (surface.x, surface.y))
    scores = np.array([[_score(system, surface, {surface.x: at_x, surface.y: at_y}) for at_x in x] for at_y in y])
    return x, y, scores


def _score(system: System, surface: Surface, varied: Mapping[str, float]) -> float:
    values = dict(_CLEAR) | {name: value for name, value in varied.items() if name != "share"}
    cells, share = values["cells"] or 1.0, varied.get("share", surface.share)
    at_least, _ = clopper_pearson(round(share * cells), round(cells), 0.95)
    values |= {f"{surface.cell}_share": share, f"{surface.cell}_share_at_least": at_least}
    return infer(system, values).scores[surface.output]


def _values(system: System, name: str, points: int) -> NDArray[np.float64]:
    if name == "cells":
        return np.arange(1.0, 41.0)
    variable = system.input_by_name.get(name)
    return np.linspace(0.0, 0.5, points) if variable is None else np.linspace(variable.low, variable.high, points)


def _label(surface: Surface, name: str) -> str:
    return f"{surface.cell}_share" if name == "share" else name


def _draw_words(axis: Axes, variable: Variable, *, is_output: bool) -> None:
    at = np.linspace(variable.low, variable.high, 500)
    for term, colour in zip(variable.terms, _COLOURS, strict=False):
        axis.plot(at, term.holds(at), color=colour, label=term.name, linewidth=1.8)
    axis.set(ylim=(-0.05, 1.6 if is_output else 1.05), xlim=(variable.low, variable.high))
    axis.set_xlabel(variable.unit, fontsize=8)
    axis.set_title("scores of ALL and of MM" if is_output else variable.name, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=7, loc="upper center" if is_output else "center right", ncols=3 if is_output else 1)


def main() -> None:
    """Write the pictures of the default system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder: Path = parser.parse_args().out
    system = SYSTEMS[DEFAULT_SYSTEM]
    folder.mkdir(parents=True, exist_ok=True)
    memberships(system).savefig(folder / "fuzzy-memberships.png", dpi=90)
    surfaces(system).savefig(folder / "fuzzy-surfaces.png", dpi=90)


if __name__ == "__main__":
    main()
