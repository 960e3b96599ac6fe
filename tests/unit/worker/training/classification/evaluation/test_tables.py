from __future__ import annotations

import pytest

from worker.training.classification.evaluation.intervals import Figure
from worker.training.classification.evaluation.tables import (
    NONE,
    Cell,
    Row,
    Table,
    chance,
    fraction,
    percent,
    points,
    signed,
    to_markdown,
)

_FIGURE = Figure(value=0.98765, low=0.95, high=1.0)


def test_shares_are_in_percent_and_areas_are_not() -> None:
    assert percent(_FIGURE) == Cell(text="98.8", detail="95.0\N{EN DASH}100.0")
    assert fraction(_FIGURE) == Cell(text="0.988", detail="0.950\N{EN DASH}1.000")


def test_differences_carry_their_sign_and_zero_has_none() -> None:
    assert points(Figure(value=0.031, low=-0.002, high=0.064)) == Cell(text="+3.1", detail="\N{MINUS SIGN}0.2 to +6.4")
    assert signed(Figure(value=-0.00001)).text == "0.000"


@pytest.mark.parametrize("figure", [None, Figure(value=float("nan"))])
def test_a_figure_that_cannot_be_had_is_a_dash(figure: Figure | None) -> None:
    assert percent(figure) == Cell(text=NONE)


def test_small_chances_are_bounds() -> None:
    assert [chance(p).text for p in (0.0004, 0.0312, 1.0, None)] == ["<0.001", "0.031", "1.000", NONE]


def test_markdown_has_a_line_for_each_row_and_names_the_group_of_a_column() -> None:
    table = Table(
        key="k",
        title="Title",
        stub="system",
        columns=(("", "n"), ("accuracy", "paper"), ("accuracy", "grouped")),
        rows=(Row(name=Cell(text="a|b", detail="c"), cells=(Cell(text="1"), Cell(text="2"), Cell(text="3"))),),
        note="Note.",
    )
    assert to_markdown(table).splitlines() == [
        "### Title",
        "",
        "| system | n | accuracy, paper | accuracy, grouped |",
        "| --- | --- | --- | --- |",
        "| a\\|b (c) | 1 | 2 | 3 |",
        "",
        "Note.",
    ]
    assert table.groups == [("", 1), ("accuracy", 2)]
