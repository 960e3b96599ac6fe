"""Names of people and secrets, as canaries: what the line keeps to itself while it reads good and bad slides."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
import tifffile

from tests.support.line import Line, started
from tests.support.smears import write_smear

pytestmark = pytest.mark.slow
IN_KEY, IN_HEADER, IN_PATIENT = "c4naryKEY", "c4naryHEADER", "c4naryPATIENT"
SECRETS = {"s3_access_key": "c4naryACCESS", "s3_secret_key": "c4narySECRET"}
EVERY_CANARY = (IN_KEY, IN_HEADER, IN_PATIENT, *SECRETS.values())
TEXTS = """
    SELECT string_agg(whole, ' ') AS found FROM (
      SELECT run::text AS whole FROM run UNION ALL SELECT transition::text FROM transition
      UNION ALL SELECT tile_defect::text FROM tile_defect UNION ALL SELECT verdict::text FROM verdict
      UNION ALL SELECT verdict_history::text FROM verdict_history UNION ALL SELECT worker::text FROM worker
      UNION ALL SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()) AS told
"""
REPORTS = ("patients", "slides", "runs", "cells", "areas", "area_shares", "tile_defects", "stain_drift")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A line that has read a slide with names in its header, and refused two files."""
    folder = tmp_path_factory.mktemp("quiet")
    slides = [write_smear(folder / f"{IN_KEY}.tif", seed=1), folder / f"{IN_KEY}-cut.tif", folder / f"{IN_KEY}.svs"]
    with tifffile.TiffFile(slides[0], mode="r+") as tiff:
        tiff.pages.first.tags["ImageDescription"].overwrite(f"{IN_HEADER} Jane Doe 1950-01-01")
    slides[1].write_bytes(slides[0].read_bytes()[: slides[0].stat().st_size // 2])
    slides[2].write_bytes(f"no slide {IN_HEADER}".encode())
    with started(folder / "home", **SECRETS) as line:
        assert line.run("run", *slides, "--patient", IN_PATIENT, "--specimen", "marrow").returncode == 3
        yield line


def found_in(text: bytes | str, canaries: tuple[str, ...] = EVERY_CANARY) -> set[str]:
    whole = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return {canary for canary in canaries if canary in whole}


def test_the_canaries_went_in(line: Line) -> None:
    states = sorted(slide["state"] for slide in line.json("slides"))
    assert states == ["done", "quarantined", "quarantined"]
    (bucket,) = (line.home / "bucket").rglob(f"{IN_KEY}.tif")
    assert found_in(bucket.read_bytes()) == {IN_HEADER}
    assert found_in(str(bucket)) == {IN_KEY, IN_PATIENT}


def test_logs_and_the_broker_hold_none(line: Line) -> None:
    files = [path for folder in ("logs", "redis") for path in (line.home / folder).rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"scheduler.log", "worker.log", "postgres.log", "supervisor.log"}
    assert {path.name: found_in(path.read_bytes()) for path in files if found_in(path.read_bytes())} == {}


def test_errors_steps_verdicts_and_running_queries_hold_none(line: Line) -> None:
    told = str(line.watch(TEXTS))
    assert "quarantined" in told
    assert found_in(told) == set()


@pytest.mark.parametrize("view", REPORTS)
def test_reports_hold_the_key_and_the_pseudonym_and_nothing_of_the_header(line: Line, view: str) -> None:
    assert found_in(str(line.sql(f"SELECT * FROM report.{view}")), (IN_HEADER, *SECRETS.values())) == set()


def test_the_cache_names_no_slide_after_its_key(line: Line) -> None:
    names = " ".join(str(path.relative_to(line.home)) for path in (line.home / "cache").rglob("*"))
    assert found_in(names) == set()


def test_secrets_stand_in_no_command_line_and_in_no_state(line: Line) -> None:
    shown = " ".join(part for process in psutil.process_iter() for part in command_line(process))
    told = line.run("status").stdout + line.run("doctor").stdout
    states = "".join(path.read_text() for path in (line.home / "run").iterdir() if path.suffix == ".json")
    assert found_in(shown + told + states, tuple(SECRETS.values())) == set()


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
