"""The `marrowline` command: names and one-line help only; a command's module is loaded when the command is called.

Commands that need pixels or torch are other packages' entry points in the group `marrowline.commands`.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import typer
from pydantic_core import ValidationError
from typer.core import TyperCommand, TyperGroup

from db.errors import DatabaseError
from scheduler.packages import install
from worker.errors import BadRequestError, MarrowlineError

GROUP = "marrowline.commands"
NOTICE = "research use only, not for diagnostic procedures"
EXIT_FAILED, EXIT_USAGE, EXIT_QUARANTINED = 1, 2, 3
_LINE, _STACK, _RESULTS, _TROUBLE, _PARTS = "Slides", "The stack", "Results", "Trouble", "Single parts"
_OWN = {
    "demo": (_LINE, "demo:demo", "Read drawn smears of three patients, compare with the truth."),
    "run": (_LINE, "run:run", "Read one patient's slides and wait for the finding."),
    "submit": (_LINE, "submit:submit", "Upload slides with their sidecars; do not wait."),
    "up": (_STACK, "stack:up", "Start database, broker, scheduler and worker."),
    "down": (_STACK, "stack:down", "Stop them all."),
    "status": (_STACK, "stack:status", "What runs, what waits, and for how long."),
    "doctor": (_STACK, "doctor:doctor", "Check this machine, and say how to fix what is wrong."),
    "patients": (_RESULTS, "tables:patients", "Findings, with shares, intervals and reasons."),
    "slides": (_RESULTS, "tables:slides", "Where each slide stands."),
    "runs": (_RESULTS, "tables:runs", "Each reading of a slide by a model version."),
    "cells": (_RESULTS, "tables:cells", "The cells of one patient with their calls."),
    "report": (_RESULTS, "report:report", "A patient's report, and its cells for other programs."),
    "verify": (_RESULTS, "verify:verify", "Prove a finding from its slides up, with a signed certificate."),
    "corrections": (_RESULTS, "corrections:corrections", "What persons say of cells: import, list, export."),
    "agreement": (_RESULTS, "agreement:agreement", "How far the model and persons agree: kappa, confusions."),
    "sql": (_RESULTS, "sql:sql", "A read-only query on the report views."),
    "cancel": (_TROUBLE, "cancel:cancel", "Withdraw slides, or all of a patient's, with the reason."),
    "retry": (_TROUBLE, "trouble:retry", "Read a slide again that was quarantined or cancelled."),
    "quarantine": (_TROUBLE, "trouble:quarantine", "What could not be read, why, and what to do."),
    "models": (_PARTS, "models:models", "Model versions: list, add, compare, activate, verify."),
    "rules": (_PARTS, "rules:rules", "Rule sets: what a finding rests on, and which lab uses which."),
    "scheduler": (_PARTS, "parts:scheduler", "The process that lists the bucket and rings the workers."),
    "webhook": (_PARTS, "webhook:webhook", "The process that bucket servers push their events to."),
    "db": (_PARTS, "schema:db", "The database: upgrade, check, roles, verify-audit."),
}
"""Name: panel of the help, module and attribute below scheduler.commands, one line of help."""
_FOREIGN_HELP = {
    "areas": "Draw where cells would be counted on slides and fields, and why not elsewhere.",
    "bench": "Speed, beside its limit and its alternatives, in one run.",
    "classify": "Call the cell in each picture of one cell, as a table.",
    "evaluate": "Compare networks on data sets, each under the paper's protocol and by group.",
    "predict": "Tell for single fields whether they show signs of ALL or MM, by which cells and rules.",
    "segment": "Find the nucleated cells of pictures and write them as label masks.",
    "train": "Make weights, with the cards that say what they are.",
    "worker": "The process that reads slides; one for each device.",
}


class CommandGroup(TyperGroup):
    """Our own commands and those found by entry point; both appear in the help without being loaded."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return our own commands, then the others by name."""
        return [*super().list_commands(ctx), *sorted(entry_points(group=GROUP).names)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return what the help shows of a command."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in entry_points(group=GROUP).names:
            return own
        return _shown(cmd_name, _PARTS, _FOREIGN_HELP.get(cmd_name, "See its own --help."))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the command that is called."""
        name, found, rest = super().resolve_command(ctx, args)
        logs = import_module("worker.logs")
        logs.configure_logs(logging.WARNING)  # on stderr; the long-running commands say more
        return name, _loaded(name) if name else found, rest


def _shown(name: str, panel: str, text: str) -> TyperCommand:
    return TyperCommand(name=name, help=text, rich_help_panel=panel)


def _loaded(name: str) -> Any:
    target = _imported(name)
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    one.command(name, epilog=NOTICE)(target)
    return typer.main.get_command(one)


def _imported(name: str) -> Any:
    """Return the command's function; raises BadRequestError when it needs packages that are not installed."""
    try:
        if name not in _OWN:
            (point,) = entry_points(group=GROUP, name=name)
            return point.load()
        module, attribute = _OWN[name][1].split(":")
        return getattr(import_module(f"scheduler.commands.{module}"), attribute)
    except ModuleNotFoundError as error:
        if not _of_others(error):
            raise
        raise BadRequestError(
            f"`marrowline {name}` needs {error.name}, which is not installed: {install('worker', 'embedded')}"
        ) from error


def _of_others(error: ModuleNotFoundError) -> bool:
    """Whether a package is missing, and not a module of ours, which would be a bug."""
    return error.name is not None and error.name.split(".")[0] not in ("db", "scheduler", "worker")


def make_group() -> CommandGroup:
    """Return the command with all its subcommands."""
    return CommandGroup(
        name="marrowline",
        help="Reads blood and marrow smears in bulk: slides in a bucket, cells and findings in Postgres.",
        epilog=f"Exit codes: 0 done, 1 failed, 2 usage, 3 finished but some slides are quarantined. {NOTICE}.",
        commands={name: _shown(name, panel, text) for name, (panel, _, text) in _OWN.items()},
        no_args_is_help=True,
    )


def main() -> None:
    """Run the command and exit with its code."""
    try:
        make_group().main(prog_name="marrowline")
    except BadRequestError as error:
        print(f"marrowline: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except ValidationError as error:
        if not error.title.endswith("Settings"):
            raise
        print(f"marrowline: {_faults(error)}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except (MarrowlineError, DatabaseError) as error:
        print(f"marrowline: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except OSError as error:
        if not _is_of_the_home(error):
            raise
        print(
            f"marrowline: cannot use {error.filename}: {error.strerror}; "
            "set MARROWLINE_HOME to a folder of yours, or give this user the right to it",
            file=sys.stderr,
        )
        sys.exit(EXIT_FAILED)
    except ModuleNotFoundError as error:  # what only some commands need is imported when they begin their work
        if not _of_others(error):
            raise
        package = (error.name or "").split(".")[0]
        print(f"marrowline: {package} is not installed: {install('worker', 'train')}", file=sys.stderr)
        sys.exit(EXIT_FAILED)


def _is_of_the_home(error: OSError) -> bool:
    """Whether it was a file of the embedded stack that this user may not use."""
    home = Path(import_module("scheduler.config").HomeSettings().home).expanduser().absolute()
    return isinstance(error.filename, str) and Path(error.filename).absolute().is_relative_to(home)


def _faults(error: ValidationError) -> str:
    """Return which variables are wrong and how; without their values, as some are secrets."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = [(str(one["loc"][0]).upper(), one["msg"].removeprefix("Value error, ")) for one in faults]
    return "; ".join(f"MARROWLINE_{name}: {why}" for name, why in told)


if __name__ == "__main__":
    main()
