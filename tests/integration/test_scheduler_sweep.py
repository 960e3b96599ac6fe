"""A real Postgres and a real Redis: which runs are rung for, and what happens when messages or the broker are lost."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from db import workers
from db.records import Claim
from db.session import transaction
from scheduler.doorbell import CeleryDoorbell, run_of
from scheduler.sweep import SweepReport, forget_workers, sweep
from tests.support.redis import RedisServer
from tests.support.rows import add, add_slide, decide, execute, scalar, stored, taken
from worker import queues
from worker.errors import ServiceError


@pytest.fixture
def bell(redis_server: RedisServer) -> CeleryDoorbell:
    return CeleryDoorbell(queues.make_app(redis_server.url))


def _silent(engine: Engine, run_id: int) -> Claim:
    """Claim a run and let its lease end."""
    claim = taken(engine, run_id)
    execute(engine, "UPDATE run SET lease_until = now() - interval '1 s' WHERE state = 'running'")
    return claim


def _take(server: RedisServer, count: int) -> None:
    """Take messages as workers do."""
    with server.client() as client:
        for _ in range(count):
            client.brpop(list(queues.LISTS.values()), timeout=1)


def _urgent(engine: Engine, name: str) -> int:
    """Register a slide that its lab calls urgent; return its run."""
    with transaction(engine) as conn:
        return add(conn, stored(f"lab/patient/{name}-urgent.tif"), urgent=True)


def _order(server: RedisServer) -> list[int | None]:
    """Take all messages; return their runs in the order in which workers get them."""
    found = []
    with server.client() as client:
        while message := client.brpop(list(queues.LISTS.values()), timeout=1):
            found.append(run_of(message[1]))
    return found


def test_a_ring_waits_until_a_worker_takes_it(bell: CeleryDoorbell, redis_server: RedisServer) -> None:
    assert bell.waiting(10) == set()
    assert bell.ring([3, 1, 2]) == 3
    assert bell.waiting(10) == {1, 2, 3}
    assert bell.waiting(2) < {1, 2, 3}
    _take(redis_server, 1)
    assert (bell.waiting(10), bell.depth()) == ({1, 2}, 2)


def test_garbage_on_the_queue_is_passed_over(bell: CeleryDoorbell, redis_server: RedisServer) -> None:
    bell.ring([1])
    with redis_server.client() as client:
        client.lpush(queues.QUEUE, b"\xff\xfe", b"{}", b"[" * 100_000)
    assert (bell.waiting(10), bell.depth()) == ({1}, 4)


def test_a_broker_that_is_away_is_told_and_comes_back(bell: CeleryDoorbell, redis_server: RedisServer) -> None:
    bell.ring([1])
    redis_server.kill()
    with capture_logs() as logs:
        assert bell.ring([2, 3]) == 0
    assert logs[0]["unsent"] == 2
    with pytest.raises(ServiceError, match="does not answer"):
        bell.waiting(10)
    redis_server.start()
    assert bell.ring([2]) == 1
    assert bell.waiting(10) == {1, 2}


def test_a_broker_that_is_full_takes_nothing(bell: CeleryDoorbell, redis_server: RedisServer) -> None:
    assert bell.waiting(10) == set()
    with redis_server.client() as client:
        client.config_set("maxmemory", "1")
        with capture_logs() as logs:
            assert bell.ring([1]) == 0
        client.config_set("maxmemory", "0")
    assert logs[0]["error"] == "OutOfMemoryError"
    assert bell.ring([1]) == 1


def test_due_runs_are_rung_for_once(lab: Engine, bell: CeleryDoorbell) -> None:
    ids = {add_slide(lab, name) for name in "abc"}
    assert sweep(lab, bell, decide) == SweepReport(expired=0, waiting=0, rung=3)
    assert sweep(lab, bell, decide) == SweepReport(expired=0, waiting=3, rung=0)
    assert bell.waiting(100) == ids


def test_what_a_worker_took_and_claimed_is_not_rung_for(
    lab: Engine, bell: CeleryDoorbell, redis_server: RedisServer
) -> None:
    run_id = add_slide(lab)
    sweep(lab, bell, decide)
    _take(redis_server, 1)
    taken(lab, run_id)
    assert sweep(lab, bell, decide) == SweepReport(expired=0, waiting=0, rung=0)


def test_lost_messages_are_made_up_for(lab: Engine, bell: CeleryDoorbell, redis_server: RedisServer) -> None:
    ids = {add_slide(lab, name) for name in "abc"}
    sweep(lab, bell, decide)
    with redis_server.client() as client:
        client.flushall()
    assert sweep(lab, bell, decide).rung == 3
    assert bell.waiting(100) == ids


def test_a_dead_workers_run_is_rung_for_again(lab: Engine, bell: CeleryDoorbell, redis_server: RedisServer) -> None:
    run_id = add_slide(lab)
    sweep(lab, bell, decide)
    _take(redis_server, 1)
    _silent(lab, run_id)
    assert sweep(lab, bell, decide) == SweepReport(expired=0, waiting=0, rung=1)
    assert bell.waiting(10) == {run_id}


def test_a_run_whose_last_attempt_died_is_quarantined(lab: Engine, bell: CeleryDoorbell) -> None:
    run_id = add_slide(lab)
    for _ in range(3):
        _silent(lab, run_id)
    assert sweep(lab, bell, decide) == SweepReport(expired=1, waiting=0, rung=0)
    assert scalar(lab, "SELECT state || ' ' || error_code FROM run") == "quarantined worker_lost"
    assert scalar(lab, "SELECT finding FROM report.patients") == "incomplete"


def test_that_happens_without_a_broker_too(lab: Engine, bell: CeleryDoorbell, redis_server: RedisServer) -> None:
    run_id = add_slide(lab)
    for _ in range(3):
        _silent(lab, run_id)
    redis_server.kill()
    with pytest.raises(ServiceError):
        sweep(lab, bell, decide)
    assert scalar(lab, "SELECT state FROM run") == "quarantined"


def test_messages_stay_within_the_budget_and_labs_get_their_turn(
    lab: Engine, bell: CeleryDoorbell, redis_server: RedisServer
) -> None:
    ids = {add_slide(lab, str(number), lab="big") for number in range(40)}
    small = add_slide(lab, "one", lab="small")
    assert sweep(lab, bell, decide).rung == 8
    assert small in bell.waiting(100)
    for number in range(3):
        workers.seen(lab, f"w{number}", "host", "cpu")
    assert sweep(lab, bell, decide) == SweepReport(expired=0, waiting=8, rung=4)
    _take(redis_server, 5)
    assert sweep(lab, bell, decide) == SweepReport(expired=0, waiting=7, rung=5)
    assert bell.depth() == 12
    assert bell.waiting(100) <= ids | {small}


def test_urgent_slides_are_taken_first_and_each_kind_in_its_order(
    lab: Engine, bell: CeleryDoorbell, redis_server: RedisServer
) -> None:
    slow = [add_slide(lab, name) for name in "ab"]
    urgent = [_urgent(lab, name) for name in "cd"]
    assert sweep(lab, bell, decide).rung == 4
    assert _order(redis_server) == [*urgent, *slow]


def test_an_urgent_slide_takes_the_place_of_the_newest_message_of_another(
    lab: Engine, bell: CeleryDoorbell, redis_server: RedisServer
) -> None:
    slow = [add_slide(lab, str(number)) for number in range(10)]
    assert sweep(lab, bell, decide).rung == 8
    urgent = [_urgent(lab, name) for name in "ab"]
    assert sweep(lab, bell, decide) == SweepReport(expired=0, waiting=8, rung=2)
    assert bell.depth() == 8
    assert sweep(lab, bell, decide).rung == 0
    assert _order(redis_server) == [*urgent, *slow[:6]]
    assert sweep(lab, bell, decide).rung == 8  # the two that made way are due as before


def test_more_urgent_slides_than_may_wait_stay_within_the_budget(lab: Engine, bell: CeleryDoorbell) -> None:
    add_slide(lab, "slow")
    urgent = [_urgent(lab, str(number)) for number in range(20)]
    for _ in range(3):
        sweep(lab, bell, decide)
        assert bell.waiting(100) == set(urgent[:8])


def test_sweeps_at_the_same_time_ring_once(lab: Engine, bell: CeleryDoorbell, redis_server: RedisServer) -> None:
    ids = {add_slide(lab, name) for name in "abcd"}
    bells = [bell, *(CeleryDoorbell(queues.make_app(redis_server.url)) for _ in range(3))]
    for one in bells:
        one.depth()  # connected
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda one: sweep(lab, one, decide), bells))
    assert sum(report.rung for report in reports) == 4
    assert (bell.waiting(100), bell.depth()) == (ids, 4)


def test_a_bell_that_fails_in_the_middle_loses_nothing(lab: Engine, bell: CeleryDoorbell) -> None:
    class Breaking:
        """Rings once, then the broker goes away."""

        def ring(self, run_ids: Collection[int], *, urgent: bool = False) -> int:
            return bell.ring(list(run_ids)[:1], urgent=urgent)

        def waiting(self, limit: int) -> set[int]:
            return bell.waiting(limit)

        def take_back(self, count: int) -> int:
            return bell.take_back(count)

        def ring_pages(self, patient_ids: Collection[int]) -> int:
            return bell.ring_pages(patient_ids)

        def waiting_pages(self, limit: int) -> set[int]:
            return bell.waiting_pages(limit)

    ids = {add_slide(lab, name) for name in "abc"}
    assert [sweep(lab, Breaking(), decide).rung for _ in range(4)] == [1, 1, 1, 0]
    assert bell.waiting(10) == ids


def test_workers_that_were_silent_for_a_day_are_forgotten(lab: Engine) -> None:
    for name in ("old", "new"):
        workers.seen(lab, name, "host", "cpu")
    execute(lab, "UPDATE worker SET seen_at = now() - interval '25 hours' WHERE id = 'old'")
    forget_workers(lab)
    assert scalar(lab, "SELECT array_agg(id) FROM worker") == ["new"]
