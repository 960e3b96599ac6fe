"""The loop on a folder, a real Postgres and a real Redis, each of which goes away for a while."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from db import workers
from db.session import transaction
from scheduler.config import SchedulerSettings
from scheduler.doorbell import CeleryDoorbell, run_of
from scheduler.service import Line, serve
from tests.support.postgres import Server
from tests.support.redis import RedisServer
from tests.support.rows import add_slide, decide, execute, scalar
from worker import queues
from worker.errors import ServiceError
from worker.store_folder import FolderStore

X = "lab/patient/x.svs"


@pytest.fixture
def line(lab: Engine, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr("scheduler.service._LONGEST_PAUSE_S", 0.3)
    (tmp_path / "bucket").mkdir()
    return Line(
        store=FolderStore(tmp_path / "bucket"),
        engine=lab,
        bell=CeleryDoorbell(queues.make_app(redis_server.url)),
        settings=SchedulerSettings(sweep_s=0.1, list_s=0.1),
        decide=decide,
    )


@contextmanager
def _serving(line: Line) -> Iterator[None]:
    stop = threading.Event()
    bugs: list[BaseException] = []

    def keep() -> None:
        try:
            serve(line, stop)
        except BaseException as bug:
            bugs.append(bug)

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()
    assert bugs == []


def _eventually(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def _waiting(line: Line) -> int:
    try:
        return len(line.bell.waiting(100))
    except ServiceError:
        return -1


def test_a_slide_is_rung_for_soon_after_it_lies_in_the_folder(line: Line) -> None:
    with _serving(line):
        line.store.put_bytes(X, b"slide")
        _eventually(lambda: _waiting(line) == 1, "no message")


def test_redis_may_be_away(line: Line, lab: Engine, redis_server: RedisServer) -> None:
    with _serving(line):
        redis_server.kill()
        line.store.put_bytes(X, b"slide")
        _eventually(lambda: scalar(lab, "SELECT count(*) FROM run") == 1, "not registered without Redis")
        redis_server.start()
        _eventually(lambda: _waiting(line) == 1, "no message after Redis came back")


def test_the_bucket_may_be_away(line: Line) -> None:
    folder = Path(line.store.name)
    folder.rename(folder.with_name("away"))
    with _serving(line):
        time.sleep(0.5)
        folder.with_name("away").rename(folder)
        line.store.put_bytes(X, b"slide")
        _eventually(lambda: _waiting(line) == 1, "no message after the bucket came back")


def test_postgres_may_throw_out_its_clients(line: Line, lab: Engine, postgres: Server) -> None:
    database = lab.url.database
    with _serving(line):
        for number in range(5):
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
            line.store.put_bytes(f"lab/patient/{number}.svs", b"slide")
            time.sleep(0.1)
        _eventually(lambda: _waiting(line) == 5, "not all rung for")
    assert scalar(lab, "SELECT count(*) FROM run") == 5


def test_nobody_is_asked_all_the_time_while_no_worker_takes_anything(line: Line, lab: Engine) -> None:
    workers.seen(lab, "host:1:1", "host", "cpu")
    execute(lab, "UPDATE worker SET seen_at = now() - interval '2 days'")
    for name in range(12):
        add_slide(lab, str(name))
    rare = replace(line, settings=SchedulerSettings(sweep_s=30, list_s=30))
    with capture_logs() as logs, _serving(rare):
        _eventually(lambda: _waiting(line) == 8, "no messages")
        time.sleep(4)
    assert 2 <= sum(entry["event"] == "swept" for entry in logs) <= 5
    with transaction(lab) as conn:
        assert workers.live(conn, within_s=1e9) == 0


def test_quick_workers_are_fed_between_two_sweeps(line: Line, lab: Engine, redis_server: RedisServer) -> None:
    for name in range(40):
        add_slide(lab, str(name))
    rare = replace(line, settings=SchedulerSettings(sweep_s=30, list_s=30))
    end = time.monotonic() + 15
    with _serving(rare), redis_server.client() as client:
        while (left := scalar(lab, "SELECT count(*) FROM run WHERE state = 'pending'")) and time.monotonic() < end:
            for message in client.rpop(queues.LISTS[queues.ORDINARY], 2) or ():
                run_id = run_of(message)
                execute(lab, f"UPDATE run SET state = 'cancelled' WHERE id = {run_id}")
            time.sleep(0.3)
    assert left == 0


def test_logs_hold_no_pseudonym(line: Line) -> None:
    line.store.put_bytes("lab/canary-patient/x.svs", b"slide")
    line.store.put_bytes("canary-patient.svs", b"slide")
    line.store.put_bytes("lab/canary-patient/y.svs.json", b'{"patient": "canary-patient2"}')
    line.store.put_bytes("lab/canary-patient/y.svs", b"slide")
    with capture_logs() as logs, _serving(line):
        _eventually(lambda: _waiting(line) == 1, "no message")
        _eventually(lambda: sum(entry["event"] == "refused" for entry in logs) == 2, "not refused")
    text = json.dumps(logs)
    assert "registered" in text
    assert "canary" not in text
