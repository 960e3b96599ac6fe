"""`marrowline agreement`: how far the model and the persons who looked at its cells agree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

import typer
from rich.text import Text

from db import agreement as views
from db.agreement import AgreementReport, ConfusionReport
from db.session import transaction
from scheduler.commands import screen
from scheduler.commands.empty import why_empty
from scheduler.commands.screen import Json
from scheduler.commands.tables import Lab
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of

EVERYBODY = "all"


def agreement(
    lab: Lab = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Only this person's words.")] = None,
    as_json: Json = False,
) -> None:
    """Show Cohen's kappa with its 95 % interval, per laboratory, person and class, and what was confused."""
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        rows = views.agreement(conn, lab=lab, made_by=by)
        pairs = views.confusions(conn, lab=lab, made_by=by)
        nothing = why_empty(conn, rows, _nobody(by), lab=lab)
    if as_json:
        screen.print_listed({"agreement": rows, "confusions": pairs}, nothing)
        return
    for (of_lab, model), group in groupby(rows, key=lambda row: (row.lab, row.model_version)):
        screen.say(Text(f"{of_lab}, model {model}", style="bold"))
        members = list(group)
        _show_kappas(_distinct(members))
        _show_confusions([one for one in pairs if (one.lab, one.model_version) == (of_lab, model)], by)
        _warn(members)
    if nothing:
        screen.say(nothing)
    screen.close()


def _nobody(by: str | None) -> str:
    named = "" if by is None else f" under the name {by}"
    return f"Nobody has judged a cell that was called{named}: `marrowline corrections import`."


def _distinct(rows: Sequence[AgreementReport]) -> list[AgreementReport]:
    """Leave out the rows over all persons where there is one person: they say the same."""
    persons = {row.made_by for row in rows} - {None}
    return [row for row in rows if row.made_by is not None or len(persons) != 1]


def _show_kappas(rows: Sequence[AgreementReport]) -> None:
    numbers = ("cells", "agreed", "model", "person", "kappa", "95 % interval", "abstained")
    made = screen.table("by", "class", *numbers, right=numbers)
    for row in rows:
        made.add_row(
            row.made_by or EVERYBODY,
            row.cell_class or Text("all classes", style="bold"),
            f"{row.cells:,}",
            f"{row.agreed:,}",
            screen.cell(row.by_model),
            screen.cell(row.by_person),
            screen.NONE if row.kappa is None else _hundredths(row.kappa),
            _interval(row),
            f"{row.abstained:,}",
        )
    screen.say(made)
    screen.say()


def _interval(row: AgreementReport) -> str:
    if row.ci_low is None or row.ci_high is None:
        return screen.NONE
    return f"{_hundredths(row.ci_low)} to {_hundredths(row.ci_high)}"


def _hundredths(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # without the sign of a zero


def _show_confusions(pairs: Sequence[ConfusionReport], by: str | None) -> None:
    """Show what was called otherwise than given, the most frequent first."""
    wrong = [one for one in pairs if one.made_by == by and one.called != one.given]
    if not wrong:
        return
    made = screen.table("called", "given", "cells", right=("cells",))
    for one in sorted(wrong, key=lambda one: (-one.cells, one.called, one.given)):
        made.add_row(one.called, one.given, f"{one.cells:,}")
    screen.say(made)
    screen.say()


def _warn(rows: Sequence[AgreementReport]) -> None:
    """Say so where only changes were recorded, which no kappa can be read from."""
    persons = [row for row in rows if row.cell_class is None and row.made_by is not None]
    if only := sorted(str(row.made_by) for row in persons if not row.agreed):
        screen.say(f"Only changed, never confirmed by {', '.join(only)}: a kappa of that says nothing.")
        screen.say("See `marrowline corrections import --reviewed`.")
        screen.say()
