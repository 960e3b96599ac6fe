"""`marrowline up`, `down` and `status`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import typer
from rich.text import Text

from scheduler.cli import EXIT_FAILED
from scheduler.commands import screen
from scheduler.commands.screen import Json
from scheduler.config import SchedulerSettings
from scheduler.embedded import stack as embedded
from scheduler.embedded.resolve import Stack, resolve
from scheduler.embedded.stack import PartStatus, StackStatus
from scheduler.externals import Unreachable, unreachable
from scheduler.live import Load, bring_up, look

_STYLES = {
    "up": "green", "running": "green", "failed": "red", "orphaned": "red", "down": "dim", "external": "cyan",
    "unreachable": "red",
}  # fmt: skip


def up(as_json: Json = False) -> None:
    """Start database, broker, scheduler and worker, and return when all of them answer.

    Starting twice changes nothing. Everything is kept under MARROWLINE_HOME (default: .marrowline here); servers named
    by MARROWLINE_DATABASE_URL, MARROWLINE_BROKER_URL and MARROWLINE_BUCKET are used instead of our own.
    """
    stack = resolve()
    started = bring_up(stack, screen.hint)
    now = embedded.status(stack)
    if as_json:
        screen.print_json({"started": started, **_document(stack, now, None, ())})
        return
    screen.say(_parts(stack, now, ()))
    screen.say()
    screen.say("The stack is up." if started else "The stack was up already.")
    screen.close()


def down(as_json: Json = False) -> None:
    """Stop worker, scheduler, broker and database, in this order; nothing is lost, nothing is left running."""
    stack = resolve()
    stopped = embedded.stop(stack.home, screen.hint)
    if as_json:
        screen.print_json({"stopped": stopped, "home": str(stack.home.root)})
        return
    screen.say("The stack is down." if stopped else f"Nothing was running under {stack.home.root}.")
    screen.close()


def status(as_json: Json = False) -> None:
    """Show each part with its process, the queue, and how long the oldest slide waits. Exit 1 unless all is up."""
    stack = resolve()
    now, away = embedded.status(stack), unreachable(stack)
    load = look(stack) if now.phase == "up" and not away else None
    healthy = load is not None and all(part.state == "running" and not part.refusal for part in now.parts)
    if as_json:
        screen.print_json(_document(stack, now, load, away))
    else:
        _show(stack, now, load, away)
    if not healthy:
        raise typer.Exit(EXIT_FAILED)


def _show(stack: Stack, now: StackStatus, load: Load | None, away: Sequence[Unreachable]) -> None:
    screen.say(Text.assemble((now.phase, _STYLES.get(now.phase, "yellow")), f"  {stack.home.root}"))
    if now.message:
        screen.say(now.message)
    if now.parts:
        screen.say()
        screen.say(_parts(stack, now, away))
    refused = [f"{part.name} does not start: {part.refusal}" for part in now.parts if part.refusal]
    for sentence in (*refused, *map(str, away)):
        screen.say()
        screen.say(sentence)
    if load is not None:
        screen.say()
        screen.say(screen.facts(load_in_words(load, reports=SchedulerSettings().reports)))
    advice = {
        "down": "start it with `marrowline up`",
        "orphaned": "the supervisor was killed: `marrowline up` cleans up and starts again",
        "failed": f"`marrowline doctor` looks for the cause; logs are in {stack.home.logs}",
    }.get(now.phase, "")
    if now.phase == "up" and load is None and not away:
        advice = f"database or broker does not answer: `marrowline doctor` says why; logs are in {stack.home.logs}"
    if now.other_settings:
        advice = "the stack was started with other MARROWLINE_* settings than yours"
    if advice:
        screen.say()
        screen.say(advice)
    screen.close()


def _parts(stack: Stack, now: StackStatus, away: Sequence[Unreachable]) -> Any:
    made = screen.table("part", "state", "pid", "up for", "restarts", "last end", right=("pid", "restarts"))
    for part in now.parts:
        made.add_row(
            part.name,
            Text(part.state, style=_STYLES.get(part.state, "yellow")),
            str(part.pid or screen.NONE),
            screen.duration(part.uptime_s),
            str(part.restarts),
            part.last_end or screen.NONE,
        )
    for name, ours in (("postgres", stack.own_postgres), ("redis", stack.own_redis), ("bucket", stack.own_bucket)):
        if not ours:
            state = "unreachable" if name in {one.name for one in away} else "external"
            made.add_row(name, Text(state, style=_STYLES[state]), screen.NONE, screen.NONE, screen.NONE, screen.NONE)
    return made


def load_in_words(load: Load, *, reports: bool) -> dict[str, str]:
    """Return what there is to do, as `status` shows it.

    reports: whether any is written into the bucket; what is due while none is waits for nobody.
    """
    written = f"{load.reports_due} to be written, {load.reports_given_up} given up, {load.reports_put} put within 24 h"
    waiting = f"{load.waiting} waiting, {load.reading} being read, {load.done} done, {load.quarantined} quarantined"
    return {
        "slides": waiting,
        "oldest waiting": screen.duration(load.oldest_waiting_s),
        "messages queued": str(load.messages),
        "reports": written if reports else "not written: MARROWLINE_REPORTS is off",
        "live workers": str(load.workers),
        "bucket": load.bucket,
    }


def _document(stack: Stack, now: StackStatus, load: Load | None, away: Sequence[Unreachable]) -> dict[str, Any]:
    external = {"postgres": not stack.own_postgres, "redis": not stack.own_redis, "bucket": not stack.own_bucket}
    return {
        "home": str(stack.home.root),
        "phase": now.phase,
        "message": now.message,
        "parts": [_part(part) for part in now.parts],
        "external": [name for name, given in external.items() if given],
        "unreachable": [asdict(one) for one in away],
        "queue": asdict(load) if load is not None else None,
        "at": datetime.now(UTC),
    }


def _part(part: PartStatus) -> dict[str, Any]:
    return {**asdict(part), "uptime_s": None if part.uptime_s is None else round(part.uptime_s, 1)}
