"""Workers without pixels: they take messages from a real Redis and carry runs to their end in a real Postgres."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from db import runs, workers
from db.records import Claim
from scheduler.doorbell import Doorbell, run_of
from tests.support.redis import RedisServer
from tests.support.rows import batch, decide, plan
from worker import queues


class WatchedBell:
    """A doorbell that measures the broker after every ring: nothing else makes it longer."""

    def __init__(self, bell: Doorbell, depth: Callable[[], int]) -> None:
        self._bell = bell
        self._depth = depth
        self.depths: list[int] = []

    def ring(self, run_ids: Collection[int], *, urgent: bool = False) -> int:
        rung = self._bell.ring(run_ids, urgent=urgent)
        self.depths.append(self._depth())
        return rung

    def waiting(self, limit: int) -> set[int]:
        return self._bell.waiting(limit)

    def take_back(self, count: int) -> int:
        return self._bell.take_back(count)

    def ring_pages(self, patient_ids: Collection[int]) -> int:
        rung = self._bell.ring_pages(patient_ids)
        self.depths.append(self._depth())
        return rung

    def waiting_pages(self, limit: int) -> set[int]:
        return self._bell.waiting_pages(limit)


class Crew:
    """Workers that each read one slide at a time; one that meets a poisonous slide dies and comes back."""

    def __init__(
        self,
        engine: Engine,
        redis: RedisServer,
        *,
        poison: Collection[str] = (),
        lease_s: float = 60.0,
        read: Callable[[Engine, Claim], None] | None = None,
    ) -> None:
        self._engine = engine
        self._redis = redis
        self._poison = poison
        self._lease_s = lease_s
        self._read_one = read or read_to_the_end
        self._ended = threading.Event()
        self.deaths = 0

    @contextmanager
    def at_work(self, hands: int) -> Iterator[None]:
        """Have so many work until the end of the block; what goes wrong in them rises there."""
        bugs: list[BaseException] = []
        for number in range(hands):
            workers.seen(self._engine, f"hand-{number}", "host", "cpu")
        threads = [threading.Thread(target=self._work, args=(f"hand-{n}", bugs)) for n in range(hands)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join(timeout=60)
        assert bugs == []

    def _work(self, name: str, bugs: list[BaseException]) -> None:
        try:
            with self._redis.client() as client:
                while not self._ended.is_set():
                    found = client.brpop(list(queues.LISTS.values()), timeout=1)
                    run_id = run_of(found[1]) if isinstance(found, list | tuple) else None
                    if run_id is not None:
                        workers.seen(self._engine, name, "host", "cpu")
                        self._read(run_id, name)
        except BaseException as bug:
            bugs.append(bug)

    def _read(self, run_id: int, name: str) -> None:
        claim = runs.claim(self._engine, run_id, worker_id=name, lease_s=self._lease_s)
        if claim is None:
            return
        if claim.obj.key in self._poison:
            self.deaths += 1  # as killed: nobody lets go of the run
            return
        self._read_one(self._engine, claim)


def read_to_the_end(engine: Engine, claim: Claim) -> None:
    """Read a slide of one cell, as a worker does."""
    runs.store_plan(engine, claim, plan())
    runs.write_batch(engine, claim, batch())
    runs.finish(engine, claim, decide)
