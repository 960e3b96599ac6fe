"""How plots look and are saved: one palette, told apart by line and marker too, no global state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Sheet

from worker.training.classification.evaluation.wording import NOTICE

INK, QUIET, RULE = "#1f2933", "#616e7c", "#d9dee4"
GROUPED, PAPER = "#0b5c8c", "#c2560c"
"""The colours of the two protocols."""
_DPI = 130


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture that was drawn, and what it shows in words."""

    file: str
    title: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class Pen:
    """How one system is drawn."""

    colour: str
    line: str
    marker: str
    width: float = 1.4


_PENS: Mapping[str, Pen] = MappingProxyType(
    {
        "hybrid": Pen(colour="#0072b2", line="-", marker="o", width=2.4),
        "hybrid-merged": Pen(colour="#3aa0d8", line="--", marker="s", width=1.8),
        "vgg16": Pen(colour="#d55e00", line="-", marker="^"),
        "vgg19": Pen(colour="#b8860b", line="--", marker="v"),
        "resnet50": Pen(colour="#007f5f", line="-.", marker="D"),
        "dcnn": Pen(colour="#b0548f", line=":", marker="P"),
        "svm": Pen(colour="#4a5560", line="--", marker="X"),
        "colour": Pen(colour="#8a94a0", line=":", marker="*"),
    }
)  # Okabe and Ito's colours, darkened for print


def pen(arch: str) -> Pen:
    """Return how a system is drawn; one that is not listed, in black."""
    return _PENS.get(arch, Pen(colour=INK, line="-", marker="."))


def sheet(rows: int, columns: int, size: tuple[float, float]) -> tuple[Sheet, list[Axes]]:
    """Return an empty picture of panels, `size` inches wide and high each, and its panels row by row."""
    made = Sheet(figsize=(columns * size[0], rows * size[1] + 0.25), layout="constrained")
    FigureCanvasAgg(made)
    panels = [panel for line in made.subplots(rows, columns, squeeze=False) for panel in line]
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(QUIET)
        panel.tick_params(colors=QUIET, labelcolor=INK, labelsize=8)
        panel.grid(color=RULE, linewidth=0.6)
        panel.set_axisbelow(True)
    return made, panels


def name(panel: Axes, title: str, x: str = "", y: str = "") -> None:
    """Write a panel's title and what its axes are."""
    panel.set_title(title, fontsize=9.5, color=INK, loc="left")
    panel.set_xlabel(x, fontsize=8.5, color=INK)
    panel.set_ylabel(y, fontsize=8.5, color=INK)


def keys(made: Sheet, panel: Axes) -> None:
    """Put a panel's legend above all panels."""
    made.legend(*panel.get_legend_handles_labels(), loc="outside upper right", ncols=4, fontsize=8, edgecolor=RULE)


def save(made: Sheet, path: Path) -> None:
    """Write the picture as .png with the notice below."""
    made.supxlabel(NOTICE, fontsize=6.5, color=QUIET, x=0.995, ha="right")
    made.savefig(path, dpi=_DPI, metadata={"Software": "", "Description": NOTICE})
