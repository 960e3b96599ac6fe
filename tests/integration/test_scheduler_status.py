"""A folder and a real Postgres: what is told beside uploads, and that a crash or a refused write only delays it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from db import runs, statuses, withdrawal
from db.session import transaction
from scheduler import status
from scheduler.changes import Memory
from scheduler.config import SchedulerSettings
from scheduler.listing import reconcile
from scheduler.status import Desk, tell_labs
from tests.support.rows import add_slide, decide, execute, read, scalar, taken
from worker.errors import ServiceError
from worker.store_folder import FolderStore

X, Y = "lab/patient/x.svs", "lab/patient/y.svs"


class Lab:
    """A bucket folder with the scheduler's listing and statuses, each done once when asked."""

    def __init__(self, store: FolderStore, engine: Engine) -> None:
        self.store, self.engine = store, engine
        self.desk = Desk(store=store, engine=engine)
        self.memory = Memory()

    def put(self, key: str = X, data: bytes = b"slide") -> None:
        self.store.put_bytes(key, data)

    def look(self) -> list[int]:
        """List the bucket, write the statuses, return the runs that became due."""
        report = reconcile(self.store, self.engine, SchedulerSettings(), decide, memory=self.memory)
        tell_labs(self.desk)
        return list(report.new)

    def told(self, key: str = X) -> Any:
        data = self.store.read_small(f"{key}.status.json")
        return None if data is None else json.loads(data)


@pytest.fixture
def site(lab: Engine, tmp_path: Path) -> Lab:
    (tmp_path / "bucket").mkdir()
    return Lab(FolderStore(tmp_path / "bucket"), lab)


def test_a_lab_follows_its_slide_to_the_finding(site: Lab, lab: Engine) -> None:
    site.put()
    [run_id] = site.look()
    assert site.told()["state"] == "queued"
    claim = taken(lab, run_id)
    site.look()
    assert site.told()["state"] == "reading"
    runs.release(lab, claim)
    read(lab, run_id)
    site.look()
    told = site.told()
    assert (told["state"], told["cells"], told["finding"]["value"]) == ("done", 1, "no_evidence")


def test_quarantine_is_told_with_cause_and_remedy_and_a_new_upload_replays(site: Lab, lab: Engine) -> None:
    site.put()
    [run_id] = site.look()
    runs.fail(lab, taken(lab, run_id), code="truncated", cause="half of it", remedy="upload again", decide=decide)
    site.look()
    told = site.told()
    assert (told["state"], told["cause"], told["remedy"]) == ("quarantined", "half of it", "upload again")
    site.put()
    assert len(site.look()) == 1
    assert site.told()["state"] == "queued"


def test_a_finding_that_changes_is_told_beside_every_slide_of_the_patient(site: Lab, lab: Engine) -> None:
    for key in (X, Y):
        site.put(key)
    first, second = sorted(site.look())
    read(lab, first)
    site.look()
    assert site.told(X)["finding"]["value"] == "incomplete"
    read(lab, second, ["lymphoblast"])
    site.look()
    assert [site.told(key)["finding"]["value"] for key in (X, Y)] == ["consistent_with_ALL"] * 2


def test_a_withdrawn_slide_is_told_with_the_reason(site: Lab, lab: Engine) -> None:
    site.put()
    site.look()
    with transaction(lab) as conn:
        withdrawal.withdraw(conn, 1, decide, "wrong patient")
    site.look()
    assert (site.told()["state"], site.told()["cause"]) == ("cancelled", "wrong patient")


def test_an_upload_that_is_refused_is_told_until_it_is_mended(site: Lab) -> None:
    site.put(f"{X}.json", b'{"mpp": 99}')
    site.put()
    site.look()
    told = site.told()
    assert (told["state"], "mpp" in told["cause"]) == ("refused", True)
    site.put(f"{X}.json", b'{"mpp": 0.25}')
    site.look()
    assert site.told()["state"] == "queued"


def test_a_bad_sidecar_of_a_known_slide_is_told_until_it_is_gone(site: Lab) -> None:
    site.put()
    site.look()
    site.put(f"{X}.json", b"{")
    site.look()
    assert site.told()["state"] == "queued"
    assert "correct the sidecar" in site.told()["refused"]
    site.store.delete(f"{X}.json")
    site.look()
    assert "refused" not in site.told()


def test_statuses_are_no_slides_and_change_nothing(site: Lab, lab: Engine) -> None:
    site.put()
    site.look()
    before = site.told()
    for _ in range(3):
        assert site.look() == []
    assert scalar(lab, "SELECT count(*) FROM slide") == 1
    assert site.told() == before


def test_nothing_is_left_beside_an_upload_that_is_gone(site: Lab, lab: Engine) -> None:
    site.put()
    [run_id] = site.look()
    for key in (X, f"{X}.status.json"):
        site.store.delete(key)
    taken(lab, run_id)
    for _ in range(3):
        site.look()
    assert scalar(lab, "SELECT state FROM slide") == "missing"
    assert list(site.store.list()) == []


def test_a_status_that_was_left_alone_says_that_the_slide_is_gone(site: Lab) -> None:
    site.put()
    site.look()
    site.store.delete(X)
    for _ in range(3):
        site.look()
    assert (site.told()["state"], site.told()["remedy"]) == ("missing", "upload the object again")


