from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from db.counts import Share
from db.reports import PatientReport
from scheduler.commands import screen
from scheduler.commands.patient_table import share_words, show_patients


def report(patient: str = "P-1", *, finding: str = "no_evidence", lab: str = "a") -> PatientReport:
    share = Share(value=0.613, ci_low=0.575, ci_high=0.65, threshold=0.2, p_above=1.0)
    return PatientReport(
        lab=lab,
        patient=patient,
        finding=finding,
        reason="61.3 % of 662 counted cells are lymphoblasts, which is at or above 20 %",
        cells=1662,
        slides_done=2,
        slides_open=0,
        slides_quarantined=1,
        model_version="m",
        rule="r",
        shares={"lymphoblast": share, "plasma_cell": share},
        reported_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def test_json_is_one_document_with_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    screen.print_json({"a": report(), "b": Decimal(3), "c": Decimal("1.5"), "d": datetime(2026, 3, 1, tzinfo=UTC)})
    document = json.loads(capsys.readouterr().out)
    assert document["a"]["shares"]["lymphoblast"]["value"] == 0.613
    assert (document["b"], document["c"], document["d"]) == (3, 1.5, "2026-03-01T00:00:00+00:00")


def test_the_table_of_findings_fits_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    show_patients([report("a-rather-long-pseudonym", finding="consistent_with_ALL"), report(lab="another")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum("consistent with ALL" in line for line in lines) == 1
    assert any("61.3 (57.5-65.0)" in line for line in lines)
    assert any("another/P-1" in line for line in lines)


def test_a_share_of_nothing_is_no_number() -> None:
    assert share_words(Share(value=None, ci_low=0, ci_high=1, threshold=None, p_above=None)) == screen.NONE


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "-"), (0.4, "0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90000, "1 d 1 h")]
)
def test_durations_read_well(seconds: float | None, words: str) -> None:
    assert screen.duration(seconds) == words


def test_rows_of_a_query_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_rows(["name", "n"], [("a", 1), ("bb", 22), (None, 333)])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["name    n", "a       1", "bb     22", "-     333"]


def test_rows_too_wide_for_the_screen_stand_one_value_to_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_rows(["first", "second"], [("x" * 70, "y" * 70)])
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "row 1",
        f"first   {'x' * 70}",
        f"second  {'y' * 70}",
    ]


def test_a_query_without_rows_shows_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_rows(["a", "b"], [])
    assert capsys.readouterr().out.split() == ["a", "b"]


def test_brackets_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    screen.say("pip install 'marrowline[worker]'")
    screen.show_rows(["a"], [("[red]",)])
    assert capsys.readouterr().out.split() == ["pip", "install", "'marrowline[worker]'", "a", "[red]"]
