"""What `marrowline models` shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.padding import Padding
from rich.text import Text

from db.comparison import Difference, Judged
from db.models import Reach
from scheduler.commands import screen
from scheduler.commands.patient_table import finding_words
from scheduler.model_checks import Check, Standing
from scheduler.model_list import ModelRow
from worker.nets.cards import Card

_STYLES = {Standing.OK: "green", Standing.DIFFERS: "bold red", Standing.ABSENT: "yellow"}


def show_models(listed: Sequence[ModelRow]) -> None:
    """Print the versions, then the figures and terms of each."""
    made = screen.table("model", "created", "weights", "slides", "read", "to read", "patients",
                        right=("read", "to read", "patients"))  # fmt: skip
    for row in listed:
        made.add_row(
            Text(row.name, style="bold" if row.active else ""),
            row.created or screen.NONE,
            (row.weights_sha256 or screen.NONE)[:12],
            Text(_standing(row), style="green" if row.active else ""),
            f"{row.slides_read:,}",
            f"{row.slides_queued:,}",
            f"{row.patients_shown:,}",
        )
    screen.say(made if listed else "No models.")
    screen.say()
    for row in listed:
        screen.say(Text(row.name, style="bold"))
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in row.headline.items())
        pairs = {
            "figures": figures or screen.NONE,
            "installed": row.fault or row.installed or "not on this machine",
            "terms": row.terms or screen.NONE,
        }
        screen.say(Padding(screen.facts(pairs), (0, 0, 1, 2)))


def show_added(card: Card, copied: Path | None, *, registered: bool) -> None:
    """Print what was taken in, with what it may not be used for."""
    screen.say(f"{card.name}: SHA-256 {card.weights_sha256} as its card says.")
    screen.say(f"Copied to {copied}." if copied else "Installed already.")
    screen.say("Registered." if registered else "There is no database yet: it is registered when it is activated.")
    screen.say(Padding(screen.facts({"limits": card.limits or "-", "terms": card.terms or "-"}), (1, 0, 1, 2)))


def show_difference(found: Difference) -> None:
    """Print each finding that flips with both verdicts, then how far the comparison reaches."""
    made = screen.table("patient", found.before, found.after, "cells", right=("cells",))
    for flip in found.flips:
        made.add_row(
            f"{flip.lab}/{flip.patient}",
            finding_words(flip.before.finding),
            Text(finding_words(flip.after.finding), style="bold yellow"),
            f"{flip.before.cells:,} → {flip.after.cells:,}",
        )
    if found.flips:
        screen.say(made)
        screen.say()
    for flip in found.flips:
        screen.say(Text(f"{flip.lab}/{flip.patient}", style="bold"))
        screen.say(Padding(screen.facts({one.model_version: _reason(one) for one in (flip.before, flip.after)}),
                           (0, 0, 1, 2)))  # fmt: skip
    screen.say(f"{len(found.flips)} of {found.compared} patients compared have another finding with {found.after}.")
    if found.waiting:
        screen.say(f"{found.waiting} patients are not compared yet: a slide of theirs is still to be read.")
    for name, reach in ((found.before, found.reach_before), (found.after, found.reach_after)):
        screen.say(_reach(name, reach))


def show_checks(checks: Iterable[Check]) -> None:
    """Print what was looked at and how it stands."""
    made = screen.table("what", "name", "stands", "", wrap=("",))
    for check in checks:
        made.add_row(check.what, check.name, Text(check.standing, style=_STYLES[check.standing]), check.said)
    screen.say(made)


def _standing(row: ModelRow) -> str:
    if row.active:
        return "read with it"
    return "registered" if row.registered_at else "installed only"


def _reason(judged: Judged) -> str:
    return f"{finding_words(judged.finding)}: {judged.reason}"


def _reach(name: str, reach: Reach) -> str:
    said = f"{name} has read {reach.read} of {reach.slides} slides, has still to read {reach.to_read}"
    said += f", could not read {reach.unreadable}" if reach.unreadable else ""
    if reach.unasked:
        said += f"; nobody asked for {reach.unasked} of them: `marrowline models add {name} --read`"
    return f"{said}."
