"""Many slides at once, on a folder, a real Postgres and a real Redis: what waits where, and whose turn it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.session import make_engine
from scheduler.config import SchedulerSettings
from scheduler.doorbell import CeleryDoorbell
from scheduler.service import Line, serve
from scheduler.sweep import budget_for
from tests.support.crew import Crew, WatchedBell
from tests.support.invariants import violations
from tests.support.redis import RedisServer
from tests.support.rows import decide, scalar
from worker import queues
from worker.store_folder import FolderStore

HANDS = 4
TOLD = "SELECT count(*) FROM upload_status WHERE state = 'done' AND written = wanted"
ENDED = "SELECT count(*) FROM run WHERE state IN ('done', 'quarantined')"


class Site:
    """A scheduler on a bucket folder, and a broker that is measured after every ring."""

    def __init__(self, engine: Engine, redis: RedisServer, folder: Path, **settings: float) -> None:
        self.engine, self.redis, self.folder = engine, redis, folder
        folder.mkdir()
        bell = CeleryDoorbell(queues.make_app(redis.url))
        self.bell = WatchedBell(bell, bell.depth)
        self.line = Line(
            store=FolderStore(folder),
            engine=engine,
            bell=self.bell,
            settings=SchedulerSettings(**{"sweep_s": 0.2, "list_s": 0.5, "status_s": 0.5, **settings}),  # type: ignore[arg-type]
            decide=decide,
        )

    def put(self, sizes: dict[str, int]) -> None:
        """Upload as many slides of each laboratory, ten to a patient, each with bytes of its own."""
        for lab, slides in sizes.items():
            for number in range(slides):
                file = self.folder / lab / f"p{number // 10:04}" / f"{number:05}.svs"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(f"{lab} {number}".encode())

    @contextmanager
    def scheduling(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=lambda: serve(self.line, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=120)
        assert not thread.is_alive()

    def until(self, holds: Callable[[], bool], what: str, *, within_s: float = 240) -> float:
        """Wait, and return how long it took."""
        started = time.monotonic()
        while not holds():
            assert time.monotonic() < started + within_s, f"not within {within_s:g} s: {what}"
            time.sleep(0.05)
        return time.monotonic() - started

    def value(self, sql: str) -> int:
        return int(scalar(self.engine, sql))

    def last_turns(self) -> dict[str, int]:
        """Return for each laboratory which of all claims was the one of its last slide, counted from 1."""
        with self.engine.connect() as conn:
            rows = conn.exec_driver_sql(
                "SELECT code, max(turn) FROM (SELECT lab.code, row_number() OVER (ORDER BY t.id) AS turn"
                " FROM transition AS t JOIN run ON run.id = t.run_id JOIN slide ON slide.id = run.slide_id"
                " JOIN patient ON patient.id = slide.patient_id JOIN lab ON lab.id = patient.lab_id"
                " WHERE t.to_state = 'running') AS turns GROUP BY code"
            )
            return {row[0]: row[1] for row in rows}


@pytest.fixture
def wide(lab: Engine) -> Iterator[Engine]:
    """The same database with a connection for everybody."""
    engine = make_engine(lab.url.render_as_string(hide_password=False), pool_size=16)
    yield engine
    engine.dispose()


def fair_turn(lab: str, sizes: dict[str, int]) -> int:
    """Return which turn a laboratory's last slide has when all take strict turns."""
    return sum(min(slides, sizes[lab]) for slides in sizes.values())


def check(site: Site, sizes: dict[str, int], hands: int) -> None:
    """Fail unless every slide was read once, within the budget, and each laboratory had its turns."""
    slides = sum(sizes.values())
    assert max(site.bell.depths) <= budget_for(hands)
    assert site.value("SELECT count(*) FROM run WHERE state = 'done' AND attempt = 1") == slides
    assert site.value("SELECT count(*) FROM transition WHERE to_state = 'done'") == slides
    last = site.last_turns()
    # What waited in the broker when the turns began and what was being read; one in a hundred for ends that come late.
    slack = 2 * budget_for(hands) + slides // 100
    assert {lab: last[lab] <= fair_turn(lab, sizes) + slack for lab in sizes} == dict.fromkeys(sizes, True), last


def test_a_burst_of_uploads_is_read_fairly_and_told(wide: Engine, redis_server: RedisServer, tmp_path: Path) -> None:
    sizes = {"big": 60, "middle": 30, "small": 10}
    site = Site(wide, redis_server, tmp_path / "bucket")
    site.put(sizes)
    with site.scheduling():
        site.until(lambda: site.value("SELECT count(*) FROM run") == 100, "all registered")
        assert max(site.bell.depths) <= budget_for(0)
        with Crew(wide, redis_server).at_work(HANDS):
            site.until(lambda: site.value(ENDED) == 100, "all read")
        site.until(lambda: site.value(TOLD) == 100, "all told")
    check(site, sizes, HANDS)
    with wide.connect() as conn:
        assert violations(conn) == []


@pytest.mark.heavy
@pytest.mark.timeout(5400)
def test_ten_thousand_uploads_at_once(wide: Engine, redis_server: RedisServer, tmp_path: Path) -> None:
    sizes, hands = {"big": 6000, "large": 3000, "middle": 900, "small": 100}, 8
    site = Site(wide, redis_server, tmp_path / "bucket", list_s=5)
    site.put(sizes)
    with site.scheduling():
        seen = site.until(lambda: site.value("SELECT count(*) FROM run") == 10_000, "all registered", within_s=2400)
        assert max(site.bell.depths) <= budget_for(0)
        with Crew(wide, redis_server).at_work(hands):
            took = site.until(lambda: site.value(ENDED) == 10_000, "all read", within_s=3000)
        told = site.until(lambda: site.value(TOLD) == 10_000, "all told", within_s=1200)
    check(site, sizes, hands)
    with wide.connect() as conn:
        assert violations(conn) == []
    depths = f"{len(site.bell.depths)} rings, at most {max(site.bell.depths)} messages"
    print(f"registered {seen:.0f} s, read {took:.0f} s, told {told:.0f} s; {depths}; {site.last_turns()}")  # noqa: T201


def test_a_poisonous_slide_uses_up_its_attempts_and_delays_no_other(
    wide: Engine, redis_server: RedisServer, tmp_path: Path
) -> None:
    site = Site(wide, redis_server, tmp_path / "bucket", max_attempts=3)
    site.put({"lab": 40})
    poison = "lab/p0000/00003.svs"
    crew = Crew(wide, redis_server, poison={poison}, lease_s=1.0)
    with site.scheduling(), crew.at_work(2):
        site.until(lambda: site.value(ENDED) == 40, "all ended")
    assert crew.deaths == 3
    bad = "SELECT count(*) FROM report.slides WHERE state = 'quarantined' AND error_code = 'worker_lost' AND key = "
    assert site.value(f"{bad}'{poison}'") == 1
    assert site.value("SELECT count(*) FROM run WHERE state = 'done' AND attempt = 1") == 39
    assert max(site.bell.depths) <= budget_for(2)
