"""`marrowline db upgrade/check/roles/verify-audit`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from db import audit, grants, migrate
from db.audit import Head
from db.session import transaction
from scheduler.cli import EXIT_FAILED, NOTICE
from scheduler.commands import screen
from scheduler.commands.screen import Json
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of
from scheduler.prepare import prepare

db = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The database: upgrade, check, roles, verify-audit.", epilog=NOTICE
)


@db.command()
def upgrade(as_json: Json = False) -> None:
    """Bring schema, views and rights up to date, and make sure that a model is active; needs the tables' owner."""
    with engine_of(resolve()) as engine:
        model = prepare(engine)
        with transaction(engine) as conn:
            revision = migrate.current_revision(conn)
    if as_json:
        screen.print_json({"revision": revision, "model": model})
        return
    screen.say(f"The schema is at revision {revision}; slides are read with model {model}.")
    screen.close()


@db.command()
def check(as_json: Json = False) -> None:
    """Compare the database with what this version expects. Exit 1 where they differ."""
    with engine_of(resolve()) as engine:
        differences = migrate.check(engine)
    if as_json:
        screen.print_json({"differences": differences})
    else:
        for difference in differences or ["The database is as this version expects it."]:
            screen.say(difference)
        screen.close()
    if differences:
        raise typer.Exit(EXIT_FAILED)


@db.command()
def roles(as_json: Json = False) -> None:
    """Show the group roles, their members, and how many tables and views each may read and write."""
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        found = grants.roles(conn)
    if as_json:
        screen.print_json(found)
        return
    made = screen.table("role", "for", "reads", "writes", "members", right=("reads", "writes"))
    for role in found:
        members = ", ".join(role.members) or screen.NONE
        made.add_row(role.role, role.purpose, str(role.reads), str(role.writes), members if role.present else "absent")
    screen.say(made)
    screen.say()
    screen.say("A login becomes a member with: GRANT marrowline_report TO analyst;")
    screen.close()


@db.command("verify-audit")
def verify_audit(
    noted: Annotated[
        str | None,
        typer.Option("--head", metavar="SEQ:HASH", help="A head printed earlier, which the chain must still hold."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell which steps, verdicts or corrections were changed behind the program's back. Exit 1 when any was.

    Note the head that is printed somewhere else: only that shows a chain that was written anew as a whole.
    """
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        report = audit.verify(conn, noted=_head(noted))
    head = f"{report.head.seq}:{report.head.hash}" if report.head else None
    if as_json:
        screen.print_json({"faults": report.faults, "head": head})
    else:
        for fault in report.faults or ["The audit is whole."]:
            screen.say(fault)
        screen.say(f"head {head or screen.NONE}")
        screen.close()
    if report.faults:
        raise typer.Exit(EXIT_FAILED)


def _head(noted: str | None) -> Head | None:
    if noted is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,17}:[0-9a-f]{64}", noted):
        raise typer.BadParameter(
            "give it as it was printed: a number, a colon, 64 hexadecimal digits", param_hint="--head"
        )
    seq, _, digest = noted.partition(":")
    return Head(seq=int(seq), hash=digest)