def test_a_report_is_linked_only_where_it_lies_and_shows_the_finding(site: Lab, lab: Engine) -> None:
    key = "marrowline-results/lab/report-1.html"
    noted = f"UPDATE report_page SET key = '{key}', rev = verdict.rev %s FROM verdict"
    site.put()
    [run_id] = site.look()
    read(lab, run_id)
    execute(lab, noted % "")
    site.look()
    assert "report" not in site.told()  # it was noted, and is not there
    site.put(key, b"report")
    execute(lab, noted % "- 1")
    site.look()
    assert "report" not in site.told()  # it shows an older verdict
    execute(lab, noted % "")
    site.look()
    assert site.told()["report"] == key


def _due(engine: Engine) -> int:
    return int(scalar(engine, "SELECT count(*) FROM upload_status WHERE written < wanted"))


def test_a_crash_before_the_file_is_written_only_delays_it(site: Lab, lab: Engine) -> None:
    site.put()
    reconcile(site.store, lab, SchedulerSettings(), decide)
    with transaction(lab) as conn:  # and then nothing: the claim is left as a killed scheduler leaves it
        assert statuses.gather(conn) > 0
        assert len(statuses.claim(conn, site.store.name, "", limit=10, lease_s=60)) == 1
    assert tell_labs(site.desk) == 0
    execute(lab, "UPDATE upload_status SET next_at = now()")
    assert tell_labs(site.desk) == 1
    assert (site.told()["state"], _due(lab)) == ("queued", 0)


def test_who_was_overtaken_has_the_status_written_once_more(site: Lab, lab: Engine) -> None:
    site.put()
    reconcile(site.store, lab, SchedulerSettings(), decide)
    with transaction(lab) as conn:
        statuses.gather(conn)
        [late] = statuses.claim(conn, site.store.name, "", limit=10, lease_s=0)
    assert tell_labs(site.desk) == 1
    site.store.put_bytes(f"{X}.status.json", b"stale")  # the late one's write arrives last
    with transaction(lab) as conn:
        assert not statuses.written(conn, late, ("reading", "stale"))
    assert tell_labs(site.desk) == 1
    assert site.told()["state"] == "queued"


def test_a_change_while_a_status_is_written_is_told_after_it(
    site: Lab, lab: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.put()
    [run_id] = reconcile(site.store, lab, SchedulerSettings(), decide).new
    real, once = site.store.put_bytes, [lambda: taken(lab, run_id)]

    def put(key: str, data: bytes) -> None:
        real(key, data)
        if once:
            once.pop()()

    monkeypatch.setattr(site.store, "put_bytes", put)
    tell_labs(site.desk)
    assert site.told()["state"] == "queued"
    tell_labs(site.desk)
    assert site.told()["state"] == "reading"


def _failing(
    store: FolderStore, fails: Callable[[str], bool], asked: list[str] | None = None
) -> Callable[[str, bytes], None]:
    real = store.put_bytes

    def put(key: str, data: bytes) -> None:
        if asked is not None:
            asked.append(key)
        if fails(key):
            raise ServiceError("the bucket takes nothing")
        real(key, data)

    return put


def test_one_upload_that_cannot_be_told_of_keeps_no_other_waiting(
    site: Lab, lab: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in (X, Y):
        site.put(key)
    monkeypatch.setattr(site.store, "put_bytes", _failing(site.store, lambda key: key.startswith(X)))
    site.look()
    assert (site.told(X), site.told(Y)["state"]) == (None, "queued")
    assert scalar(lab, f"SELECT next_at > now() + interval '20 s' FROM upload_status WHERE key = '{X}'")
    monkeypatch.undo()
    execute(lab, "UPDATE upload_status SET next_at = now()")
    site.look()
    assert site.told(X)["state"] == "queued"


def test_a_bucket_that_takes_nothing_is_not_asked_for_every_status(
    site: Lab, lab: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for number in range(30):
        site.put(f"lab/patient/{number}.svs")
    reconcile(site.store, lab, SchedulerSettings(), decide)
    monkeypatch.setattr(site.store, "put_bytes", _failing(site.store, lambda _: True, asked))
    with pytest.raises(ServiceError):
        tell_labs(site.desk)
    assert (len(asked), _due(lab)) == (3, 30)


def test_a_key_that_has_no_room_for_a_status_is_left_alone(site: Lab, lab: Engine) -> None:
    site.put(f"lab/patient/{'x' * 245}.svs")
    site.look()
    assert _due(lab) == 0
    assert len(list(site.store.list())) == 1


def test_other_buckets_statuses_are_left_to_those_who_reach_them(site: Lab, lab: Engine) -> None:
    add_slide(lab)
    site.look()
    assert _due(lab) == 1


def test_many_slides_are_told_of_in_pieces(site: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_NOTES", 7)
    keys = [f"lab/p{number % 3}/{number}.svs" for number in range(50)]
    for key in keys:
        site.put(key)
    site.look()
    assert {site.told(key)["state"] for key in keys} == {"queued"}


def test_the_worker_needs_no_right_on_notes(site: Lab, lab: Engine) -> None:
    site.put()
    [run_id] = site.look()
    with transaction(lab) as conn:
        conn.exec_driver_sql("SET LOCAL ROLE marrowline_worker")
        conn.exec_driver_sql("UPDATE run SET error_code = 'x', error_cause = 'y'")
        with pytest.raises(ProgrammingError, match="permission denied"), conn.begin_nested():
            conn.exec_driver_sql("INSERT INTO status_due (slide_id) VALUES (1)")
    site.look()
    assert site.told()["cause"] == "y"
    assert run_id == 1
