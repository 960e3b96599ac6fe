"""Row 50: uploads without end while faults of every kind strike at random; then all must come to rest.

Which faults strike, in what order and for how long is drawn from the seed; how many come to strike in the time, and
what they hit, is up to the machine.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from db.faultpoints import Action, Fault
from tests.faults.invariants import broken
from tests.faults.proxy import Trouble
from tests.faults.rig import LEASE_S, OPEN, Rig, through
from tests.faults.rows_database import COMMITS
from tests.faults.rows_workers import SCHEDULER_POINTS, WORKER_POINTS

_ROW_MINUTES = 3.0
_WORKERS = ("worker", "worker-2")
_OPEN_AT_ONCE = 6
_CURRENT = "SELECT key, etag FROM slide WHERE state = 'current'"
_GRACE_S = 5 * LEASE_S
"""When a part that was asked to stop is killed, as by every supervisor; on a quiet machine one lease is enough."""


@dataclass
class Nemesis:
    """What strikes a line, and the supervisor that mends it."""

    rig: Rig
    seed: int
    strikes: random.Random = field(init=False)  # what strikes and for how long
    slides: random.Random = field(init=False)  # what is uploaded, replaced and deleted
    deck: list[str] = field(default_factory=list)  # what is still to strike before all have struck once more
    struck: Counter[str] = field(default_factory=Counter)
    stopping: dict[str, float] = field(default_factory=dict)  # parts that were asked to stop, and when they are killed
    overdue: int = 0  # parts that had to be killed

    def __post_init__(self) -> None:
        self.strikes, self.slides = random.Random(f"{self.seed} strikes"), random.Random(f"{self.seed} slides")

    def worker(self) -> str:
        """Draw one of the workers."""
        return self.strikes.choice(_WORKERS)

    def strike(self) -> None:
        """Let one fault strike and pass."""
        if not self.deck:
            self.deck = self.strikes.sample(sorted(STRIKES), len(STRIKES))
        name = self.deck.pop()
        STRIKES[name](self)
        self.struck[name] += 1

    def upload(self) -> None:
        """Upload slides until some are open, and wait until each is registered."""
        for _ in range(_OPEN_AT_ONCE - int(self.rig.value(f"SELECT count(*) FROM run WHERE {OPEN}"))):
            name, slide = f"n{len(self.rig.uploaded)}", self.slides.choice("abc")
            self.rig.upload(name, slide, patient=f"p{self.slides.randrange(5)}")
            self.rig.until(self._all_registered, "it is registered")

    def _all_registered(self) -> bool:
        self.mend()
        return int(self.rig.value("SELECT count(DISTINCT key) FROM slide")) == len(self.rig.uploaded)

    def mend(self) -> None:
        """Start again what has ended, kill what was asked to stop and does not, and end waiting times between tries."""
        for name, until in tuple(self.stopping.items()):
            if self.rig.ended(name) is not None:
                del self.stopping[name]
            elif time.monotonic() > until:
                self.rig.kill(name)
                self.overdue += 1
                del self.stopping[name]
        for name in {"scheduler", *_WORKERS} - set(self.rig.parts):
            self.rig.start(name)
        self.rig.revive()
        self.rig.execute("UPDATE run SET next_at = now() WHERE state = 'retry_wait' AND next_at > now()")

    def at_rest(self) -> bool:
        """Tell whether the bucket is registered as it is, every run has ended, and nobody is still to stop."""
        self.mend()
        there = {one.key: one.etag for one in self.rig.store.list()}
        known = {
            row["key"]: row["etag"] for row in self.rig.rows("SELECT key, etag FROM slide WHERE state = 'current'")
        }
        return known == there and not self.stopping and self.rig.value(f"SELECT count(*) FROM run WHERE {OPEN}") == 0


def _child_killed(nemesis: Nemesis) -> None:
    for child in nemesis.rig.children(nemesis.worker()):
        child.kill()


def _child_paused(nemesis: Nemesis) -> None:
    """Let a child stand still until its lease is over and somebody else may have its run."""
    with suppress(psutil.NoSuchProcess):
        for child in nemesis.rig.children(nemesis.worker()):
            child.suspend()
            time.sleep(2 * LEASE_S)
            child.resume()


def _worker_killed(nemesis: Nemesis) -> None:
    name = nemesis.worker()
    nemesis.stopping.pop(name, None)
    nemesis.rig.kill(name)


def _worker_stopped(nemesis: Nemesis) -> None:
    name = nemesis.worker()
    with suppress(psutil.NoSuchProcess):
        nemesis.rig.parts[name].terminate()
    nemesis.stopping.setdefault(name, time.monotonic() + _GRACE_S)


def _scheduler_killed(nemesis: Nemesis) -> None:
    nemesis.rig.kill("scheduler")


def _point_struck(nemesis: Nemesis) -> None:
    """Arm one of the named points; whoever reaches it first is struck, perhaps much later."""
    point = nemesis.strikes.choice((*WORKER_POINTS, *SCHEDULER_POINTS))
    action = nemesis.strikes.choice((Action.EXIT, Action.RAISE, Action.SLEEP))
    name = f"nemesis-{nemesis.struck.total()}"
    nemesis.rig.arm(Fault(name=name, point=point, action=action, seconds=1.5 * LEASE_S))


def _answer_lost(nemesis: Nemesis) -> None:
    sent = COMMITS[nemesis.strikes.choice(sorted(COMMITS))]
    proxy = nemesis.rig.to_postgres
    proxy.trouble = Trouble(lose_after=sent, times=proxy.counters.lost + 1)


def _broker_killed(nemesis: Nemesis) -> None:
    nemesis.rig.redis.kill()
    time.sleep(nemesis.strikes.uniform(0, 2 * LEASE_S))
    nemesis.rig.redis.start()


def _broker_flushed(nemesis: Nemesis) -> None:
    with nemesis.rig.redis.client() as client:
        client.flushall()


def _broker_full(nemesis: Nemesis) -> None:
    with nemesis.rig.redis.client() as client:
        client.config_set("maxmemory", "1")
        time.sleep(nemesis.strikes.uniform(0, 2 * LEASE_S))
        client.config_set("maxmemory", "0")


def _postgres_crashed(nemesis: Nemesis) -> None:
    nemesis.rig.ground.postgres.stop(signal.SIGQUIT)
    time.sleep(nemesis.strikes.uniform(0, 2 * LEASE_S))
    nemesis.rig.ground.postgres.start()


def _clients_thrown_out(nemesis: Nemesis) -> None:
    nemesis.rig.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'marrowline' AND pid <> pg_backend_pid()"
    )


def _slide_replaced(nemesis: Nemesis) -> None:
    key, slide = nemesis.slides.choice(_readable(nemesis.rig)), nemesis.slides.choice("abc")
    nemesis.rig.put(key, nemesis.rig.ground.slide(slide).read_bytes())
    nemesis.rig.uploaded[key] = slide


def _slide_deleted(nemesis: Nemesis) -> None:
    key = nemesis.slides.choice(_readable(nemesis.rig))
    (nemesis.rig.bucket / key).unlink()
    nemesis.rig.uploaded[key] = None


def _readable(rig: Rig) -> list[str]:
    return sorted(key for key, slide in rig.uploaded.items() if slide is not None)


def _slide_cut(nemesis: Nemesis) -> None:
    whole = nemesis.rig.ground.slide(nemesis.slides.choice("abc")).read_bytes()
    nemesis.rig.upload_bytes(f"n{len(nemesis.rig.uploaded)}", whole[: len(whole) // 2])


STRIKES: Mapping[str, Callable[[Nemesis], None]] = {
    "child killed": _child_killed,
    "child paused": _child_paused,
    "worker killed": _worker_killed,
    "worker stopped": _worker_stopped,
    "scheduler killed": _scheduler_killed,
    "point struck": _point_struck,
    "answer lost": _answer_lost,
    "broker killed": _broker_killed,
    "broker flushed": _broker_flushed,
    "broker full": _broker_full,
    "Postgres crashed": _postgres_crashed,
    "clients thrown out": _clients_thrown_out,
    "slide replaced": _slide_replaced,
    "slide deleted": _slide_deleted,
    "slide cut": _slide_cut,
}


def unleash(rig: Rig, *, minutes: float, seed: int) -> None:
    """Strike a line for so long, let it come to rest, and ask every invariant; what breaks is told with the seed."""
    nemesis, direct = Nemesis(rig=rig, seed=seed), dict(rig.settings)
    rig.line()
    rig.settings.update(through(rig.to_postgres, rig))
    try:
        rig.line(*_WORKERS)
        rig.special.update(rig.parts)
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            nemesis.upload()
            nemesis.strike()
            nemesis.mend()
            time.sleep(nemesis.strikes.uniform(0, LEASE_S))
        rig.arm()
        rig.to_postgres.trouble = Trouble()
        rig.until(nemesis.at_rest, "the line comes to rest")
        wrong = broken(rig)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {dict(nemesis.struck)}: {error}") from error
    finally:
        rig.settings.update(direct)
    assert not wrong, f"seed {seed}: {'; '.join(wrong)}"
    _noted(nemesis)


def _noted(nemesis: Nemesis) -> None:
    rig = nemesis.rig
    struck = ", ".join(f"{name} {times}" for name, times in sorted(nemesis.struck.items()))
    rig.note(f"seed {nemesis.seed}: {nemesis.struck.total()} strikes on {len(rig.uploaded)} slides ({struck})")
    rig.note(f"a run was claimed {rig.value('SELECT max(fence) FROM run')} times at most")
    lost, overdue = rig.to_postgres.counters.lost, nemesis.overdue
    rig.note(f"{rig.outcomes()['fenced']} fenced, {lost} answers lost, {overdue} killed that did not stop in time")


def three_minutes(rig: Rig) -> None:
    """Row 50."""
    unleash(rig, minutes=_ROW_MINUTES, seed=random.SystemRandom().randrange(2**31))
