"""Row 50: uploads without end while faults of every kind strike at random; then all must be well.

What strikes when is drawn from the seed; how the processes' steps interleave with it is up to the machine.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import psutil

from tests.faults.rig import LEASE_S, OPEN, Rig

_ROW_MINUTES = 3.0
_WORKERS = ("worker", "worker-2")
_OPEN_AT_ONCE = 6


def _child_killed(rig: Rig, draw: random.Random) -> None:
    for child in rig.children(draw.choice(_WORKERS)):
        child.kill()


def _child_paused(rig: Rig, draw: random.Random) -> None:
    """Let a child stand still until its lease is over and somebody else may have its run."""
    children = rig.children(draw.choice(_WORKERS))
    _signalled(children, signal.SIGSTOP)
    _passed(2 * LEASE_S)
    _signalled(children, signal.SIGCONT)


def _worker_killed(rig: Rig, draw: random.Random) -> None:
    rig.kill(draw.choice(_WORKERS))


def _worker_stopped(rig: Rig, draw: random.Random) -> None:
    rig.parts[draw.choice(_WORKERS)].terminate()


def _scheduler_killed(rig: Rig, _: random.Random) -> None:
    rig.kill("scheduler")


def _broker_killed(rig: Rig, draw: random.Random) -> None:
    rig.redis.kill()
    _passed(draw.uniform(0, LEASE_S))
    rig.redis.start()


def _broker_flushed(rig: Rig, _: random.Random) -> None:
    with rig.redis.client() as client:
        client.flushall()


def _postgres_crashed(rig: Rig, draw: random.Random) -> None:
    rig.ground.postgres.stop(signal.SIGQUIT)
    _passed(draw.uniform(0, 2 * LEASE_S))
    rig.ground.postgres.start()


def _clients_thrown_out(rig: Rig, _: random.Random) -> None:
    rig.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'marrowline' AND pid <> pg_backend_pid()"
    )


def _slide_replaced(rig: Rig, draw: random.Random) -> None:
    if not rig.uploaded:
        return
    key = draw.choice(sorted(rig.uploaded))
    slide = draw.choice("abc")
    rig.put(key, rig.ground.slide(slide).read_bytes())
    rig.uploaded[key] = slide


STRIKES: Mapping[str, Callable[[Rig, random.Random], None]] = {
    "child killed": _child_killed,
    "child paused": _child_paused,
    "worker killed": _worker_killed,
    "worker stopped": _worker_stopped,
    "scheduler killed": _scheduler_killed,
    "broker killed": _broker_killed,
    "broker flushed": _broker_flushed,
    "Postgres crashed": _postgres_crashed,
    "clients thrown out": _clients_thrown_out,
    "slide replaced": _slide_replaced,
}


def unleash(rig: Rig, *, minutes: float, seed: int) -> Counter[str]:
    """Strike a line for so long, then let it come to rest; return how often each fault struck."""
    draw, struck = random.Random(seed), Counter[str]()
    rig.line(*_WORKERS)
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        while rig.value(f"SELECT count(*) FROM run WHERE {OPEN}") < _OPEN_AT_ONCE:
            _one_more(rig, draw)
        name = draw.choice(sorted(STRIKES))
        STRIKES[name](rig, draw)
        struck[name] += 1
        _mended(rig)
        _passed(draw.uniform(0, LEASE_S))
    rig.settled(revive=True)
    assert rig.value("SELECT max(fence) FROM run") > 1, "no run was ever taken over or claimed again"
    rig.note(f"seed {seed}, {len(rig.uploaded)} slides, {sum(struck.values())} strikes, {dict(sorted(struck.items()))}")
    rig.note(f"outcomes {dict(rig.outcomes())}, most claims of one run {rig.value('SELECT max(fence) FROM run')}")
    return struck


def _one_more(rig: Rig, draw: random.Random) -> None:
    """Upload a slide and wait until it is registered."""
    rig.upload(f"n{len(rig.uploaded)}", draw.choice("abc"), patient=f"p{draw.randrange(5)}")
    rig.until(lambda: rig.value("SELECT count(DISTINCT key) FROM slide") >= len(rig.uploaded), "it is registered")


def _mended(rig: Rig) -> None:
    """Start again what has ended, as supervisors do; end waiting times between tries."""
    for name in ("scheduler", *_WORKERS):
        if name not in rig.parts:
            rig.start(name)
    rig.revive()
    rig.execute("UPDATE run SET next_at = now() WHERE state = 'retry_wait' AND next_at > now()")


def _signalled(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _passed(seconds: float) -> None:
    """Let some time pass in which a fault lasts."""
    time.sleep(seconds)


def three_minutes(rig: Rig) -> None:
    """Row 50."""
    unleash(rig, minutes=_ROW_MINUTES, seed=random.SystemRandom().randrange(2**31))
