from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine
from structlog.testing import capture_logs

from db.session import make_engine
from scheduler import service
from scheduler.checks import machine
from scheduler.checks.result import Status
from scheduler.config import SchedulerSettings
from scheduler.service import Line, serve
from scheduler.sweep import SweepReport
from tests.support.rows import decide
from worker.errors import BadRequestError, ServiceError
from worker.rules import DEFAULT_RULE
from worker.store_folder import FolderStore


class SilentBell:
    """A doorbell that nobody hears."""

    def ring(self, run_ids: Collection[int], *, urgent: bool = False) -> int:  # noqa: ARG002 - as below
        return len(run_ids)

    def waiting(self, limit: int) -> set[int]:  # noqa: ARG002 - the doorbell's interface
        return set()

    def take_back(self, count: int) -> int:  # noqa: ARG002 - as above
        return 0

    def ring_pages(self, patient_ids: Collection[int]) -> int:
        return len(patient_ids)

    def waiting_pages(self, limit: int) -> set[int]:  # noqa: ARG002 - as above
        return set()


@dataclass
class Script:
    """An event source that goes through a list of errors and then stops the service."""

    errors: list[Exception]
    stop: threading.Event
    every_s: float = 0.001
    name: str = "script"
    polled: int = field(default=0)

    def poll(self) -> int:
        self.polled += 1
        if self.errors:
            raise self.errors.pop(0)
        self.stop.set()
        return 0


@pytest.fixture
def line(tmp_path: Path, no_postgres: Engine) -> Line:
    settings = SchedulerSettings(sweep_s=0.01, list_s=0.01)
    return Line(store=FolderStore(tmp_path), engine=no_postgres, bell=SilentBell(), settings=settings, decide=decide)


@pytest.fixture
def no_postgres(monkeypatch: pytest.MonkeyPatch) -> Engine:
    for module in ("sweep", "status"):
        monkeypatch.setattr(f"scheduler.{module}.PATIENCE_S", 0.01)
    return make_engine("postgresql://nobody@127.0.0.1:1/none")


def test_trouble_is_logged_and_waited_out(line: Line) -> None:
    stop = threading.Event()
    source = Script([ServiceError("the bucket is away")] * 3, stop)
    with capture_logs() as logs:
        serve(line, stop, sources=[source])
    assert source.polled == 4
    told = [entry for entry in logs if entry["event"] == "script failed"]
    assert [entry["in_succession"] for entry in told] == [1, 2, 3]
    assert all(entry["error"] == "the bucket is away" for entry in told)


def test_a_bug_stops_the_service_and_rises(line: Line) -> None:
    stop = threading.Event()
    with pytest.raises(ZeroDivisionError):
        serve(line, stop, sources=[Script([ZeroDivisionError()], stop)])
    assert stop.is_set()


def test_postgres_may_be_away(line: Line) -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with capture_logs() as logs:
        serve(line, stop, sources=[])
    assert "sweep failed" in {entry["event"] for entry in logs}


def test_a_stop_does_not_wait_for_the_next_turn(line: Line) -> None:
    stop = threading.Event()
    slow = Script([], stop, every_s=3600)
    serve(line, stop, sources=[slow])
    assert slow.polled == 1


@pytest.mark.parametrize(("failures", "least", "most"), [(0, 15, 15), (1, 15, 30), (2, 30, 60), (50, 30, 60)])
def test_pauses_grow_to_a_minute(failures: int, least: float, most: float) -> None:
    assert least <= service._pause_s(15.0, failures) <= most


@pytest.mark.parametrize(
    ("name", "value", "told"), [("KEY_PATTERN", "{case}", "KEY_PATTERN"), ("RULE", "marrowline-1", DEFAULT_RULE)]
)
def test_settings_that_cannot_work_are_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv("MARROWLINE_DATABASE_URL", "postgresql://host/name")
    monkeypatch.setenv("MARROWLINE_BUCKET", str(tmp_path))
    monkeypatch.setenv(f"MARROWLINE_{name}", value)
    with pytest.raises(BadRequestError, match=told):
        service.line_from_settings(decide)
    check = machine.settings()
    assert (check.status, told in check.found) == (Status.FAILED, True)


def test_the_settings_as_they_come_can_work() -> None:
    assert machine.settings().status == Status.OK


def test_an_unknown_specimen_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARROWLINE_DEFAULT_SPECIMEN", "marow")
    with pytest.raises(ValidationError, match="'marrow'"):
        SchedulerSettings()


class Watch(threading.Event):
    """Waits no time, and stops after so many waits."""

    def __init__(self, stop: threading.Event, most: int) -> None:
        super().__init__()
        self._stop, self._most = stop, most
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if len(self.waits) == self._most:
            self._stop.set()
        return True


@pytest.mark.parametrize(
    ("again", "waits"), [(0, [0.25] * 6), (1, [0.5, 1, 2, 4])], ids=["a worker took it", "it was thrown away"]
)
def test_workers_that_throw_messages_away_are_not_fed_ever_more(
    line: Line, monkeypatch: pytest.MonkeyPatch, again: int, waits: list[float]
) -> None:
    monkeypatch.setattr(service, "_swept", lambda _: SweepReport(rung=1, again=again, pages=1))
    monkeypatch.setattr(service, "forget_workers", lambda _: None)
    stop = threading.Event()
    hurry = Watch(stop, most=6)
    service._sweep(replace(line, settings=SchedulerSettings(sweep_s=4)), stop, hurry)
    assert hurry.waits == waits
