"""A slide in, a verdict out, as the lab sees it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from db.records import CellClass
from tests.support.line import Line, eventually, started
from tests.support.smears import write_smear
from tests.support.swift import S3Server

ALL_LIKE = {CellClass.LYMPHOBLAST: 180, CellClass.NEUTROPHIL: 60, CellClass.ERYTHROBLAST: 40}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with started(tmp_path_factory.mktemp("line") / "home") as line:
        yield line


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("slides")
    return [write_smear(folder / f"{n}.tif", seed=n, side_px=3072, composition=ALL_LIKE) for n in (1, 2)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    composition = {CellClass.LYMPHOBLAST: 6, CellClass.NEUTROPHIL: 2}
    return write_smear(tmp_path_factory.mktemp("small") / "s.tif", seed=3, side_px=1024, composition=composition)


def test_a_leukaemic_marrow_is_found_with_its_reasons(line: Line, slides: list[Path]) -> None:
    (patient,) = line.json("run", *slides, "--patient", "ALL-1", "--specimen", "marrow")
    assert patient["finding"] == "consistent_with_ALL"
    assert patient["cells"] == pytest.approx(560, rel=0.03)
    blasts = patient["shares"]["lymphoblast"]
    assert blasts["ci_low"] < blasts["value"] < blasts["ci_high"]
    assert blasts["value"] == pytest.approx(360 / 560, abs=0.12)  # a cell not called counts below the line only


def test_a_finished_patient_who_gets_a_bad_slide_is_incomplete(line: Line, small: Path, tmp_path: Path) -> None:
    (patient,) = line.json("run", small, "--patient", "ALL-2", "--specimen", "marrow")
    assert (patient["finding"], patient["slides_done"]) == ("insufficient", 1)
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"not a slide")
    (patient,) = line.json("run", bad, "--patient", "ALL-2", "--specimen", "marrow", exit_code=3)
    assert (patient["finding"], patient["slides_quarantined"]) == ("incomplete", 1)
    (entry,) = line.json("quarantine", "list")
    assert entry["error_code"]
    assert entry["remedy"]


def test_the_lab_finds_the_report_that_its_status_names_and_a_correction_changes_it(
    line: Line, small: Path, tmp_path: Path
) -> None:
    line.json("run", small, "--patient", "REPORTED", "--specimen", "marrow")
    bucket = line.home / "bucket"

    def page() -> str:
        """Return the report that the status names, "" while there is none."""
        told = [json.loads(path.read_text(encoding="utf-8")) for path in bucket.glob("*/REPORTED/*.status.json")]
        return "".join((bucket / one["report"]).read_text(encoding="utf-8") for one in told if "report" in one)

    eventually(lambda: bool(page()), within_s=60, what="the status names the report")
    first = page()
    for words in (
        "REPORTED",
        "Insufficient: too few cells to judge",
        "Research use only, not for diagnostic procedures",
    ):
        assert words in first
    assert first.count("data:image/jpeg;base64,") > 1  # cells and the overview, of the stored slide
    cell = line.json("cells", "--patient", "REPORTED")[0]
    said = tmp_path / "said.csv"
    named = [str(cell[name]) for name in ("run_id", "batch_no", "cell_no")]
    said.write_text(f"run_id,batch_no,cell_no,cell_class\n{','.join(named)},eosinophil\n", encoding="utf-8")
    line.json("corrections", "import", said, "--by", "dr.test")
    eventually(lambda: page() not in ("", first), within_s=60, what="the report shows the correction")
    assert "osinophil" in page()


def test_a_deleted_slide_makes_the_finding_incomplete(line: Line, small: Path) -> None:
    line.json("run", small, "--patient", "GONE-1", "--specimen", "marrow")
    (stored,) = (line.home / "bucket").glob("*/GONE-1/*.tif")
    stored.unlink()

    def incomplete() -> bool:
        (patient,) = line.json("patients", "--patient", "GONE-1")
        return bool(patient["finding"] == "incomplete")

    eventually(incomplete, within_s=30, what="the missing slide shows in the finding")


@pytest.mark.timeout(600)
def test_an_upload_to_s3_is_answered_in_sql(slides: list[Path], tmp_path: Path, s3_server: S3Server) -> None:
    slide = slides[0]
    bucket = s3_server.make_bucket()
    settings = s3_server.settings(bucket)
    assert settings.s3_access_key is not None
    assert settings.s3_secret_key is not None
    keys = {
        "s3_endpoint": settings.s3_endpoint or "",
        "s3_access_key": settings.s3_access_key.get_secret_value(),
        "s3_secret_key": settings.s3_secret_key.get_secret_value(),
    }
    rule = "marrowline-2026.1-min200"
    with started(tmp_path / "home", bucket=f"s3://{bucket}", rule=rule, **keys) as line:
        client = boto3.client(
            "s3",
            endpoint_url=keys["s3_endpoint"],
            aws_access_key_id=keys["s3_access_key"],
            aws_secret_access_key=keys["s3_secret_key"],
            region_name="us-east-1",
        )
        client.upload_file(str(slide), bucket, f"lab-a/ALL-3/{slide.name}")
        query = "SELECT finding, slides_done, rule FROM report.patients WHERE lab = 'lab-a' AND patient = 'ALL-3'"
        answer = [{"finding": "consistent_with_ALL", "slides_done": 1, "rule": rule}]
        eventually(lambda: line.sql(query) == answer, within_s=400, what="the finding is in SQL")


def test_a_folder_of_copies_is_read_once(line: Line, small: Path, tmp_path: Path) -> None:
    again = tmp_path / "again" / small.name
    again.parent.mkdir()
    shutil.copy2(small, again)
    first = line.json("run", small, "--patient", "TWICE")
    assert line.json("run", again, "--patient", "TWICE")[0]["cells"] == first[0]["cells"]
    assert len(line.json("slides", "--patient", "TWICE")) == 1
