"""`marrowline doctor`."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from rich.text import Text

from scheduler.checks import machine, servers
from scheduler.checks.names import names
from scheduler.checks.result import Check, Status
from scheduler.cli import EXIT_FAILED
from scheduler.commands import screen
from scheduler.commands.screen import Json
from scheduler.embedded.resolve import Stack, resolve

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}


def doctor(as_json: Json = False) -> None:
    """Check interpreter, packages, model, settings, disk, home and servers. Exit 1 if anything stops the work."""
    done = []
    for check in _checks(resolve()):
        done.append(check)
        if not as_json:
            _show(check)
    good = all(check.status != Status.FAILED for check in done)
    if as_json:
        screen.print_json({"ok": good, "checks": done})
    else:
        screen.say()
        screen.say("Ready." if good else "Not ready: see the fixes above.")
        screen.close()
    if not good:
        raise typer.Exit(EXIT_FAILED)


def _checks(stack: Stack) -> Iterator[Check]:
    yield machine.python_version()
    yield machine.packages()
    yield machine.libraries()
    yield machine.devices(stack)
    yield machine.model()
    yield names()
    yield machine.settings()
    for look in (machine.home, machine.disk, machine.sockets, machine.system_user, machine.leftovers):
        yield look(stack)
    yield machine.memory()
    for look in (servers.postgres, servers.broker, servers.bucket):
        yield look(stack)


def _show(check: Check) -> None:
    line = screen.table("name", "status", "found", wrap=("found",))
    line.show_header = False
    line.columns[0].width, line.columns[1].width = 10, 8
    line.add_row(check.name, Text(check.status, style=_STYLES[check.status]), check.found)
    if check.fix:
        line.add_row("", Text("fix", style="dim"), check.fix)
    screen.say(line)
