"""Reports in the bucket, on real servers: due by a verdict, written by a worker, told beside the slides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError
from structlog.testing import capture_logs

from db import audit, corrections, models, pages, runs, workers
from db.cases import case_of as real_case_of
from db.corrections import Said
from db.errors import NotFoundError
from db.session import transaction
from scheduler.config import SchedulerSettings
from scheduler.doorbell import CeleryDoorbell, patient_of, run_of
from scheduler.listing import reconcile
from scheduler.status import Desk, tell_labs
from scheduler.sweep import SweepReport, sweep
from tests.support.commands import Command
from tests.support.redis import RedisServer
from tests.support.rights import acting_as
from tests.support.rows import MODEL, add_slide, batch, execute, plan, scalar, taken
from tests.support.workshops import workshop_on
from worker import queues
from worker.errors import ServiceError, StoreRefusedError
from worker.read_run import Bench
from worker.rules import DEFAULT_RULE
from worker.storage import RESULTS_PREFIX
from worker.verdict import decide
from worker.write_page import Outcome, write_page

SLIDE = b"no pixels in it"
BLASTS = ["lymphoblast"] * 300 + ["lymphocyte"] * 300
HEADLINE = "Consistent with acute lymphoblastic leukaemia (ALL)"
KEY = "SELECT key FROM report_page"
STANDS = """
    SELECT page.rev = verdict.rev FROM report_page AS page JOIN verdict USING (patient_id)
      JOIN patient ON (patient.id, shown_model_id) = (patient_id, model_version_id)
"""
_ARCHIVE = """
    SET LOCAL session_replication_role = replica;
    INSERT INTO patient (lab_id, pseudonym, rev, shown_model_id)
      SELECT lab_id, 'p' || n, rev, shown_model_id FROM patient, generate_series(1, 3000) AS n;
    INSERT INTO verdict SELECT (jsonb_populate_record(one, jsonb_build_object('patient_id', patient.id))).*
      FROM verdict AS one, patient WHERE patient.id > 1;
    INSERT INTO slide OVERRIDING SYSTEM VALUE
      SELECT (jsonb_populate_record(one, jsonb_build_object('id', n, 'patient_id', n, 'key', n))).*
        FROM slide AS one, generate_series(2, 3000) AS n;
    INSERT INTO run OVERRIDING SYSTEM VALUE
      SELECT (jsonb_populate_record(one, jsonb_build_object('id', n, 'slide_id', n))).*
        FROM run AS one, generate_series(2, 3000) AS n;
    ANALYZE;
"""
"""Three thousand further patients as the first one is."""


@pytest.fixture
def bell(redis_server: RedisServer) -> CeleryDoorbell:
    return CeleryDoorbell(queues.make_app(redis_server.url))


@pytest.fixture
def bench(lab: Engine, tmp_path: Path) -> Bench:
    """A worker's equipment, with an empty bucket: reports have no pictures here."""
    made = workshop_on(lab, tmp_path)
    return Bench(
        engine=lab, store=made.store, cache=made.cache, settings=made.settings, worker_id="w1", load_model=_no_model
    )


def _no_model(name: str) -> Any:
    raise AssertionError(f"a report needs no model, {name} was asked for")


def read(engine: Engine, name: str = "a", *, patient: str = "patient", classes: list[str] | None = None) -> int:
    """Read a slide to its end, judged by the real rules."""
    run_id = add_slide(engine, name, patient=patient)
    finish(engine, run_id, classes or BLASTS)
    return run_id


def finish(engine: Engine, run_id: int, classes: list[str]) -> None:
    execute(engine, f"UPDATE lab SET rule = '{DEFAULT_RULE}'")
    claim = taken(engine, run_id)
    runs.store_plan(engine, claim, replace(plan(), sha256=sha256(SLIDE).hexdigest()))
    runs.write_batch(engine, claim, batch(classes=classes))
    runs.finish(engine, claim, decide)


def swept(engine: Engine, bell: CeleryDoorbell) -> SweepReport:
    return sweep(engine, bell, decide, with_pages=True)


