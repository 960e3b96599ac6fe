"""A folder and a real Postgres: what the listing registers, refuses, and finds gone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from db import runs
from db.errors import NotAllowedError
from db.records import RunState, StoredObject
from db.session import transaction
from scheduler import set_listing
from scheduler.changes import Memory
from scheduler.comparison import ListingReport
from scheduler.config import SchedulerSettings
from scheduler.events.listing import Listing
from scheduler.listing import reconcile
from scheduler.registration import Door
from tests.support.rows import Standing, decide, execute, read, scalar, standing, taken
from worker.errors import ServiceError
from worker.store_folder import FolderStore

SETTINGS = SchedulerSettings()
X = "lab/patient/x.svs"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "bucket").mkdir()
    return FolderStore(tmp_path / "bucket")


class Scheduler:
    """Compares again and again with one memory, as the service does."""

    def __init__(self, store: FolderStore, engine: Engine) -> None:
        self.store = store
        self.engine = engine
        self.memory = Memory()

    def look(self) -> ListingReport:
        return reconcile(self.store, self.engine, SETTINGS, decide, memory=self.memory)

    def sidecar(self, key: str = X, **fields: object) -> None:
        self.store.put_bytes(f"{key}.json", json.dumps(fields).encode())


@pytest.fixture
def scheduler(store: FolderStore, lab: Engine) -> Scheduler:
    return Scheduler(store, lab)


def _standing(engine: Engine, patient: str = "patient") -> Standing:
    with transaction(engine) as conn:
        return standing(conn, patient)


def _slide(engine: Engine, column: str) -> object:
    return scalar(engine, f"SELECT {column} FROM slide JOIN run ON run.slide_id = slide.id")


def test_slides_under_another_name_of_the_bucket_are_told_of_once(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.store.put_bytes(X, b"slide")
    scheduler.look()
    folder = Path(scheduler.store.name)
    for store, slides in ((FolderStore(folder), []), (FolderStore(folder, name="bucket"), [1])):
        door = Door(store=store, engine=lab, settings=SETTINGS, decide=decide)
        source = Listing(door, announce=lambda: None, stopping=lambda: True)
        with capture_logs() as logs:
            source.poll()
            source.poll()
        warned = [entry for entry in logs if entry["event"] == "slides of another bucket count too"]
        assert [entry["slides"] for entry in warned] == slides
        assert all(f"MARROWLINE_BUCKET_NAME={folder}" in entry["remedy"] for entry in warned)
        assert "patient/" not in str(logs)


def test_each_object_version_is_registered_once(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.store.put_bytes(X, b"slide")
    scheduler.store.put_bytes("lab/patient/notes.txt", b"not a slide")
    first, second = scheduler.look(), scheduler.look()
    assert (first.listed, len(first.new), second.new) == (1, 1, ())
    assert scalar(lab, "SELECT bucket || '|' || key FROM slide") == f"{scheduler.store.name}|{X}"
    assert _standing(lab) == Standing(finding="incomplete", cells=0, done=0, open=1, quarantined=0)


def test_three_schedulers_register_nothing_twice(scheduler: Scheduler, lab: Engine) -> None:
    for number in range(20):
        scheduler.store.put_bytes(f"lab/patient/{number}.svs", b"slide")
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: Scheduler(scheduler.store, lab).look(), range(3)))
    new = [run_id for report in found for run_id in report.new]
    assert len(new) == len(set(new)) == 20
    assert [report.failed for report in found] == [0, 0, 0]
    assert scalar(lab, "SELECT count(*) FROM run") == 20


def test_the_sidecar_is_what_the_slide_is_registered_with(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.sidecar("x.svs", lab="A", patient="P", specimen="blood", stain="MGG", mpp=0.5)
    scheduler.store.put_bytes("x.svs", b"slide")
    [run_id] = scheduler.look().new
    claim = taken(lab, run_id)
    assert (claim.specimen, claim.stain, claim.declared_mpp_um) == ("blood", "MGG", 0.5)
    assert scalar(lab, "SELECT code || pseudonym FROM patient JOIN lab ON lab.id = patient.lab_id") == "AP"


def test_what_is_refused_stops_nothing_and_is_told_once(scheduler: Scheduler) -> None:
    for key in ("lost.svs", X, "lab/patient/y.svs", "z.dcm"):
        scheduler.store.put_bytes(key, b"slide")
    scheduler.sidecar(X, mpp="wide")
    with capture_logs() as logs:
        first, second = scheduler.look(), scheduler.look()
    assert len(first.new) == 1
    assert [key for key, _ in first.refused] == [X, "lost.svs", "z.dcm"]
    assert "sidecar field mpp" in dict(first.refused)[X]
    assert (second.new, second.refused) == ((), ())
    told = [entry for entry in logs if entry["event"] == "refused"]
    assert len(told) == 3
    assert "patient/x" not in str(logs)


def test_a_refused_slide_comes_in_once_its_sidecar_is_mended(scheduler: Scheduler) -> None:
    scheduler.store.put_bytes("lost.svs", b"slide")
    assert len(scheduler.look().refused) == 1
    scheduler.sidecar("lost.svs", lab="A")
    assert len(scheduler.look().refused) == 1
    scheduler.sidecar("lost.svs", lab="A", patient="P")
    assert len(scheduler.look().new) == 1
    assert scheduler.look().new == ()


def test_a_refused_slide_comes_in_once_its_wrong_sidecar_is_gone(scheduler: Scheduler) -> None:
    scheduler.store.put_bytes(X, b"slide")
    scheduler.sidecar(X, lab="other")
    assert len(scheduler.look().refused) == 1
    scheduler.store.delete(f"{X}.json")
    assert len(scheduler.look().new) == 1


def test_a_name_that_is_no_text_is_refused(scheduler: Scheduler) -> None:
    folder = Path(scheduler.store.name)
    (folder / "lab" / "patient").mkdir(parents=True)
    (folder / "lab" / "patient" / b"caf\xe9.svs".decode("utf-8", "surrogateescape")).write_bytes(b"slide")
    scheduler.store.put_bytes(X, b"slide")
    first, second = scheduler.look(), scheduler.look()
    assert len(first.new) == 1
    assert "not valid UTF-8" in first.refused[0][1]
    assert second.refused == ()


def test_results_that_were_written_back_are_no_slides(scheduler: Scheduler) -> None:
    for key in ("marrowline-results/lab/p/overlay.png", f"{X}.status.json"):
        scheduler.store.put_bytes(key, b"{}")
    assert scheduler.look() == ListingReport(listed=0, new=(), refused=(), missing=(), failed=0)


def test_a_replaced_object_supersedes_the_old_one(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.store.put_bytes(X, b"slide")
    [old] = scheduler.look().new
    read(lab, old, ["lymphocyte"] * 3)
    assert _standing(lab) == Standing(finding="no_evidence", cells=3, done=1, open=0, quarantined=0)
    scheduler.store.put_bytes(X, b"another slide")
    [new] = scheduler.look().new
    assert new != old
    assert _standing(lab) == Standing(finding="incomplete", cells=0, done=0, open=1, quarantined=0)
    assert scheduler.look().new == ()


def test_an_object_is_missing_when_two_looks_did_not_find_it(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.store.put_bytes(X, b"slide")
    scheduler.store.put_bytes("lab/other/y.svs", b"slide")
    for run_id in scheduler.look().new:
        read(lab, run_id)
    path = Path(scheduler.store.name, X)
    path.rename(path.with_name(".away"))
    assert scheduler.look().missing == ()
    assert _standing(lab).finding == "no_evidence"
    assert len(scheduler.look().missing) == 1
    assert scheduler.look().missing == ()
    assert _standing(lab) == Standing(finding="incomplete", cells=0, done=0, open=1, quarantined=0)
    assert _standing(lab, "other").finding == "no_evidence"
    path.with_name(".away").rename(path)
    assert scheduler.look().new == ()  # it was read before
    assert _standing(lab) == Standing(finding="no_evidence", cells=1, done=1, open=0, quarantined=0)


def test_an_object_that_is_there_after_all_is_not_missing(scheduler: Scheduler, lab: Engine) -> None:
    class Forgetful(FolderStore):
        """A store whose listing lags behind."""

        def list(self, prefix: str = "") -> Iterator[StoredObject]:
            return (obj for obj in super().list(prefix) if obj.key != X)

    scheduler.store.put_bytes(X, b"slide")
    scheduler.look()
    lagging = Scheduler(Forgetful(Path(scheduler.store.name)), lab)
    assert [lagging.look().missing for _ in range(3)] == [(), (), ()]


def test_a_bucket_that_cannot_be_listed_makes_nothing_missing(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.store.put_bytes(X, b"slide")
    scheduler.look()
    folder = Path(scheduler.store.name)
    folder.rename(folder.with_name("unmounted"))
    for _ in range(3):
        with pytest.raises(ServiceError):
            scheduler.look()
    folder.with_name("unmounted").rename(folder)
    assert scheduler.look().missing == ()
    assert scalar(lab, "SELECT state FROM slide") == "current"


def test_a_sidecar_that_brings_the_scale_releases_the_slide(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.store.put_bytes(X, b"slide")
    [run_id] = scheduler.look().new
    runs.fail(lab, taken(lab, run_id), code="scale_unknown", cause="no mpp", remedy="add a sidecar", decide=decide)
    assert scheduler.look().new == ()
    scheduler.sidecar(mpp=0.25)
    assert scheduler.look().new == (run_id,)
    assert taken(lab, run_id).declared_mpp_um == 0.25
    assert scheduler.look().new == ()


def test_a_corrected_patient_takes_the_cells_along(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.store.put_bytes(X, b"slide")
    [run_id] = scheduler.look().new
    read(lab, run_id, ["lymphocyte"] * 3)
    scheduler.sidecar(lab="lab", patient="right")
    assert scheduler.look().new == ()
    assert _standing(lab).done == 0
    assert _standing(lab, "right") == Standing(finding="no_evidence", cells=3, done=1, open=0, quarantined=0)


@pytest.mark.parametrize("end", [RunState.DONE, RunState.RUNNING])
def test_a_corrected_scale_has_the_slide_read_again(scheduler: Scheduler, lab: Engine, end: RunState) -> None:
    scheduler.store.put_bytes(X, b"slide")
    [run_id] = scheduler.look().new
    if end == RunState.DONE:
        read(lab, run_id)
    else:
        taken(lab, run_id)
    scheduler.sidecar(mpp=0.5)
    assert scheduler.look().new == (run_id,)
    assert _standing(lab) == Standing(finding="incomplete", cells=0, done=0, open=1, quarantined=0)
    assert taken(lab, run_id).declared_mpp_um == 0.5


def test_a_rewritten_sidecar_that_says_the_same_changes_nothing(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.sidecar(mpp=0.5)
    scheduler.store.put_bytes(X, b"slide")
    [run_id] = scheduler.look().new
    read(lab, run_id)
    scheduler.sidecar(mpp=0.5, patient="patient")
    assert scheduler.look().new == ()
    assert _slide(lab, "run.state") == "done"


def test_a_sidecar_of_the_same_second_is_not_overlooked(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.store.put_bytes(X, b"slide")
    path = Path(scheduler.store.name, X)
    second = 1_700_000_000
    os.utime(path, (second, second))
    [run_id] = scheduler.look().new
    scheduler.sidecar(mpp=0.5)
    os.utime(path.with_name("x.svs.json"), (second, second))
    scheduler.look()
    assert _slide(lab, "declared_mpp_um") == 0.5
    revision = scalar(lab, "SELECT rev FROM patient")
    assert scheduler.look().new == ()
    assert scalar(lab, "SELECT rev FROM patient") == revision
    assert taken(lab, run_id).declared_mpp_um == 0.5


def test_what_is_known_is_not_asked_for_again(scheduler: Scheduler, lab: Engine) -> None:
    class Counting(FolderStore):
        """A store that counts the questions about single objects."""

        asked = 0

        def head(self, key: str, version_id: str = "") -> StoredObject | None:
            self.asked += 1
            return super().head(key, version_id)

        def read_small(self, key: str, limit: int = 65_536) -> bytes | None:
            self.asked += 1
            return super().read_small(key, limit)

    scheduler.store.put_bytes(X, b"slide")
    scheduler.sidecar(X, mpp=0.5)
    scheduler.store.put_bytes("lab/patient/alone.svs", b"slide")
    scheduler.store.put_bytes("refused.svs", b"slide")
    store = Counting(Path(scheduler.store.name))
    counted = Scheduler(store, lab)
    counted.look()
    asked = store.asked
    counted.look()
    assert store.asked == asked > 0


def test_a_date_beyond_the_calendar_stops_nothing(scheduler: Scheduler) -> None:
    scheduler.sidecar(mpp=0.5)
    for name in (X, "lab/patient/y.svs"):
        scheduler.store.put_bytes(name, b"slide")
    for name in ("x.svs", "x.svs.json"):
        os.utime(Path(scheduler.store.name, "lab/patient", name), (1e12, 1e12))
    assert [len(scheduler.look().new) for _ in range(2)] == [2, 0]


def test_pages_make_no_difference(scheduler: Scheduler, lab: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_listing, "_PAGE", 3)
    for number in range(10):
        scheduler.store.put_bytes(f"lab/patient/{number}.svs", b"slide")
        scheduler.sidecar(f"lab/patient/{number}.svs", mpp=0.5)
    assert len(scheduler.look().new) == 10
    Path(scheduler.store.name, "lab/patient/4.svs").unlink()
    assert [(r.listed, r.new, len(r.missing)) for r in (scheduler.look(), scheduler.look())] == [(9, (), 0), (9, (), 1)]
    assert scalar(lab, "SELECT count(*) FROM slide WHERE declared_mpp_um = 0.5") == 10


class Flawed(FolderStore):
    """A store that fails for some keys, or for everything once it was asked for one of them."""

    flawed: tuple[str, ...] = ()
    breaks = False
    away = False

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        if self.away:
            raise ServiceError("away")
        return super().list(prefix)

    def head(self, key: str, version_id: str = "") -> StoredObject | None:
        if key in self.flawed:
            self.away = self.breaks
            raise ServiceError("cannot say")
        return super().head(key, version_id)


@pytest.fixture
def flawed(scheduler: Scheduler, lab: Engine) -> Scheduler:
    return Scheduler(Flawed(Path(scheduler.store.name)), lab)


def test_objects_that_the_store_does_not_give_stop_no_other(flawed: Scheduler, lab: Engine) -> None:
    assert isinstance(flawed.store, Flawed)
    keys = [f"lab/patient/{name}.svs" for name in "abcdefgh"]
    flawed.store.put_bytes(keys[6], b"slide")
    flawed.look()
    for key in keys:
        flawed.store.put_bytes(key, b"slide")
    Path(flawed.store.name, keys[6]).unlink()
    flawed.store.flawed = tuple(keys[:5])
    first, second = flawed.look(), flawed.look()
    assert (len(first.new), first.failed) == (2, 5)
    assert (second.new, second.failed, len(second.missing)) == ((), 5, 1)
    flawed.store.flawed = ()
    assert (len(flawed.look().new), scalar(lab, "SELECT count(*) FROM slide WHERE state = 'current'")) == (5, 7)


def test_objects_that_no_row_holds_stop_no_other(scheduler: Scheduler, lab: Engine) -> None:
    execute(lab, "ALTER TABLE slide ADD CONSTRAINT narrow CHECK (key > 'lab/patient/d')")
    for name in "abcde":
        scheduler.store.put_bytes(f"lab/patient/{name}.svs", b"slide")
    try:
        report = scheduler.look()
    finally:
        execute(lab, "ALTER TABLE slide DROP CONSTRAINT narrow")
    assert (len(report.new), report.failed) == (2, 3)


def test_a_gone_object_that_cannot_be_asked_for_is_not_missing(flawed: Scheduler, lab: Engine) -> None:
    assert isinstance(flawed.store, Flawed)
    keys = [f"lab/patient/{name}.svs" for name in "abcde"]
    for key in keys:
        flawed.store.put_bytes(key, b"slide")
    flawed.look()
    for key in keys:
        Path(flawed.store.name, key).unlink()
    flawed.store.flawed = tuple(keys[:4])
    assert [(report.failed, len(report.missing)) for report in (flawed.look(), flawed.look())] == [(4, 0), (4, 1)]
    assert scalar(lab, "SELECT count(*) FROM slide WHERE state = 'current'") == 4


def test_a_server_that_is_away_ends_the_comparison(flawed: Scheduler, lab: Engine) -> None:
    assert isinstance(flawed.store, Flawed)
    for name in "abcde":
        flawed.store.put_bytes(f"lab/patient/{name}.svs", b"slide")
    execute(lab, "DELETE FROM active_model")
    with pytest.raises(NotAllowedError):
        flawed.look()
    flawed.store.flawed = ("lab/patient/a.svs", "lab/patient/b.svs", "lab/patient/c.svs")
    flawed.store.breaks = True
    with pytest.raises(ServiceError, match="away"):
        flawed.look()


def test_workers_are_told_while_a_long_listing_goes_on(store: FolderStore, lab: Engine) -> None:
    for number in range(5):
        store.put_bytes(f"lab/patient/{number}.svs", b"slide")
    told: list[int] = []
    reconcile(store, lab, SETTINGS, decide, announce=lambda: told.append(scalar(lab, "SELECT count(*) FROM run")))
    assert (told[0], told[-1]) == (1, 5)


def test_a_stop_ends_the_comparison_and_makes_nothing_missing(scheduler: Scheduler, lab: Engine) -> None:
    scheduler.store.put_bytes(X, b"slide")
    scheduler.look()
    Path(scheduler.store.name, X).unlink()
    scheduler.store.put_bytes("lab/patient/y.svs", b"slide")
    for _ in range(3):
        report = reconcile(scheduler.store, lab, SETTINGS, decide, memory=scheduler.memory, stopping=lambda: True)
        assert (report.new, report.missing) == ((), ())
