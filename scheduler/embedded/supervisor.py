"""The process that starts the parts of an embedded stack in order, keeps them running, and stops them in order.

`marrowline up` starts it as a process of its own. It holds the home's lock for as long as it lives.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

import structlog

from scheduler.embedded import processes, servers
from scheduler.embedded.broker_login import make_login
from scheduler.embedded.home import Home, StackError, write_whole
from scheduler.embedded.lock import HeldError
from scheduler.embedded.orphans import SUPERVISOR, living_supervisor, stop_orphans
from scheduler.embedded.parts import Part, trim_log
from scheduler.embedded.resolve import Stack, resolve
from scheduler.embedded.specs import prepare_command, server_specs, worker_specs
from worker.logs import configure_logs

log = structlog.get_logger(__name__)

_TICK_S = 0.1
_TRIM_EVERY_S = 60.0
_LOCK_WAIT_S = 30.0
_SERVER_WAIT_S = 600.0  # the database may have much to recover after a power cut
_MOST_STARTS = 5


class _StopError(Exception):
    """The supervisor was asked to stop."""


class Supervisor:
    """Starts, watches and stops the parts."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._home: Home = stack.home
        self._servers: list[Part] = []
        self._users: list[Part] = []  # of the servers
        self._phase = "starting"
        self._message = ""
        self.stopping = False
        self._me = processes.record(os.getpid(), SUPERVISOR)

    def ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        """Take a signal; the parts are stopped at the next look."""
        del number, frame
        self.stopping = True

    def supervise(self) -> int:
        """Run the stack until a signal asks to stop; return the exit code."""
        failure = ""
        try:
            self._say("starting", "looking for what an earlier stack left")
            stop_orphans(self._home)
            self._home.place_sockets()
            self._start()
            self._say("up", "")
            self._watch()
        except _StopError:
            log.info("asked to stop")
        except StackError as error:
            failure = str(error)
        finally:
            self._stop()
        if failure:
            self._home.clear_sockets()
            self._say("failed", failure)
            return 1
        self._home.clear_run()
        return 0

    def _start(self) -> None:
        if self._stack.own_postgres and not servers.has_cluster(self._home):
            self._say("starting", "making the database cluster")
            servers.initialise_postgres(self._home)
        if self._stack.own_redis:
            make_login(self._home)
        self._servers = [Part(spec) for spec in server_specs(self._stack)]
        for part in self._servers:
            self._say("starting", f"starting {part.spec.name}")
            part.start()
        for part in self._servers:
            self._await(part)
        if self._stack.own_postgres:
            servers.create_database(self._home)
        self._say("starting", "preparing the database")
        self._prepare()
        self._users = [Part(spec) for spec in worker_specs(self._stack)]
        for part in self._users:
            self._say("starting", f"starting {part.spec.name}")
            part.start()

    def _await(self, part: Part) -> None:
        until = time.monotonic() + _SERVER_WAIT_S
        while not (part.running and part.spec.answers()):
            self._tick()
            if part.restarts >= _MOST_STARTS or time.monotonic() > until:
                raise StackError(
                    f"{part.spec.name} does not start ({part.last_end or 'no answer'}): see {part.spec.log}"
                )

    def _prepare(self) -> None:
        path = self._home.logs / "prepare.log"
        with path.open("wb") as output:
            child = subprocess.Popen(
                prepare_command(),
                env=self._stack.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        try:
            while child.poll() is None:
                self._tick()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        if child.returncode:
            lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [f"see {path}"]
            raise StackError(lines[-1])

    def _watch(self) -> None:
        trim_at = time.monotonic() + _TRIM_EVERY_S
        while True:
            self._tick()
            if time.monotonic() > trim_at:
                trim_at = time.monotonic() + _TRIM_EVERY_S
                for path in self._home.logs.glob("*.log"):
                    trim_log(path)

    def _tick(self) -> None:
        """Look after the parts once."""
        time.sleep(_TICK_S)
        if self.stopping:
            raise _StopError
        changed = [part.watch() for part in self._parts]
        if any(changed):
            self._say(self._phase, self._message)

    def _stop(self) -> None:
        """Stop those that use the servers first, together, then the servers, one after the other."""
        for group in (self._users, *([part] for part in reversed(self._servers))):
            self._say("stopping", "")
            for part in group:
                part.ask_to_stop()
            for part in group:
                part.stop()
        stop_orphans(self._home)

    @property
    def _parts(self) -> list[Part]:
        return [*self._servers, *self._users]

    def _say(self, phase: str, message: str) -> None:
        self._phase, self._message = phase, message
        state: dict[str, Any] = {
            "supervisor": self._me.as_json(),
            "settings": self._stack.settings_digest(),
            "phase": phase,
            "message": message,
            "parts": [part.as_json() for part in self._parts],
        }
        write_whole(self._home.state_file, json.dumps(state))
        if message:
            log.info(message, phase=phase)


def main() -> int:
    """Supervise the stack of `MARROWLINE_HOME`; exit 75 when another supervisor holds it."""
    configure_logs()
    stack = resolve()
    supervisor = Supervisor(stack)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, supervisor.ask_to_stop)
    until = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            with stack.home.lock(wait_s=0.5):
                return supervisor.supervise()
        except HeldError:  # by a short command, or by another supervisor that was quicker
            if living_supervisor(stack.home) or supervisor.stopping or time.monotonic() > until:
                log.info("another process holds the home", home=str(stack.home.root))
                return os.EX_TEMPFAIL


if __name__ == "__main__":
    sys.exit(main())
