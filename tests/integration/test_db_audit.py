"""The audit's chain: whatever is changed, taken away or slipped in behind the program's back is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from db import audit, migrate
from db.audit import AuditReport, Head
from db.session import make_engine, transaction
from tests.support.postgres import Server
from tests.support.rows import add_slide, execute, read, scalar, use_model


def verified(engine: Engine, noted: Head | None = None) -> AuditReport:
    with transaction(engine) as conn:
        return audit.verify(conn, noted=noted)


def go_back(engine: Engine, revision: str) -> None:
    """Make the database an older one, as if its slides had been read then."""
    execute(
        engine,
        "UPDATE run_count SET mean_probability = NULL, median_nc_ratio = NULL, median_nucleus_um2 = NULL,"
        " median_nucleus_offset = NULL, of_cell_width = NULL, areas_chi2 = NULL, areas_df = NULL",
    )
    migrate.downgrade(engine, revision)


def behind_its_back(engine: Engine, sql: str) -> None:
    execute(engine, f"SET LOCAL session_replication_role = replica; {sql}")


@pytest.fixture
def read_slide(lab: Engine) -> Engine:
    """A database with a slide that was read, and a correction."""
    read(lab, add_slide(lab))
    execute(
        lab,
        "INSERT INTO correction (run_id, batch_no, cell_no, made_by, cell_class) VALUES (1, 0, 0, 'p', 'monocyte')",
    )
    return lab


def test_every_step_verdict_and_correction_is_sealed(read_slide: Engine) -> None:
    report = verified(read_slide)
    rows = scalar(
        read_slide,
        "SELECT (SELECT count(*) FROM transition) + (SELECT count(*) FROM verdict_history) + 1",
    )
    assert report.faults == []
    assert report.head is not None
    assert report.head.seq == rows


@pytest.mark.parametrize(
    ("tampering", "fault"),
    [
        ("UPDATE transition SET reason = 'other' WHERE id = 2", "transition 2 was changed"),
        ("UPDATE transition SET actor = '' WHERE id = 1", "transition 1 was changed"),
        ("UPDATE transition SET at = at + interval '1 s' WHERE id = 3", "transition 3 was changed"),
        ("UPDATE verdict_history SET finding = 'no_evidence' WHERE rev = 1", "verdict_history 1/1/1 was changed"),
        ("UPDATE verdict_history SET evidence = evidence || '{\"x\": 1}' WHERE rev = 2", "verdict_history 1/1/2 was"),
        ("UPDATE correction SET cell_class = 'smudge'", "correction 1 was changed"),
        ("UPDATE correction SET note = 'new'", "correction 1 was changed"),
        ("DELETE FROM transition WHERE id = 3", "transition 3 is gone"),
        ("DELETE FROM verdict_history WHERE rev = 1", "verdict_history 1/1/1 is gone"),
        ("DELETE FROM correction", "correction 1 is gone"),
        ("DELETE FROM audit WHERE seq = 2", "entries 2 to 2 are gone"),
        ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", "correction 1 was never sealed"),
        ("UPDATE audit SET sealed_at = sealed_at + interval '1 s' WHERE seq = 2", "entry 2 "),
        ("UPDATE audit SET hash = md5('x') WHERE seq = 2", "entry 3 "),
        ("UPDATE audit SET row_sha256 = md5('x') WHERE seq = 1", "entry 1 "),
        (
            "INSERT INTO transition (run_id, to_state, fence, attempt, actor, reason) VALUES (1, 'done', 1, 1, '', '')",
            "transition 4 was never sealed",
        ),
        ("UPDATE run SET fence = 9", "run 1 stands otherwise"),
        ("UPDATE verdict SET finding = 'consistent_with_ALL'", "the verdict of patient 1 under model version 1"),
        (
            "DELETE FROM transition WHERE id = 3; DELETE FROM audit WHERE kind = 'transition' AND subject = '3'",
            "run 1 stands otherwise",
        ),
    ],
)
def test_tampering_with_any_row_is_named(read_slide: Engine, tampering: str, fault: str) -> None:
    behind_its_back(read_slide, tampering)
    assert [found for found in verified(read_slide).faults if fault in found]


def test_a_chain_written_anew_is_told_from_the_one_whose_head_was_noted(read_slide: Engine) -> None:
    head = verified(read_slide).head
    assert verified(read_slide, head).faults == []
    go_back(read_slide, "0005")
    migrate.upgrade(read_slide)
    assert verified(read_slide).faults == []
    assert "written anew" in verified(read_slide, head).faults[0]


def test_entries_of_before_know_their_patient_as_new_ones_do(read_slide: Engine) -> None:
    add_slide(read_slide, "b", patient="other")
    whose = "SELECT array_agg(patient_id ORDER BY seq) FROM audit"
    sealed = scalar(read_slide, whose)
    assert (len(sealed) > 5, set(sealed)) == (True, {1, 2})
    go_back(read_slide, "0011")
    migrate.upgrade(read_slide)
    assert scalar(read_slide, whose) == sealed
    assert verified(read_slide).faults == []
    with pytest.raises(Exception, match="only grows"):
        execute(read_slide, "UPDATE audit SET patient_id = 2")


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
@pytest.mark.parametrize(("table", "column"), [("audit", "hash"), ("correction", "made_by")])
def test_audit_and_corrections_only_grow(read_slide: Engine, statement: str, table: str, column: str) -> None:
    with pytest.raises(Exception, match="only grows"):
        execute(read_slide, statement.format(table, column, column))


def test_a_column_that_is_added_later_leaves_the_chain_whole(own_database_url: str) -> None:
    engine = make_engine(own_database_url)
    use_model(engine)
    read(engine, add_slide(engine))
    execute(engine, "ALTER TABLE transition ADD COLUMN later text")
    add_slide(engine, "b")
    assert verified(engine).faults == []
    engine.dispose()


def test_many_writers_make_one_chain(lab: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: read(lab, add_slide(lab, str(n), patient=f"p{n % 3}")), range(12)))
    report = verified(lab)
    assert report.faults == []
    assert report.head is not None
    assert report.head.seq >= 36


@pytest.fixture
def older(postgres: Server) -> Iterator[Engine]:
    """A database as it was before the audit, with rows."""
    url = postgres.new_database()
    engine = make_engine(url)
    migrate.upgrade(engine)
    use_model(engine)
    read(engine, add_slide(engine))
    go_back(engine, "0003")
    yield engine
    engine.dispose()
    postgres.drop_database(url)


def test_an_older_database_is_sealed_by_its_upgrade(older: Engine) -> None:
    migrate.upgrade(older)
    report = verified(older)
    assert report.faults == []
    assert report.head is not None
    assert report.head.seq == scalar(older, "SELECT count(*) FROM transition") + scalar(
        older, "SELECT count(*) FROM verdict_history"
    )
    behind_its_back(older, "UPDATE transition SET reason = 'other' WHERE id = 1")
    assert "transition 1 was changed" in verified(older).faults[0]


def command(engine: Engine, *arguments: str) -> subprocess.CompletedProcess[str]:
    url = engine.url.render_as_string(hide_password=False).replace("+psycopg2", "")
    return subprocess.run(
        [sys.executable, "-m", "scheduler.cli", "db", "verify-audit", *arguments],
        env=os.environ | {"MARROWLINE_DATABASE_URL": url}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_command_prints_a_head_that_it_takes_again_and_fails_on_tampering(read_slide: Engine) -> None:
    whole = command(read_slide, "--json")
    assert whole.returncode == 0, whole.stderr
    head = json.loads(whole.stdout)["head"]
    behind_its_back(read_slide, "DELETE FROM correction")
    spoilt = command(read_slide, "--head", head)
    assert spoilt.returncode == 1
    assert "correction 1 is gone" in spoilt.stdout
    assert command(read_slide, "--head", "4").returncode == 2