def rung(server: RedisServer) -> Iterator[bytes]:
    """Take messages as workers do, and yield them."""
    with server.client() as client:
        while message := client.brpop(list(queues.LISTS.values()), timeout=1):
            yield message[1]


def page_of(bench: Bench) -> str:
    found = bench.store.read_small(scalar(bench.engine, KEY), 10**7)
    assert found is not None
    return found.decode()


def held(engine: Engine, bell: CeleryDoorbell, *, lease_s: float = 60) -> pages.PageClaim:
    swept(engine, bell)
    claim = pages.claim(engine, 1, lease_s=lease_s)
    assert claim is not None
    return claim


def test_a_verdict_leads_to_one_message_and_to_the_report(
    bench: Bench, bell: CeleryDoorbell, redis_server: RedisServer
) -> None:
    read(bench.engine)
    assert swept(bench.engine, bell) == SweepReport(rung=1, pages=1)
    assert swept(bench.engine, bell) == SweepReport(pages=1)  # and not rung for twice
    messages = list(rung(redis_server))
    assert [patient_of(one) for one in messages] == [1]
    assert b"lab" not in messages[0].replace(b"callbacks", b"")
    assert write_page(1, bench) is Outcome.WRITTEN
    assert scalar(bench.engine, KEY).startswith("marrowline-results/lab/report-")
    page = page_of(bench)
    for words in (HEADLINE, "patient", "Research use only, not for diagnostic procedures"):
        assert words in page
    assert swept(bench.engine, bell) == SweepReport()
    assert write_page(1, bench) is Outcome.REFUSED  # a message that comes twice


def test_the_case_leaves_the_row_with_the_report(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine)
    swept(bench.engine, bell)
    assert "patient" in json.dumps(scalar(bench.engine, "SELECT document FROM report_page"))
    write_page(1, bench)
    assert scalar(bench.engine, "SELECT num_nulls(document, document_wanted, document_rev) FROM report_page") == 3


