"""`marrowline models list/add/diff/activate/verify`: which model versions there are, and which slides are read with."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Engine

from db import models as registry
from db import reports
from db.comparison import Difference, difference
from db.session import transaction
from scheduler import model_files, model_list
from scheduler.cli import EXIT_FAILED, NOTICE
from scheduler.commands import model_tables, screen
from scheduler.commands.own_database import database, upgrade_own
from scheduler.commands.screen import Json
from scheduler.config import SchedulerSettings
from scheduler.embedded.resolve import Stack, resolve
from scheduler.live import engine_of
from scheduler.model_checks import Check, Standing, check_files, check_registered
from worker.config import WorkerSettings
from worker.errors import BadRequestError
from worker.nets import cards
from worker.verdict import decide

models = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Model versions: list, add, compare, activate, verify.",
    epilog=NOTICE,
)  # fmt: skip
Name = Annotated[str, typer.Argument(metavar="NAME", help="A registered model version.")]
Before = Annotated[str, typer.Argument(metavar="A", help="A registered model version, as the one in use.")]
After = Annotated[str, typer.Argument(metavar="B", help="The one that may take its place.")]


@models.command("list", epilog=NOTICE)
def list_models(as_json: Json = False) -> None:
    """Show the model versions that are registered or installed: figures, terms, and which one is active."""
    stack = resolve()
    with database(stack) as engine:
        known = [] if engine is None else _known(engine)
    rows = model_list.rows(known, stack.models_dir)
    if as_json:
        screen.print_json(rows)
        return
    model_tables.show_models(rows)
    screen.close()


@models.command(epilog=NOTICE)
def add(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="An installed NAME, or path or s3://… of a card or its weights.")
    ],
    read: Annotated[
        bool, typer.Option("--read", help="Read the archive with it, beside the model that reports go on showing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy a model to the others, register it, and have it read the archive when asked to.

    Nothing is copied or registered unless the weights are those of the card, and the name stands for nothing else.
    """
    stack = resolve()
    with ExitStack() as stays:
        engine = stays.enter_context(database(stack))
        if read and engine is None:
            raise BadRequestError("there are no slides to read yet: leave --read out")
        name, copied = _taken_in(engine, source, stack)
        with_card = cards.find(name, stack.models_dir).card
        asked = _read_archive(engine, name) if engine is not None and read else 0
    if as_json:
        document = {"name": name, "weights_sha256": with_card.weights_sha256, "copied_to": copied}
        screen.print_json(document | {"registered": engine is not None, "slides_to_read": asked})
        return
    model_tables.show_added(with_card, copied, registered=engine is not None)
    if read:
        screen.say(f"Slides asked for: {asked}. `marrowline models diff` says what it would change.")
    screen.close()


@models.command(epilog=NOTICE)
def diff(before: Before, after: After, as_json: Json = False) -> None:
    """Show the patients whose finding is another under B than under A, and what each still has to read."""
    with engine_of(resolve()) as engine:
        found = difference(engine, before, after, decide)
    if as_json:
        screen.print_json(_document(found))
        return
    model_tables.show_difference(found)
    screen.close()


@models.command(epilog=NOTICE)
def activate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An installed model version.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Even if it has not read the whole archive.")] = False,
    as_json: Json = False,
) -> None:
    """Read slides with this version from now on, after showing whose finding that changes.

    Refused when its weights are altered or are not those registered, and when it has not read the archive yet.
    """
    stack = resolve()
    if as_json and not yes:
        raise BadRequestError("--json does not ask: give --yes too")
    with engine_of(stack) as engine:
        upgrade_own(stack, engine)
        _register(engine, name, stack.models_dir)
        with transaction(engine) as conn:
            active = registry.active_model(conn)
        found = None
        if active is not None and active[1].name != name:
            found = difference(engine, active[1].name, name, decide)
            if not as_json:
                model_tables.show_difference(found)
            _refuse_unread(found, anyway=anyway)
            _ask(name, yes=yes)
        with transaction(engine) as conn:
            registry.activate(conn, name, decide)
    _warn_of_setting(name)
    if as_json:
        screen.print_json({"active": name, "difference": None if found is None else _document(found)})
        return
    screen.say(f"Slides are read with {name} now.")
    screen.close()


@models.command(epilog=NOTICE)
def verify(as_json: Json = False) -> None:
    """Compare weight files with their cards, and registered versions with what is installed. Exit 1 on a difference."""
    stack = resolve()
    checks = check_files(stack.models_dir)
    with database(stack) as engine:
        if engine is not None:
            checks += _registered_checks(engine, stack.models_dir)
    if as_json:
        screen.print_json(checks)
    else:
        model_tables.show_checks(checks)
        screen.close()
    if any(check.standing is Standing.DIFFERS for check in checks):
        raise typer.Exit(EXIT_FAILED)


def _known(engine: Engine) -> list[reports.ModelVersionReport]:
    with transaction(engine) as conn:
        return reports.model_versions(conn)


def _taken_in(engine: Engine | None, source: str, stack: Stack) -> tuple[str, Path | None]:
    """Install and register what `source` names; return its name and where it was copied to."""
    if not model_files.is_file(source):
        cards.describe(source, stack.models_dir)
        if engine is not None:
            _register(engine, source, stack.models_dir, restate=True)
        return source, None
    if not stack.own_postgres and "models_dir" not in WorkerSettings().model_fields_set:
        raise BadRequestError("set MARROWLINE_MODELS_DIR to the folder of models that scheduler and workers share")
    with model_files.opened(source, stack.models_dir) as (folder, name):
        model = model_files.verified(folder, name, stack.models_dir)
        if engine is None:
            return name, model_files.install(model, stack.models_dir)
        with transaction(engine) as conn:  # a name that the database knows for something else is not installed
            registry.register_model(conn, model.version, model_files.document_of(model.card), restate=True)
            return name, model_files.install(model, stack.models_dir)


def _register(engine: Engine, name: str, models_dir: Path, *, restate: bool = False) -> None:
    version, card = cards.describe(name, models_dir), cards.find(name, models_dir).card
    with transaction(engine) as conn:
        registry.register_model(conn, version, model_files.document_of(card), restate=restate)


def _read_archive(engine: Engine, name: str) -> int:
    with transaction(engine) as conn:
        return registry.read_archive(conn, name)


def _refuse_unread(found: Difference, *, anyway: bool) -> None:
    if found.reach_after.to_read and not anyway:
        raise BadRequestError(
            f"{found.after} has still to read {found.reach_after.to_read} of {found.reach_after.slides} slides: have "
            f"them read with `marrowline models add {found.after} --read`, or give --anyway"
        )


def _ask(name: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadRequestError("nobody can be asked here: give --yes")
    typer.confirm(f"Read slides with {name} from now on?", abort=True)


def _warn_of_setting(name: str) -> None:
    settings = SchedulerSettings()
    if "model" in settings.model_fields_set and settings.model != name:
        screen.hint(f"MARROWLINE_MODEL is {settings.model}: the next start goes back to it; unset it")


def _document(found: Difference) -> dict[str, Any]:
    document = asdict(found)
    document["reach_before"]["to_read"] = found.reach_before.to_read
    document["reach_after"]["to_read"] = found.reach_after.to_read
    return document


def _registered_checks(engine: Engine, models_dir: Path) -> list[Check]:
    with transaction(engine) as conn:
        needed = {one.model_version for one in reports.model_versions(conn) if one.active or one.slides_queued}
        return check_registered(registry.registered(conn), needed, models_dir)
