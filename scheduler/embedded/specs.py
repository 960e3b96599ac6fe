"""The parts of an embedded stack: what is run for each, and how it is stopped."""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path

from scheduler.embedded import servers
from scheduler.embedded.orphans import SUPERVISOR
from scheduler.embedded.parts import PartSpec
from scheduler.embedded.resolve import Stack

_PYTHON = (sys.executable, "-P", "-m")
"""`-P`: a module in the current folder must not stand in for ours."""
_WORKER_STOP_S = 60.0
"""A worker lets go of its slide at the next batch; a slower one is ended and its slide taken over later."""


def server_specs(stack: Stack) -> list[PartSpec]:
    """Return the servers that are our own; the others are reached by their addresses."""
    home, specs = stack.home, []
    if stack.own_postgres:
        specs.append(
            PartSpec(
                name="postgres",
                command=servers.postgres_command(home),
                token=str(home.postgres),
                log=home.logs / "postgres.log",
                environment=stack.environment(),
                user=servers.postgres_user(),
                stop_signal=signal.SIGINT,
                stop_wait_s=60.0,
                before=partial(servers.before_postgres, home),
                answers=partial(servers.postgres_answers, home),
            )
        )
    if stack.own_redis:
        log = home.logs / "redis.log"
        specs.append(
            PartSpec(
                name="redis",
                command=servers.redis_command(home),
                token=str(home.redis_socket),
                log=log,
                environment=stack.environment(),
                stop_wait_s=30.0,
                before=partial(servers.before_redis, home, log),
                answers=partial(servers.redis_answers, home),
            )
        )
    return specs


def worker_specs(stack: Stack) -> list[PartSpec]:
    """Return the scheduler and one worker for each device."""
    specs = [_ours(stack, "scheduler", ("scheduler.cli", "scheduler"), stop_wait_s=15.0)]
    for number, device in enumerate(stack.devices, start=1):
        name = "worker" if len(stack.devices) == 1 else f"worker-{number}"
        specs.append(_ours(stack, name, ("worker.cli", "worker", "--device", device), stop_wait_s=_WORKER_STOP_S))
    return specs


def prepare_command() -> tuple[str, ...]:
    """Return the command that makes the database ready for the scheduler and the workers."""
    return (*_PYTHON, "scheduler.prepare")


def supervisor_command() -> tuple[str, ...]:
    """Return the command of the supervisor itself."""
    return (*_PYTHON, SUPERVISOR)


def _ours(stack: Stack, name: str, module: tuple[str, ...], *, stop_wait_s: float) -> PartSpec:
    return PartSpec(
        name=name,
        command=(*_PYTHON, *module),
        token=module[0],
        log=Path(stack.home.logs / f"{name}.log"),
        environment=stack.environment(),
        stop_wait_s=stop_wait_s,
    )
