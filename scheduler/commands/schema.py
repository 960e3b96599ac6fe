"""`marrowline db upgrade/check/roles`."""

from __future__ import annotations

import typer

from db import grants, migrate
from db.session import transaction
from scheduler.cli import EXIT_FAILED, NOTICE
from scheduler.commands import screen
from scheduler.commands.screen import Json
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of
from scheduler.prepare import prepare

db = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The database schema: upgrade, check, roles.", epilog=NOTICE
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
