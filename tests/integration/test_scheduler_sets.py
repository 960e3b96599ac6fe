"""A folder and a real Postgres: slides of several files, from the first of them to exactly one run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from db import runs
from db.records import StoredObject
from db.session import transaction
from db.slide_files import FoundSet
from scheduler import changes, comparison, registration, set_intake, set_listing
from scheduler.changes import Memory
from scheduler.comparison import ListingReport
from scheduler.config import SchedulerSettings
from scheduler.listing import reconcile
from tests.support.rows import Standing, decide, execute, read, scalar, standing, taken
from worker.store_folder import FolderStore

MRXS = "lab/patient/x.mrxs"
VMS = "lab/patient/x.vms"
SERIES = "lab/patient/s/"
SLIDEDAT = (
    b"\xef\xbb\xbf[HIERARCHICAL]\nINDEXFILE = Index.dat\n[DATAFILE]\nFILE_COUNT = 2\nFILE_0 = a.dat\nFILE_1 = b.dat\n"
)
INDEX = b"[Virtual Microscope Specimen]\nImageFile=x.jpg\nImageFile(1,0)=x(1,0).jpg\nMapFile=x_map.jpg\n"
OF_MRXS = ("x/Slidedat.ini", "x/Index.dat", "x/a.dat", "x/b.dat")


class Scheduler:
    """Compares again and again with one memory, as the service does, and puts objects in between."""

    def __init__(self, store: FolderStore, engine: Engine, *, quiet_s: float = 3600) -> None:
        self.store = store
        self.engine = engine
        self.settings = SchedulerSettings(set_quiet_s=quiet_s)
        self.memory = Memory()

    def look(self) -> ListingReport:
        report = reconcile(self.store, self.engine, self.settings, decide, memory=self.memory)
        assert report.failed == 0
        return report

    def put(self, *names: str, data: bytes = b"data") -> None:
        for name in names:
            content = {"x/Slidedat.ini": SLIDEDAT, "x.vms": INDEX}.get(name, data)
            self.store.put_bytes(f"lab/patient/{name}", content)

    def slides(self) -> list[str]:
        with transaction(self.engine) as conn:
            rows = conn.exec_driver_sql("SELECT key || ' ' || object_state FROM report.slides ORDER BY slide_id")
            return [str(value) for value in rows.scalars()]

    def files(self) -> list[str]:
        """Return the files of the current slide, without their folder."""
        current = "SELECT slide_file.key FROM slide_file JOIN slide ON slide.id = slide_id WHERE state = 'current'"
        with transaction(self.engine) as conn:
            keys = conn.exec_driver_sql(f"{current} ORDER BY slide_file.key").scalars()
            return [str(key).removeprefix("lab/patient/") for key in keys]


@pytest.fixture
def scheduler(tmp_path: Path, lab: Engine) -> Scheduler:
    (tmp_path / "bucket").mkdir()
    return Scheduler(FolderStore(tmp_path / "bucket"), lab)


def _standing(scheduler: Scheduler) -> Standing:
    with transaction(scheduler.engine) as conn:
        return standing(conn)


def test_an_mrxs_waits_for_all_its_files_and_gets_one_run(scheduler: Scheduler) -> None:
    scheduler.put("x/b.dat")
    assert scheduler.look() == ListingReport(listed=0, new=(), refused=(), missing=(), failed=0)
    for name in ("x.mrxs", *OF_MRXS[:-2], "x/notes.txt"):
        scheduler.put(name)
        assert scheduler.look().new == ()
        assert scheduler.slides() == [f"{MRXS} incomplete"]
    reason = scalar(scheduler.engine, "SELECT reason FROM report.slides")
    assert (reason, _standing(scheduler).finding) == ("not all of its files have arrived", "incomplete")
    scheduler.put("x/a.dat")
    [run_id] = scheduler.look().new
    assert scheduler.slides() == [f"{MRXS} current"]
    assert scheduler.files() == ["x.mrxs", "x/Index.dat", "x/Slidedat.ini", "x/a.dat", "x/b.dat"]
    assert taken(scheduler.engine, run_id).obj.size == 4 * 4 + len(SLIDEDAT)
    assert scheduler.look().new == ()
    assert scalar(scheduler.engine, "SELECT count(*) FROM run") == 1


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_arrival_makes_no_difference(scheduler: Scheduler, order: int) -> None:
    new: list[int] = []
    for name in ("x.mrxs", *OF_MRXS)[::order]:
        scheduler.put(name)
        new += scheduler.look().new
    assert len(new) == 1
    assert scheduler.slides() == [f"{MRXS} current"]


def test_what_is_known_whole_is_not_looked_at_again(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler.put("x.mrxs", *OF_MRXS, "x.vms", "x.jpg", "x(1,0).jpg", "x_map.jpg", "s/1.dcm", "s/_COMPLETE")
    scheduler.look()
    assert len(scheduler.slides()) == 3
    monkeypatch.setattr(comparison, "take_in", lambda *_, **__: pytest.fail("looked at again"))
    scheduler.look()


def test_an_incomplete_set_is_looked_at_again_when_something_of_it_changes(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []

    def noted(*arguments: Any, **named: Any) -> FoundSet | None:
        looked_at.append(arguments[1])
        return set_intake.look_up(*arguments, **named)

    def looks() -> list[str]:
        looked_at.clear()
        scheduler.look()
        return sorted(looked_at)

    monkeypatch.setattr(registration, "look_up", noted)
    scheduler.put("x.mrxs", *OF_MRXS[:2], "x.vms")
    assert [looks(), looks()] == [[MRXS, VMS], []]
    for name in ("x/a.dat", "x/_COMPLETE"):
        scheduler.put(name)
        assert looks() == [MRXS]
    assert [looks(), sorted(scheduler.slides())] == [[], [f"{MRXS} current", f"{VMS} incomplete"]]
    _say(scheduler, "x.vms.json", stain="MGG")
    scheduler.put("x_map.jpg")
    assert [looks(), looks()] == [[VMS], []]
    monkeypatch.setattr(changes, "_LONGEST_WAIT_S", 0.0)
    assert looks() == [VMS]


def test_an_incomplete_set_that_went_missing_comes_back(scheduler: Scheduler) -> None:
    scheduler.put("x.mrxs", "x/a.dat")
    scheduler.look()
    path = Path(scheduler.store.name, "lab/patient/x.mrxs")
    path.rename(path.with_suffix(".away"))
    for _ in range(2):
        scheduler.look()
    assert scheduler.slides() == [f"{MRXS} missing"]
    path.with_suffix(".away").rename(path)
    scheduler.look()
    assert scheduler.slides() == [f"{MRXS} superseded", f"{MRXS} incomplete"]


def test_a_replaced_file_makes_another_slide_and_a_returned_one_the_old(scheduler: Scheduler) -> None:
    scheduler.put("x.mrxs", *OF_MRXS)
    [old] = scheduler.look().new
    read(scheduler.engine, old, ["lymphocyte"] * 3)
    path = Path(scheduler.store.name, "lab/patient/x/a.dat")
    path.rename(path.with_name("kept.txt"))
    scheduler.put("x/a.dat", data=b"other")
    [new] = scheduler.look().new
    assert scheduler.slides() == [f"{MRXS} superseded", f"{MRXS} current"]
    assert _standing(scheduler) == Standing(finding="incomplete", cells=0, done=0, open=1, quarantined=0)
    path.with_name("kept.txt").rename(path)
    assert scheduler.look().new == (old,)
    assert new != old
    assert scheduler.slides() == [f"{MRXS} current", f"{MRXS} superseded"]


def test_a_set_that_loses_a_file_is_incomplete_until_it_is_back(scheduler: Scheduler) -> None:
    scheduler.put("x.mrxs", *OF_MRXS)
    [run_id] = scheduler.look().new
    path = Path(scheduler.store.name, "lab/patient/x/b.dat")
    path.rename(path.with_suffix(".away"))
    for _ in range(2):
        assert scheduler.look().new == ()
        assert scheduler.slides() == [f"{MRXS} superseded", f"{MRXS} incomplete"]
    path.with_suffix(".away").rename(path)
    assert scheduler.look().new == (run_id,)
    assert scheduler.slides() == [f"{MRXS} current", f"{MRXS} superseded"]


def test_the_same_beginning_twice_is_two_slides(scheduler: Scheduler) -> None:
    scheduler.put("x.mrxs", *OF_MRXS[:2])
    scheduler.look()
    scheduler.put(*OF_MRXS[2:])
    assert len(scheduler.look().new) == 1
    for name in OF_MRXS[2:]:
        scheduler.store.delete(f"lab/patient/{name}")
    scheduler.look()
    scheduler.put(*OF_MRXS[2:], data=b"other")
    assert len(scheduler.look().new) == 1
    assert scheduler.slides() == [f"{MRXS} superseded", f"{MRXS} current"]


def test_a_set_that_is_gone_is_missing(scheduler: Scheduler) -> None:
    scheduler.put("x.mrxs", *OF_MRXS[:2], "s/1.dcm", "s/_COMPLETE")
    scheduler.look()
    for name in ("x.mrxs", "s/1.dcm", "s/_COMPLETE"):
        scheduler.store.delete(f"lab/patient/{name}")
    assert [len(scheduler.look().missing) for _ in range(3)] == [0, 2, 0]
    assert sorted(scheduler.slides()) == [f"{SERIES} missing", f"{MRXS} missing"]


def test_a_marker_says_that_all_has_come(scheduler: Scheduler) -> None:
    scheduler.put("x.mrxs", *OF_MRXS[:2], "s/1.dcm")
    assert scheduler.look().new == ()
    scheduler.put("x/_COMPLETE", "s/_COMPLETE")
    assert len(scheduler.look().new) == 2
    assert scheduler.look().new == ()


def test_a_series_is_whole_when_nothing_changes_for_a_while(scheduler: Scheduler) -> None:
    def pass_by(seconds: int) -> list[int]:
        execute(scheduler.engine, f"UPDATE slide SET seen_at = seen_at - interval '{seconds} s'")
        return list(scheduler.look().new)

    scheduler.settings = SchedulerSettings(set_quiet_s=60)
    scheduler.put("s/1.dcm")
    assert [scheduler.look().new, pass_by(50)] == [(), []]
    scheduler.put("s/2.dcm")
    assert [pass_by(50), pass_by(50)] == [[], []]  # the first of them saw the second file
    assert len(pass_by(20)) == 1
    assert scheduler.files() == ["s/1.dcm", "s/2.dcm"]
    assert scheduler.slides() == [f"{SERIES} current"]


def test_an_index_that_stays_nonsense_is_left_to_the_reader(scheduler: Scheduler) -> None:
    scheduler.settings = SchedulerSettings(set_quiet_s=0.0)
    scheduler.put("x.mrxs")
    scheduler.store.put_bytes("lab/patient/x/Slidedat.ini", b"nonsense")
    assert [len(scheduler.look().new) for _ in range(3)] == [0, 1, 0]


def test_pictures_that_came_before_their_vms_are_no_slides_any_more(scheduler: Scheduler) -> None:
    scheduler.put("x.jpg", "x(1,0).jpg")
    for run_id in scheduler.look().new:
        read(scheduler.engine, run_id)
    assert _standing(scheduler).done == 2
    scheduler.put("x.vms")
    assert scheduler.look().new == ()
    assert _standing(scheduler) == Standing(finding="incomplete", cells=0, done=0, open=1, quarantined=0)
    scheduler.put("x_map.jpg")
    assert len(scheduler.look().new) == 1
    assert scheduler.files() == ["x(1,0).jpg", "x.jpg", "x.vms", "x_map.jpg"]
    assert scheduler.look().new == ()


def test_another_vms_in_the_folder_does_not_touch_the_first(scheduler: Scheduler) -> None:
    scheduler.put("x.vms", "x.jpg", "x(1,0).jpg", "x_map.jpg")
    assert len(scheduler.look().new) == 1
    scheduler.put("y.vms", data=b"[Virtual Microscope Specimen]\nImageFile=y.jpg\nMapFile=y_map.jpg\n")
    scheduler.put("y.jpg", "y_map.jpg")
    assert len(scheduler.look().new) == 1
    assert scheduler.slides() == [f"{VMS} current", "lab/patient/y.vms current"]
    scheduler.put("x_map.jpg", data=b"other")
    assert len(scheduler.look().new) == 1
    assert scheduler.slides() == [f"{VMS} superseded", "lab/patient/y.vms current", f"{VMS} current"]


def test_a_set_that_is_uploaded_again_is_not_read_half_old_half_new(scheduler: Scheduler) -> None:
    scheduler.put("x.mrxs", *OF_MRXS, "s/1.dcm", "s/2.dcm", "s/_COMPLETE")
    assert len(scheduler.look().new) == 2
    for sidecar in ("x.mrxs.json", "s.json"):
        _say(scheduler, sidecar, uploading=True)
    assert scheduler.look().new == ()
    assert sorted(scheduler.slides()) == [f"{SERIES} current", f"{MRXS} current"], "no file is replaced yet"
    scheduler.put("x/a.dat", "s/1.dcm", data=b"other")
    scheduler.settings = SchedulerSettings(set_quiet_s=0)
    for _ in range(2):
        assert scheduler.look().new == ()
    assert _standing(scheduler).finding == "incomplete"
    scheduler.put("x/b.dat", "s/2.dcm", data=b"other")
    assert scheduler.look().new == ()
    for sidecar in ("x.mrxs.json", "s.json"):
        _say(scheduler, sidecar)
    assert len(scheduler.look().new) == 2
    assert scheduler.look().new == ()
    states = [f"{key} {state}" for key in (SERIES, MRXS) for state in ("current", "superseded")]
    assert sorted(scheduler.slides()) == states


@pytest.mark.parametrize("ends", [False, True])
def test_an_upload_that_begins_or_ends_during_a_look_is_noticed(scheduler: Scheduler, *, ends: bool) -> None:
    class Busy(FolderStore):
        """A folder in which an upload begins, or ends, as its files are listed."""

        def list(self, prefix: str = "") -> Iterator[StoredObject]:
            self.put_bytes("lab/patient/x/a.dat", b"other")
            listed = list(super().list(prefix))
            if prefix:
                _say(scheduler, "x.mrxs.json", uploading=not ends)
            return iter(listed)

    scheduler.put("x.mrxs", *OF_MRXS)
    _say(scheduler, "x.mrxs.json", uploading=ends)
    scheduler.store = Busy(Path(scheduler.store.name))
    assert scheduler.look().new == ()


def test_a_slide_or_picture_among_the_data_of_an_mrxs_is_refused_unless_its_sidecar_places_it(
    scheduler: Scheduler,
) -> None:
    scheduler.put("x.mrxs", *OF_MRXS, "x/other.svs", "x/field.png", "x/notes.txt")
    report = scheduler.look()
    assert len(report.new) == 1
    assert [key for key, _ in report.refused] == ["lab/patient/x/field.png", "lab/patient/x/other.svs"]
    assert all("move the object" in reason for _, reason in report.refused)
    _say(scheduler, "x/other.svs.json", lab="lab", patient="patient")
    assert len(scheduler.look().new) == 1
    assert scheduler.slides() == [f"{MRXS} current", "lab/patient/x/other.svs current"]


@pytest.mark.parametrize(("name", "sidecar"), [("x.mrxs", "x.mrxs.json"), ("s/1.dcm", "s.json")])
def test_the_sidecar_of_a_set_holds_before_and_after_it_is_whole(scheduler: Scheduler, name: str, sidecar: str) -> None:
    folder = name[0]
    scheduler.put(name, f"{folder}/Slidedat.ini")
    scheduler.look()
    _say(scheduler, sidecar, patient="right", mpp=0.5)
    assert len(scheduler.look().refused) == 1  # the key says another patient
    _say(scheduler, sidecar, lab="lab", patient="right", mpp=0.5)
    scheduler.look()
    assert scalar(scheduler.engine, "SELECT patient FROM report.slides") == "right"
    scheduler.put(f"{folder}/_COMPLETE")
    [run_id] = scheduler.look().new
    claim = taken(scheduler.engine, run_id)
    assert claim.declared_mpp_um == 0.5
    runs.fail(scheduler.engine, claim, code="scale_unknown", cause="no mpp", remedy="say it", decide=decide)
    assert scheduler.look().new == ()
    _say(scheduler, sidecar, lab="lab", patient="right", mpp=0.25)
    assert scheduler.look().new == (run_id,)
    assert taken(scheduler.engine, run_id).declared_mpp_um == 0.25
    assert scheduler.look().new == ()


def test_too_many_files_are_refused_once(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_intake, "MOST_FILES", 3)
    scheduler.put(*(f"s/{number}.dcm" for number in range(4)), "y.svs")
    first, second = scheduler.look(), scheduler.look()
    assert [key for key, _ in first.refused] == [SERIES]
    assert (len(first.new), second.refused) == (1, ())


def test_pages_make_no_difference(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_listing, "_PAGE", 3)
    scheduler.put("x.mrxs", *OF_MRXS, "a.svs", "x.vms", "x.jpg", "x(1,0).jpg", "x_map.jpg", "s/1.dcm", "s/_COMPLETE")
    assert len(scheduler.look().new) == 4
    assert scheduler.look().new == ()


def test_two_schedulers_make_one_slide_of_it(scheduler: Scheduler) -> None:
    scheduler.put("x.mrxs", *OF_MRXS)
    other = Scheduler(scheduler.store, scheduler.engine)
    assert len(scheduler.look().new + other.look().new) == 1
    execute(scheduler.engine, "UPDATE slide SET last_modified = '2020-01-01'")
    assert other.look().new == ()
    assert scheduler.slides() == [f"{MRXS} current"]


def test_versions_of_the_files_are_stored_where_the_bucket_keeps_them(scheduler: Scheduler) -> None:
    class Versioned(FolderStore):
        """A store whose objects have version ids, which only `head` tells."""

        def head(self, key: str, version_id: str = "") -> StoredObject | None:
            obj = super().head(key, version_id)
            return obj and replace(obj, version_id=f"v-{obj.key[-5:]}")

    scheduler.store = Versioned(Path(scheduler.store.name))
    scheduler.put("x.mrxs", *OF_MRXS)
    assert len(scheduler.look().new) == 1
    versions = scalar(scheduler.engine, "SELECT string_agg(version_id, ' ' ORDER BY key) FROM slide_file")
    assert versions == "v-.mrxs v-x.dat v-t.ini v-a.dat v-b.dat"
    assert scheduler.look().new == ()


def _say(scheduler: Scheduler, name: str, **fields: object) -> None:
    scheduler.put(name, data=json.dumps(fields).encode())
