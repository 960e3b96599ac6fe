"""Tables as plain values, and how they are written: one form for the page and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from worker.training.classification.evaluation.intervals import Figure

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a cell says, and in small print its interval or the like."""

    text: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row by its name; `tone` is "hybrid" for ours, "baseline" for what must be beaten, else empty."""

    name: Cell
    cells: tuple[Cell, ...]
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns have a group (may be empty) and a name; every row has a cell for each."""

    key: str  # unique on the page
    title: str
    stub: str  # what the rows are
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    note: str = ""

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The groups of neighbouring columns and how many columns each spans."""
        found: list[tuple[str, int]] = []
        for group, _ in self.columns:
            if found and found[-1][0] == group:
                found[-1] = (group, found[-1][1] + 1)
            else:
                found.append((group, 1))
        return found


def to_markdown(table: Table) -> str:
    """Return the table under its title, with its note."""
    head = [table.stub, *(", ".join(filter(None, column)) for column in table.columns)]
    rows = [[_flat(row.name), *map(_flat, row.cells)] for row in table.rows]
    lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    return "\n\n".join(filter(None, (f"### {table.title}", "\n".join(lines), table.note)))


def percent(figure: Figure | None) -> Cell:
    """Return a share in percent with its interval."""
    return _cell(figure, "{:.1f}", 100)


def fraction(figure: Figure | None) -> Cell:
    """Return a figure between 0 and 1 with its interval."""
    return _cell(figure, "{:.3f}", 1)


def points(figure: Figure | None) -> Cell:
    """Return a difference of shares in percentage points with its interval."""
    return _cell(figure, "{:+.1f}", 100)


def signed(figure: Figure | None) -> Cell:
    """Return a difference of figures between 0 and 1 with its interval."""
    return _cell(figure, "{:+.3f}", 1)


def chance(p: float | None) -> Cell:
    """Return a p value."""
    return Cell(text=NONE if p is None else "<0.001" if p < 0.001 else f"{p:.3f}")


def interval(figure: Figure, form: str, scale: float) -> str:
    """Return the bounds, with "to" between signed ones; empty where there is no interval."""
    if figure.low is None or figure.high is None:
        return ""
    between = " to " if "+" in form else "\N{EN DASH}"
    return f"{_formed(figure.low, form, scale)}{between}{_formed(figure.high, form, scale)}"


def _cell(figure: Figure | None, form: str, scale: float) -> Cell:
    if figure is None or isnan(figure.value):
        return Cell(text=NONE)
    return Cell(text=_formed(figure.value, form, scale), detail=interval(figure, form, scale))


def _formed(value: float, form: str, scale: float) -> str:
    text = form.format(scale * value)
    return text.replace("-", MINUS) if text.strip("+-0.") else text.lstrip("+-")


def _flat(cell: Cell) -> str:
    return (f"{cell.text} ({cell.detail})" if cell.detail else cell.text).replace("|", "\\|")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