def test_a_correction_changes_the_report_under_the_same_key(bench: Bench, bell: CeleryDoorbell) -> None:
    run_id = read(bench.engine)
    swept(bench.engine, bell)
    write_page(1, bench)
    key = scalar(bench.engine, KEY)
    words = [
        Said(where="", run_id=run_id, batch_no=0, cell_no=no, cell_class="lymphocyte") for no in range(len(BLASTS) // 2)
    ]
    with transaction(bench.engine) as conn:
        corrections.record(conn, words, "p", decide)
    assert swept(bench.engine, bell).pages == 1
    assert HEADLINE in page_of(bench)
    assert write_page(1, bench) is Outcome.WRITTEN
    assert (scalar(bench.engine, KEY), scalar(bench.engine, STANDS)) == (key, True)
    assert HEADLINE not in page_of(bench)


def test_an_activation_puts_no_report_again_that_is_as_it_would_be(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine)
    swept(bench.engine, bell)
    assert write_page(1, bench) is Outcome.WRITTEN
    key, at = scalar(bench.engine, KEY), "SELECT written_at FROM report_page"
    execute(bench.engine, "UPDATE report_page SET written_at = written_at - interval '2 days'")
    lies, noted = bench.store.head(key), scalar(bench.engine, at)
    with transaction(bench.engine) as conn:
        models.register_model(conn, replace(MODEL, name="m2", weights_sha256="c" * 64))
        models.activate(conn, "m2", decide)
    assert swept(bench.engine, bell).pages == 1
    assert write_page(1, bench) is Outcome.UNCHANGED
    assert (bench.store.head(key), scalar(bench.engine, at)) == (lies, noted)
    assert scalar(bench.engine, STANDS)  # statuses go on naming it
    with transaction(bench.engine) as conn:
        assert pages.put_within(conn, timedelta(days=1)) == 0
        models.activate(conn, MODEL.name, decide)
    with transaction(bench.engine) as conn:
        assert audit.verify(conn).faults == []


@pytest.mark.parametrize("altered", [True, False])
def test_a_report_that_was_altered_or_taken_away_is_put_again(
    bench: Bench, bell: CeleryDoorbell, *, altered: bool
) -> None:
    read(bench.engine)
    swept(bench.engine, bell)
    write_page(1, bench)
    key, page = scalar(bench.engine, KEY), page_of(bench)
    if altered:
        bench.store.put_bytes(key, page.replace("leukaemia", "LEUKAEMIA").encode())
    else:
        bench.store.delete(key)
    execute(bench.engine, "UPDATE report_page SET wanted = wanted + 1")
    swept(bench.engine, bell)
    assert write_page(1, bench) is Outcome.WRITTEN
    assert page_of(bench) == page


def test_a_worker_that_may_not_list_puts_what_it_is_refused_to_look_at(
    bench: Bench, bell: CeleryDoorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(bench.engine)
    swept(bench.engine, bell)

    def refused(key: str, version_id: str = "") -> None:  # noqa: ARG001 - the store's interface
        raise StoreRefusedError("403")  # what S3 says of an absent key to who may not list

    monkeypatch.setattr(bench.store, "head", refused)
    assert write_page(1, bench) is Outcome.WRITTEN
    assert HEADLINE in page_of(bench)


def test_no_report_is_due_of_a_verdict_that_may_not_be_told(bench: Bench, bell: CeleryDoorbell) -> None:
    add_slide(bench.engine, "waits", patient="new")
    assert swept(bench.engine, bell).pages == 0
    read(bench.engine, classes=["lymphocyte"])
    add_slide(bench.engine, "late")  # the finding is incomplete before the report was handed out
    assert scalar(bench.engine, "SELECT written < wanted FROM report_page")
    assert swept(bench.engine, bell).pages == 0
    assert not scalar(bench.engine, "SELECT written < wanted FROM report_page")


def test_lost_messages_are_made_up_for_and_a_report_that_is_written_is_left_alone(
    bench: Bench, bell: CeleryDoorbell, redis_server: RedisServer
) -> None:
    read(bench.engine)
    swept(bench.engine, bell)
    with redis_server.client() as client:
        client.flushall()
    assert swept(bench.engine, bell) == SweepReport(rung=1, again=1, pages=1)
    list(rung(redis_server))
    claim = pages.claim(bench.engine, 1, lease_s=60)
    assert claim is not None
    assert swept(bench.engine, bell) == SweepReport(pages=1)
    assert pages.claim(bench.engine, 1, lease_s=60) is None


def test_few_reports_are_on_their_way_within_the_budget_and_after_all_slides(
    bench: Bench, bell: CeleryDoorbell, redis_server: RedisServer
) -> None:
    for number in range(4):
        read(bench.engine, patient=f"p{number}", classes=["lymphocyte"])
    for number in range(8):
        workers.seen(bench.engine, f"w{number}", "host", "cpu")
    assert swept(bench.engine, bell) == SweepReport(rung=2, pages=2)
    for number in range(40):
        add_slide(bench.engine, str(number), patient="more")
    assert swept(bench.engine, bell) == SweepReport(waiting=0, rung=30, pages=2)
    assert bell.depth() == 32
    taken_in_order = list(rung(redis_server))
    assert None not in [run_of(one) for one in taken_in_order[:30]]
    assert sorted(patient_of(one) or 0 for one in taken_in_order[30:]) == [1, 2]


def test_messages_do_not_multiply_when_workers_leave(bench: Bench, bell: CeleryDoorbell) -> None:
    for number in range(3):
        read(bench.engine, patient=f"p{number}", classes=["lymphocyte"])
    for number in range(12):
        workers.seen(bench.engine, f"w{number}", "host", "cpu")
    assert swept(bench.engine, bell) == SweepReport(rung=3, pages=3)
    execute(bench.engine, "UPDATE worker SET seen_at = now() - interval '1 hour'")
    for _ in range(3):
        assert swept(bench.engine, bell).rung == 0
    assert bell.depth() == 3


def test_reports_that_ended_as_incomplete_keep_no_other_waiting(bench: Bench, bell: CeleryDoorbell) -> None:
    for number in range(5):
        read(bench.engine, patient=f"p{number}", classes=["lymphocyte"])
    for number in range(4):
        add_slide(bench.engine, "late", patient=f"p{number}")
    assert swept(bench.engine, bell).pages == 1
    assert write_page(5, bench) is Outcome.WRITTEN


def test_a_case_that_the_verdict_leaves_behind_is_written_by_nobody(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine, classes=["lymphocyte"])
    assert swept(bench.engine, bell) == SweepReport(rung=1, pages=1)
    read(bench.engine, "b", classes=["lymphocyte"])
    assert swept(bench.engine, bell) == SweepReport(pages=1)  # the message that waits is for the new case
    assert scalar(bench.engine, "SELECT document_rev = verdict.rev FROM report_page JOIN verdict USING (patient_id)")
    add_slide(bench.engine, "late")  # and now none may be told
    assert swept(bench.engine, bell).pages == 0
    assert write_page(1, bench) is Outcome.REFUSED
    assert scalar(bench.engine, KEY) is None


def test_who_writes_a_case_that_is_left_behind_is_left_to_it(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine)
    claim = held(bench.engine, bell)
    read(bench.engine, "b")
    assert swept(bench.engine, bell) == SweepReport(pages=1)
    assert pages.written(bench.engine, claim, "marrowline-results/lab/x.html")


def test_a_sweep_waits_for_nobody_who_judges_patients(bench: Bench, bell: CeleryDoorbell) -> None:
    for patient in ("left behind", "lost"):
        read(bench.engine, patient=patient)
    swept(bench.engine, bell)
    execute(bench.engine, "UPDATE report_page SET tries = 8 WHERE patient_id = 2")
    execute(bench.engine, "UPDATE verdict SET rev = rev + 1 WHERE patient_id = 1")
    with transaction(bench.engine) as judging, transaction(bench.engine) as conn:
        judging.exec_driver_sql("SELECT 1 FROM report_page FOR UPDATE")
        assert (pages.take_back(conn), pages.give_up_lost(conn)) == ([], [])
    with transaction(bench.engine) as conn:
        assert (pages.take_back(conn), pages.give_up_lost(conn)) == ([1], [2])


def test_no_question_of_a_sweep_goes_through_all_patients(bench: Bench) -> None:
    read(bench.engine)
    many = "INSERT INTO report_page (patient_id, wanted, written) SELECT n, 1, 1 FROM generate_series(2, 20000) AS n"
    execute(bench.engine, f"SET LOCAL session_replication_role = replica; {many}; ANALYZE report_page")
    read_whole = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'report_page'"
    with transaction(bench.engine) as conn:
        for asked in (pages.give_up_lost, pages.take_back, pages.handed_out, pages.counts):
            asked(conn)
        assert pages.due(conn, 5) == [1]
        assert conn.exec_driver_sql(read_whole).scalar_one() == 0


def test_to_hand_out_a_report_reads_no_more_of_a_larger_archive(bench: Bench) -> None:
    read(bench.engine)
    execute(bench.engine, _ARCHIVE)
    rows = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
    with transaction(bench.engine) as conn:
        before = conn.exec_driver_sql(rows).scalar_one()
        assert pages.hand_out(conn, 1)
        assert conn.exec_driver_sql(rows).scalar_one() - before < 100
    assert write_page(1, bench) is Outcome.WRITTEN


def test_nothing_is_handed_out_where_reports_are_off(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine)
    assert sweep(bench.engine, bell, decide) == SweepReport()
    assert scalar(bench.engine, "SELECT document IS NULL FROM report_page")


def test_who_was_overtaken_has_the_report_written_once_more(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine)
    late = held(bench.engine, bell, lease_s=0)
    assert write_page(1, bench) is Outcome.WRITTEN
    assert scalar(bench.engine, STANDS)
    bench.store.put_bytes(scalar(bench.engine, KEY), b"of an older verdict")
    assert not pages.written(bench.engine, late, scalar(bench.engine, KEY))
    assert scalar(bench.engine, f"{STANDS}") is None  # nobody knows what lies there now
    assert swept(bench.engine, bell).pages == 1
    assert write_page(1, bench) is Outcome.WRITTEN
    assert scalar(bench.engine, STANDS)


def test_a_verdict_that_comes_while_a_report_is_written_has_it_written_again(
    bench: Bench, bell: CeleryDoorbell
) -> None:
    read(bench.engine)
    claim = held(bench.engine, bell)
    read(bench.engine, "b")
    assert pages.written(bench.engine, claim, "marrowline-results/lab/x.html")
    assert not scalar(bench.engine, STANDS)
    assert swept(bench.engine, bell).pages == 1


def test_a_report_that_fails_is_tried_ever_more_seldom_and_given_up(
    bench: Bench, bell: CeleryDoorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(bench.engine)

    def full(key: str, data: bytes) -> None:  # noqa: ARG001 - the store's interface
        raise ServiceError("the bucket takes nothing")

    monkeypatch.setattr(bench.store, "put_bytes", full)
    waits = []
    for _ in range(pages.MOST_TRIES):
        swept(bench.engine, bell)
        assert write_page(1, bench) is Outcome.FAILED
        waits.append(scalar(bench.engine, "SELECT round(extract(epoch FROM next_at - now())) FROM report_page"))
        assert swept(bench.engine, bell).pages == 0
        execute(bench.engine, "UPDATE report_page SET next_at = now()")
    assert waits == pytest.approx([60, 120, 240, 480, 960, 1920, 3600, 3600], abs=5)
    assert scalar(bench.engine, "SELECT error_code FROM report_page") == "service"
    assert swept(bench.engine, bell).pages == 0
    with transaction(bench.engine) as conn:
        assert pages.counts(conn) == pages.PageCounts(due=0, given_up=1)
    monkeypatch.undo()
    read(bench.engine, "b")  # a new verdict is a new report
    swept(bench.engine, bell)
    assert write_page(1, bench) is Outcome.WRITTEN


def test_a_report_that_was_deleted_is_written_again_when_asked(
    bench: Bench,
    bell: CeleryDoorbell,
    tmp_path: Path,
    on_database: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number, name in enumerate(("p", "q", "open"), start=1):
        read(bench.engine, patient=name, classes=["lymphocyte"])
        swept(bench.engine, bell)
        assert write_page(number, bench) is Outcome.WRITTEN
    add_slide(bench.engine, "late", patient="open")  # of this finding none may be told

    def again(*options: str) -> list[str]:
        capsys.readouterr()  # what workers have logged
        code, out, err = on_database("retry", "--reports", *options, "--json")
        assert code == 0, err
        return [one["patient"] for one in json.loads(out)]

    monkeypatch.setenv("MARROWLINE_BUCKET", str(tmp_path / "bucket"))
    assert again() == []
    for found in list(bench.store.list(RESULTS_PREFIX)):
        bench.store.delete(found.key)
    assert again() == ["p", "q"]
    assert again() == []  # they are due by now
    for number in (1, 2):
        swept(bench.engine, bell)
        assert write_page(number, bench) is Outcome.WRITTEN
    assert again("--all") == ["p", "q"]
    swept(bench.engine, bell)
    assert write_page(1, bench) is Outcome.UNCHANGED


def test_a_report_that_kills_its_workers_is_given_up_with_a_code(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine)
    for _ in range(pages.MOST_TRIES):
        held(bench.engine, bell, lease_s=0)
    with capture_logs() as logs:
        assert swept(bench.engine, bell).pages == 0
    assert [(one["log_level"], one["patient_id"]) for one in logs] == [("error", 1)]
    assert scalar(bench.engine, "SELECT error_code FROM report_page") == "worker_lost"


def test_reports_given_up_are_due_again_though_the_bucket_is_away(
    bench: Bench, bell: CeleryDoorbell, tmp_path: Path, on_database: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(bench.engine)
    for _ in range(pages.MOST_TRIES):
        held(bench.engine, bell, lease_s=0)
    swept(bench.engine, bell)
    assert scalar(bench.engine, "SELECT error_code FROM report_page") == "worker_lost"
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("MARROWLINE_BUCKET", str(tmp_path / "a-file"))
    code, _, err = on_database("retry", "--reports")
    assert code != 0, "the bucket answered"
    assert "a-file" in err
    assert scalar(bench.engine, "SELECT tries = 0 AND error_code IS NULL FROM report_page")


def test_a_bug_burns_a_try_and_rises(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine)
    swept(bench.engine, bell)
    execute(bench.engine, "UPDATE report_page SET document = '{}'")
    with pytest.raises(ValueError, match="report"):
        write_page(1, bench)
    assert scalar(bench.engine, "SELECT tries || error_code FROM report_page") == "1value"


def test_a_worker_that_stops_uses_up_no_try(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine)
    swept(bench.engine, bell)
    assert write_page(1, replace(bench, stopping=lambda: True)) is Outcome.RELEASED
    assert scalar(bench.engine, "SELECT tries FROM report_page") == 0
    assert write_page(1, bench) is Outcome.WRITTEN


@pytest.mark.parametrize("error", [NotFoundError, KeyError])
def test_a_case_that_cannot_be_told_keeps_no_other_waiting(
    bench: Bench, bell: CeleryDoorbell, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    for name in ("first", "second"):
        read(bench.engine, patient=name)

    def case_of(conn: Any, patient: str, lab: str | None = None) -> Any:
        if patient == "first":
            raise error("no finding for 'first'")
        return real_case_of(conn, patient, lab)

    monkeypatch.setattr(pages, "case_of", case_of)
    with capture_logs() as logs:
        swept(bench.engine, bell)
    assert "first" not in str(logs)
    assert swept(bench.engine, bell).pages == 1
    assert scalar(bench.engine, "SELECT error_code FROM report_page WHERE patient_id = 1") == "no_case"
    assert write_page(2, bench) is Outcome.WRITTEN


def test_every_status_of_the_patient_names_the_report_that_shows_the_finding(
    bench: Bench, bell: CeleryDoorbell
) -> None:
    desk = Desk(store=bench.store, engine=bench.engine)
    names = [f"lab/patient/{name}.tif" for name in "ab"]
    for name in names:
        bench.store.put_bytes(name, SLIDE)
    for run_id in reconcile(bench.store, bench.engine, SchedulerSettings(), decide).new:
        finish(bench.engine, run_id, BLASTS)

    def told() -> list[dict[str, Any]]:
        tell_labs(desk)
        return [json.loads(bench.store.read_small(f"{name}.status.json") or b"") for name in names]

    assert [one.get("report") for one in told()] == [None, None]
    swept(bench.engine, bell)
    write_page(1, bench)
    assert [one["report"] for one in told()] == [scalar(bench.engine, KEY)] * 2
    execute(bench.engine, "UPDATE verdict SET rev = rev + 1, reason = reason || ', anew'")
    assert [one.get("report") for one in told()] == [None, None]  # the page shows an older verdict


def test_both_parts_do_all_of_it_in_their_own_roles(bench: Bench, bell: CeleryDoorbell, database_url: str) -> None:
    read(bench.engine)
    scheduler, worker = (acting_as(database_url, f"marrowline_{part}") for part in ("scheduler", "worker"))
    assert swept(scheduler, bell).pages == 1
    execute(bench.engine, "UPDATE verdict SET rev = rev + 1")
    assert swept(scheduler, bell).pages == 1
    assert write_page(1, replace(bench, engine=worker, stopping=lambda: True)) is Outcome.RELEASED
    late = pages.claim(worker, 1, lease_s=0)
    assert late is not None
    pages.failed(worker, late, "service")
    execute(bench.engine, "UPDATE report_page SET next_at = now()")
    assert swept(scheduler, bell).pages == 1
    assert write_page(1, replace(bench, engine=worker)) is Outcome.WRITTEN
    assert not pages.written(worker, late, "elsewhere")
    assert swept(scheduler, bell).pages == 1
    for engine in (scheduler, worker):
        engine.dispose()


def test_a_worker_needs_no_right_to_patients_names(bench: Bench, bell: CeleryDoorbell) -> None:
    read(bench.engine)
    swept(bench.engine, bell)
    with transaction(bench.engine) as conn:
        conn.exec_driver_sql("SET LOCAL ROLE marrowline_worker")
        with pytest.raises(ProgrammingError, match="permission denied"), conn.begin_nested():
            conn.exec_driver_sql("SELECT pseudonym FROM patient")
        assert "patient" in str(conn.exec_driver_sql("SELECT document FROM report_page").scalar_one())
