"""`marrowline rules list/use`: what a finding rests on, and which lab's patients are judged by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text
from sqlalchemy import Connection

from db import labs, reports
from db.reports import PatientReport
from db.session import transaction
from scheduler.cli import NOTICE
from scheduler.commands import screen
from scheduler.commands.own_database import database
from scheduler.commands.patient_table import finding_words
from scheduler.commands.screen import Json
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of
from worker.errors import BadRequestError
from worker.rules import DEFAULT_RULE, RULES, RuleSet
from worker.verdict import decide

rules = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Rule sets: list them, or judge a lab's patients by another.",
    epilog=NOTICE,
)  # fmt: skip


@rules.command("list")
def list_rules(as_json: Json = False) -> None:
    """Show every rule set with its thresholds, sources and limits, and the labs that use it."""
    with database(resolve()) as engine:
        used: Mapping[str, str] = {}
        if engine is not None:
            with transaction(engine) as conn:
                used = labs.rules(conn)
    rows = [_row(rule, used) for rule in RULES.values()]
    if as_json:
        screen.print_json(rows)
        return
    for row in rows:
        _show(row)
    screen.close()


@rules.command()
def use(
    lab: Annotated[str, typer.Argument(metavar="LAB", help="The lab's code.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="A rule set of `rules list`.")],
    as_json: Json = False,
) -> None:
    """Judge all of a lab's patients by this rule set from now on; earlier verdicts stay in the history.

    No slide is read again: a reading that stopped early under a rule with looks stays as short as it is.
    """
    if name not in RULES:
        raise BadRequestError(f"no rule set {name!r}: give one of {', '.join(RULES)}")
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        before = _findings(conn, lab)
        labs.change_rule(conn, lab, name, decide)
        after = _findings(conn, lab)
    changed = [
        {"patient": patient, "before": before[patient].finding, "after": now.finding, "reason": now.reason}
        for patient, now in after.items()
        if patient in before and now.finding != before[patient].finding  # others came meanwhile
    ]
    if as_json:
        screen.print_json({"lab": lab, "rule": name, "patients": len(after), "changed": changed})
        return
    screen.say(f"{lab} uses {name}; {len(after):,} patients judged, {len(changed):,} with another finding.")
    for one in changed:
        screen.say(Text.assemble((one["patient"], "bold"), ": ", _words(one)))
    screen.close()


def _findings(conn: Connection, lab: str) -> dict[str, PatientReport]:
    return {one.patient: one for one in reports.patients(conn, lab=lab)}


def _words(changed: Mapping[str, str]) -> str:
    return f"{finding_words(changed['before'])} → {finding_words(changed['after'])}, {changed['reason']}"


_REACHED = {True: "stands where only abstained cells leave the other open", False: "waits until the other is clear"}


def _row(rule: RuleSet, used: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": rule.name,
        "dated": rule.dated.isoformat(),
        "default": rule.name == DEFAULT_RULE,
        "criteria": [asdict(one) for one in rule.criteria],
        "min_cells": dict(rule.min_cells),
        "confidence": rule.confidence,
        "looks": list(rule.looks),
        "widened": rule.widened,
        "least_marrow_index": rule.least_marrow_index,
        "reached_stands": rule.reached_stands,
        "labs": [code for code, name in used.items() if name == rule.name],
    }


def _show(row: Mapping[str, Any]) -> None:
    default = " (new labs)" if row["default"] else ""
    screen.say(Text.assemble((row["name"], "bold"), f", dated {row['dated']}{default}"))
    limits = [f"{one['disease']}: {_limit(one)} in {one['specimen']}" for one in row["criteria"]]
    asked = [f"{cells} in {specimen}" for specimen, cells in row["min_cells"].items() if specimen != "unknown"]
    index = row["least_marrow_index"]
    pairs = {
        "consistent with": "; ".join(limits),
        "cells, at least": ", ".join(asked),
        "uneven classes": "wider interval" if row["widened"] else "not asked",
        "marrow index": f"below {index:g} no myeloma is excluded" if index is not None else "not asked",
        "one reached": _REACHED[row["reached_stands"]],
        "may stop at": ", ".join(f"{at:,}" for at in row["looks"]) or "nothing: all is read",
        "used by": ", ".join(row["labs"]) or screen.NONE,
    }
    screen.say(Padding(screen.facts(pairs), (0, 0, 1, 2)))


def _limit(criterion: Mapping[str, Any]) -> str:
    return f"{criterion['cell_class'].replace('_', ' ')}s {100 * criterion['threshold']:g} %"
