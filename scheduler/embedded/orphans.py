"""What a killed supervisor leaves running, and how it is stopped."""

from __future__ import annotations

import contextlib
import signal

import psutil

from scheduler.embedded import processes
from scheduler.embedded.home import Home

SUPERVISOR = "scheduler.embedded.supervisor"
"""The module that is run as the supervisor."""
_WORKER_WAIT_S = 30.0
_SERVER_WAIT_S = 60.0


def orphans(home: Home) -> list[psutil.Process]:
    """Return the processes of this home's stack, servers last, without the caller and without supervisors.

    A supervisor does its work under the home's lock; one that lives beside it only waits for its turn, and leaves.
    """
    if not home.exists:
        return []
    found = {process.pid: process for process in [*_recorded(home), *processes.marked(home.stack_id)]}
    found = {pid: process for pid, process in found.items() if not _is_supervisor(process)}
    for process in [*processes.serving("redis-server", home.redis), *processes.serving("postgres", home.postgres)]:
        found.pop(process.pid, None)
        found[process.pid] = process
    return list(found.values())


def stop_orphans(home: Home) -> int:
    """Stop what is left of this home's stack in the right order; return how many processes it was.

    To be called under the home's lock.
    """
    left = orphans(home)
    if not left:
        return 0
    postgres = processes.serving("postgres", home.postgres)
    redis = processes.serving("redis-server", home.redis)
    of_servers = {process.pid for process in [*postgres, *redis]}
    users = [process for process in left if process.pid not in of_servers]
    processes.stop(users, first=signal.SIGTERM, wait_s=_WORKER_WAIT_S)
    processes.stop(redis, first=signal.SIGTERM, wait_s=_SERVER_WAIT_S)
    processes.stop(postgres, first=signal.SIGINT, wait_s=_SERVER_WAIT_S)
    return len(left)


def living_supervisor(home: Home) -> psutil.Process | None:
    """Return the process that looks after this home now, if any."""
    state = home.read_state()
    return processes.find(processes.from_json(state["supervisor"])) if state else None


def _is_supervisor(process: psutil.Process) -> bool:
    try:
        return SUPERVISOR in process.cmdline()
    except psutil.Error:
        return False


def _recorded(home: Home) -> list[psutil.Process]:
    """Return the processes that the supervisor wrote down and that still are what they were."""
    found = []
    for part in (home.read_state() or {}).get("parts", []):
        with contextlib.suppress(KeyError, TypeError):
            process = processes.find(processes.from_json(part["process"]))
            if process is not None:
                found.append(process)
    return found
