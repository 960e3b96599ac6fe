"""Start, stop and look at the embedded stack of one machine."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scheduler.embedded import processes, servers
from scheduler.embedded.home import Home, StackError
from scheduler.embedded.lock import HeldError
from scheduler.embedded.orphans import living_supervisor, orphans, stop_orphans
from scheduler.embedded.parts import STEADY_AFTER_S, Part
from scheduler.embedded.resolve import Stack
from scheduler.embedded.specs import server_specs, supervisor_command

_POLL_S = 0.05
_STOP_WAIT_S = 200.0
_LOCK_WAIT_S = 60.0
_ANSWER_WAIT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """One part as it is now."""

    name: str
    state: str  # running | restarting | stopped
    pid: int | None
    uptime_s: float | None
    restarts: int
    last_end: str
    refusal: str  # why it does not stay up, where it said so itself; empty once it does
    log: str


@dataclass(frozen=True, kw_only=True)
class StackStatus:
    """The whole stack as it is now."""

    phase: str  # down | starting | up | stopping | failed | orphaned
    message: str
    parts: tuple[PartStatus, ...]
    other_settings: bool  # the stack was started with settings that differ from the caller's


def start(stack: Stack, report: Callable[[str], None]) -> bool:
    """Start the stack unless it is up, and return once its parts run; tell whether it had to be started.

    `report` gets what is being done. Raises StackError with the cause when it does not come up.
    """
    home = stack.home
    home.create()
    child: subprocess.Popen[bytes] | None = None
    told = ""
    while True:
        state = home.read_state() or {}
        alive = living_supervisor(home) is not None
        if alive and state["phase"] == "up":
            return child is not None
        if not alive:
            child = child or _spawn_supervisor(stack)
            _raise_if_ended(stack, child, state)
        if alive and state["phase"] == "starting" and state["message"] != told:
            told = state["message"]
            report(told)
        time.sleep(_POLL_S)


def stop(home: Home, report: Callable[[str], None]) -> bool:
    """Stop all parts in order, also those whose supervisor was killed; tell whether anything ran."""
    if not home.exists:
        return False
    supervisor = living_supervisor(home)
    if supervisor is not None:
        report("stopping the parts")
        processes.stop([supervisor], first=signal.SIGTERM, wait_s=_STOP_WAIT_S)
    try:
        with home.lock(wait_s=_LOCK_WAIT_S):
            left = stop_orphans(home)
            home.clear_run()
    except HeldError as error:
        raise StackError(f"another command is using {home.root}: try again in a moment") from error
    return supervisor is not None or left > 0


def status(stack: Stack) -> StackStatus:
    """Return what runs; it starts nothing and asks no server."""
    home = stack.home
    state = home.read_state() if home.exists else None
    alive = state is not None and living_supervisor(home) is not None
    if state is None or not (alive or state["phase"] == "failed" or orphans(home)):
        return StackStatus(phase="down", message="", parts=(), other_settings=False)
    phase = state["phase"] if alive or state["phase"] == "failed" else "orphaned"
    return StackStatus(
        phase=phase,
        message=state["message"],
        parts=tuple(_part(stored, alive=alive) for stored in state["parts"]),
        other_settings=alive and state["settings"] != stack.settings_digest(),
    )


@contextmanager
def database(stack: Stack) -> Iterator[str]:
    """Yield the database's address; an embedded server that is down is started for the block and stopped after it.

    Raises StackError when there is no data yet, or when the server does not answer.
    """
    if not stack.own_postgres:
        yield stack.database_url
        return
    home = stack.home
    if not servers.has_cluster(home):
        raise StackError(
            f"there is no data under {home.root} yet: read slides with `marrowline run`, or set MARROWLINE_HOME"
        )
    home.create()
    if _reached(home):
        yield stack.database_url
        return
    if living_supervisor(home) is not None:
        raise StackError(f"the database has not answered for {_ANSWER_WAIT_S:.0f} s: see {home.logs / 'postgres.log'}")
    try:
        with home.lock(wait_s=_LOCK_WAIT_S):
            yield from _lent(stack)
    except HeldError as error:
        raise StackError(f"another command is using {home.root}: try again in a moment") from error


def _lent(stack: Stack) -> Iterator[str]:
    stack.home.place_sockets()
    spec = next(spec for spec in server_specs(stack) if spec.name == "postgres")
    part = Part(spec)
    part.start()
    try:
        until = time.monotonic() + _ANSWER_WAIT_S
        while not (part.running and servers.postgres_answers(stack.home)):
            part.watch()
            if part.restarts > 2 or time.monotonic() > until:
                raise StackError(f"the database does not start ({part.last_end or 'no answer'}): see {spec.log}")
            time.sleep(_POLL_S)
        yield stack.database_url
    finally:
        part.ask_to_stop()
        part.stop()
        stack.home.clear_sockets()


def _reached(home: Home) -> bool:
    """Tell whether the server answers; while a supervisor lives it is waited for."""
    until = time.monotonic() + _ANSWER_WAIT_S
    while not servers.postgres_answers(home):
        if living_supervisor(home) is None or time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True


def _spawn_supervisor(stack: Stack) -> subprocess.Popen[bytes]:
    log = stack.home.logs / "supervisor.log"
    environment = stack.environment()
    for own, name in (
        (stack.own_postgres, "MARROWLINE_DATABASE_URL"),
        (stack.own_redis, "MARROWLINE_BROKER_URL"),
        (stack.own_bucket, "MARROWLINE_BUCKET"),
    ):
        if own:
            del environment[name]
    with log.open("ab") as output:
        return subprocess.Popen(
            supervisor_command(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )


def _raise_if_ended(stack: Stack, child: subprocess.Popen[bytes], state: dict[str, Any]) -> None:
    if child.poll() is None:
        return
    if state.get("supervisor", {}).get("pid") == child.pid and state["phase"] == "failed":
        raise StackError(state["message"])
    raise StackError(f"the supervisor ended: see {stack.home.logs / 'supervisor.log'}")


def _part(stored: dict[str, Any], *, alive: bool) -> PartStatus:
    known = processes.from_json(stored["process"]) if stored["process"] else None
    process = processes.find(known) if known else None
    uptime_s = time.time() - known.started_at if known and process else None
    return PartStatus(
        name=stored["name"],
        state="running" if process else "restarting" if alive else "stopped",
        pid=process.pid if process else None,
        uptime_s=uptime_s,
        restarts=stored["restarts"],
        last_end=stored["last_end"],
        refusal="" if (uptime_s or 0) > STEADY_AFTER_S else stored.get("refusal", ""),
        log=stored["log"],
    )
