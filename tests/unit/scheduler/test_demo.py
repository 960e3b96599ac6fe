from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from db.counts import Share
from db.reports import PatientReport
from scheduler.commands import demo
from scheduler.demo import SEED, Comparison, DrawnSlide, compare, drawn_slides, uploads
from worker.store_folder import FolderStore

TRUTH = {"lymphoblast": 60, "neutrophil": 40, "platelet": 500}


def slide(path: Path, patient: str = "ALL-like") -> DrawnSlide:
    return DrawnSlide(
        path=path, lab="demo", patient=patient, specimen="marrow", truth=TRUTH, expected="consistent_with_ALL"
    )


def report(finding: str, cells: int) -> PatientReport:
    share = Share(value=0.6, ci_low=0.5, ci_high=0.7, threshold=0.2, p_above=1.0)
    return PatientReport(
        lab="demo",
        patient="ALL-like",
        finding=finding,
        reason="",
        cells=cells,
        slides_done=2,
        slides_open=0,
        slides_quarantined=0,
        model_version="m",
        rule="r",
        shares={"lymphoblast": share},
        reported_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def test_counts_are_set_beside_what_was_drawn_of_the_classes_that_count() -> None:
    slides = [slide(Path("1.tif")), slide(Path("2.tif")), slide(Path("3.tif"), patient="normal")]
    (one,) = compare([report("consistent_with_ALL", 206)], slides)
    assert one.drawn == 200
    assert one.excess == pytest.approx(0.03)
    assert one.shares == {"lymphoblast": pytest.approx(0.6)}
    assert one.found == {"lymphoblast": 0.6}
    assert one.agrees


def test_each_share_stands_under_the_word_for_what_it_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drawn = {"lymphoblast": 0.6, "plasma_cell": 0.01}
    one = Comparison(
        patient="ALL-like", finding="consistent_with_ALL", expected="consistent_with_ALL", cells=206, drawn=200,
        shares=drawn, found={"lymphoblast": 0.587, "plasma_cell": None},
    )  # fmt: skip
    demo._show([], [one], tmp_path, {})
    lines = capsys.readouterr().out.splitlines()
    row = next(at for at, line in enumerate(lines) if line.startswith("ALL-like"))
    assert lines[row].split()[4:] == ["200", "206", "(+3.0%)", "60.0", "/", "58.7", "1.0", "/", "-"]
    for text in ("60.0 / 58.7", "1.0 / -"):
        end = lines[row].index(text) + len(text)
        assert lines[row - 1][:end].endswith("drawn / found")


def test_a_wrong_finding_is_not_called_right() -> None:
    (one,) = compare([report("no_evidence", 200)], [slide(Path("1.tif"))])
    assert not one.agrees


def test_slides_drawn_by_this_version_are_not_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "1.tif").write_bytes(b"")
    entry = {**vars(slide(Path("1.tif"))), "path": "1.tif"}
    made_by = {"version": version("marrowline"), "seed": SEED}
    (tmp_path / "slides.json").write_text(json.dumps({"made_by": made_by, "slides": [entry]}))
    assert drawn_slides(tmp_path, lambda *_: pytest.fail("drawn again")) == [slide(tmp_path / "1.tif")]


def test_each_slide_goes_to_its_patient(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    (tmp_path / "1.tif").write_bytes(b"x")
    ((upload, sidecar),) = uploads(FolderStore(tmp_path / "bucket"), [slide(tmp_path / "1.tif")])
    assert upload.key == "demo/ALL-like/1.tif"
    assert json.loads(sidecar) == {"lab": "demo", "patient": "ALL-like", "specimen": "marrow"}
