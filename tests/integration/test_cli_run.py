"""The commands that put slides in and show what came of them, on the embedded stack with a tiny network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet
import pytest

from db import reports
from db.session import make_engine, transaction
from scheduler.cli import NOTICE
from scheduler.embedded.home import database_url, home_at
from tests.support.line import COMMAND, Line, eventually, started
from tests.support.models import write_tiny_model
from tests.support.smears import write_smear


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("run")
    write_tiny_model(folder / "models")
    with started(folder / "home", models_dir=str(folder / "models"), model="tiny") as line:
        yield line


@pytest.fixture(scope="module")
def smear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smear(tmp_path_factory.mktemp("slides") / "smear.tif", seed=3, side_px=1024)


def slides(line: Line, patient: str) -> list[reports.SlideReport]:
    """Return the patient's slides, straight from the database: quicker than a process for each look."""
    engine = make_engine(database_url(home_at(line.home)), pool_size=1)
    try:
        with transaction(engine) as conn:
            return reports.slides(conn, patient=patient)
    finally:
        engine.dispose()


def states(line: Line, patient: str) -> list[str]:
    return sorted(slide.state for slide in slides(line, patient))


def test_run_answers_exactly_what_patients_answers(line: Line, smear: Path) -> None:
    answer = line.json("run", smear, "--patient", "P-1", "--specimen", "marrow")
    assert answer == line.json("patients", "--patient", "P-1")
    assert (answer[0]["slides_done"], answer[0]["slides_open"]) == (1, 0)
    assert answer[0]["cells"] > 0


def test_the_same_slide_again_costs_nothing(line: Line, smear: Path, tmp_path: Path) -> None:
    line.json("run", smear, "--patient", "P-2")
    copied = Path(shutil.copyfile(smear, tmp_path / "copy.tif"))
    runs = line.json("runs", "--patient", "P-2")
    line.json("run", smear, copied, "--patient", "P-2")
    assert line.json("runs", "--patient", "P-2") == runs
    assert len(runs) == 1


def test_a_stack_that_was_up_already_is_said_to_stay_up(line: Line, smear: Path) -> None:
    done = line.run("run", smear, "--patient", "P-9")
    assert done.returncode == 0
    assert "the stack was up already and stays up: `marrowline down` stops it" in done.stderr
    assert line.run("status").returncode == 0


def test_another_scale_has_the_slide_read_again(line: Line, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    field = tmp_path / "field.png"
    whole = write_smear(tmp_path / "s.tif", seed=4, side_px=1024)
    cv2.imwrite(str(field), cv2.imread(str(whole)))
    line.json("run", field, "--patient", "P-3", "--mpp", "0.25")
    line.json("run", field, "--patient", "P-3", "--mpp", "0.2")
    (slide,) = line.json("slides", "--patient", "P-3")
    assert (slide["mpp_um"], slide["mpp_source"]) == (0.2, "sidecar")


def test_a_bad_file_ends_in_quarantine_and_the_good_one_is_read(line: Line, smear: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"no slide")
    done = line.run("run", smear, bad, "--patient", "P-4")
    assert done.returncode == 3
    assert "bad.svs" in done.stdout
    assert states(line, "P-4") == ["done", "quarantined"]


def test_a_good_file_takes_the_place_of_a_quarantined_one(line: Line, smear: Path, tmp_path: Path) -> None:
    file = tmp_path / "late.tif"
    file.write_bytes(smear.read_bytes()[:1000])
    assert line.run("run", file, "--patient", "P-5").returncode == 3
    shutil.copyfile(smear, file)
    (patient,) = line.json("run", file, "--patient", "P-5")
    assert (patient["slides_done"], patient["slides_quarantined"]) == (1, 0)


def test_a_good_slide_is_not_pushed_out_by_chance(line: Line, smear: Path, tmp_path: Path) -> None:
    file = Path(shutil.copyfile(smear, tmp_path / "one.tif"))
    line.json("run", file, "--patient", "P-6")
    write_smear(file, seed=9, side_px=1024)
    refused = line.run("run", file, "--patient", "P-6")
    assert refused.returncode == 2
    assert "--replace" in refused.stderr
    (patient,) = line.json("run", file, "--patient", "P-6", "--replace")
    assert patient["slides_done"] == 1


def test_wrong_calls_say_how_to_call(line: Line, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("hello")
    for path in (notes, tmp_path / "gone.svs", tmp_path):
        done = line.run("run", path, "--patient", "P-7")
        assert done.returncode == 2
        assert str(path) in done.stderr
    assert line.run("run", notes).returncode == 2


def test_a_model_that_is_not_installed_is_named(line: Line, smear: Path) -> None:
    done = line.run("run", smear, "--patient", "P-8", "--model", "absent", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "absent.safetensors" in done.stderr


@contextmanager
def paused_worker(line: Line) -> Iterator[None]:
    """Have no slide read meanwhile, however quick the machine is."""
    (pid,) = (part["pid"] for part in line.json("status")["parts"] if part["name"] == "worker")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_interrupted_waiting_is_resumed_by_the_same_call(line: Line, smear: Path) -> None:
    call = [str(COMMAND), "run", str(smear), "--patient", "P-15"]
    with (
        paused_worker(line),
        subprocess.Popen(call, env=dict(line.environment), stderr=subprocess.PIPE, start_new_session=True) as waiting,
    ):
        try:
            eventually(lambda: states(line, "P-15") == ["waiting"], within_s=60, what="it is to be read")
            os.killpg(waiting.pid, signal.SIGINT)
            _, said = waiting.communicate(timeout=30)
        finally:
            waiting.kill()
        assert (waiting.returncode, b"still being read" in said) == (1, True)
        assert states(line, "P-15") == ["waiting"]
    (patient,) = line.json("run", smear, "--patient", "P-15")
    assert patient["slides_done"] == 1
    assert len(line.json("runs", "--patient", "P-15")) == 1


def test_quarantine_is_listed_shown_and_released(line: Line, tmp_path: Path) -> None:
    bad = tmp_path / "worse.svs"
    bad.write_bytes(b"")
    line.run("run", bad, "--patient", "P-10", "--lab", "q")
    (entry,) = line.json("quarantine", "list", "--lab", "q")
    assert line.json("quarantine", "show", "worse.svs")["slide"] == entry
    assert line.json("quarantine", "release", str(entry["slide_id"])) == [
        {name: entry[name] for name in ("slide_id", "key", "run_id")}
    ]
    eventually(lambda: slides(line, "P-10")[0].attempts == 2, within_s=60, what="it is tried again")
    assert line.run("retry", "nothing-like-it.svs").returncode == 1


def test_cells_are_shown_with_their_calls(line: Line, smear: Path) -> None:
    line.json("run", smear, "--patient", "P-11")
    cells = line.json("cells", "--patient", "P-11", "--limit", "3")
    assert len(cells) == 3
    assert abs(sum(cells[0]["probabilities"].values()) - 1) < 1e-3
    assert cells[0]["features"]
    by_class = line.json("cells", "--patient", "P-11", "--class", cells[0]["cell_class"])
    assert {cell["cell_class"] for cell in by_class} == {cells[0]["cell_class"]}


def test_sql_reads_and_cannot_write(line: Line) -> None:
    assert line.sql("SELECT 1 AS one, 'x' AS letter") == [{"one": 1, "letter": "x"}]
    for query in ("DELETE FROM report.runs", "SELECT * FROM public.run", "SELECT 1; DROP TABLE run"):
        refused = line.run("sql", query)
        assert refused.returncode == 1
        assert refused.stderr.startswith("marrowline: ")


def test_sql_writes_files(line: Line, tmp_path: Path) -> None:
    query = "SELECT n, 'x' AS letter FROM generate_series(1, 120000) AS n"  # more than a screen is given
    assert line.run("sql", query).returncode == 1
    table, packed = tmp_path / "t.csv", tmp_path / "t.out"
    assert line.json("sql", query, "--out", table) == {"file": str(table), "format": "csv", "rows": 120_000}
    assert table.read_text().splitlines()[:2] == ["n,letter", "1,x"]
    assert line.run("sql", query, "--format", "parquet", "--out", packed).returncode == 0
    assert pyarrow.parquet.read_metadata(packed).num_rows == 120_000


@pytest.mark.parametrize("wrong", [["--out", "t.xlsx"], ["--format", "csv"], ["--format", "xlsx", "--out", "t.csv"]])
def test_sql_refuses_a_file_that_it_cannot_write(line: Line, wrong: list[str]) -> None:
    assert line.run("sql", "SELECT 1", *wrong).returncode == 2


@pytest.mark.parametrize(
    "command",
    [["patients"], ["slides"], ["runs"], ["status"], ["quarantine", "list"], ["sql", "SELECT 1"], ["db", "check"],
     ["db", "roles"], ["cells", "--patient", "P-1"]],
)  # fmt: skip
def test_every_screen_fits_and_carries_the_notice(line: Line, command: list[str]) -> None:
    done = line.run(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == NOTICE
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_submit_puts_slides_where_the_scheduler_finds_them(line: Line, smear: Path) -> None:
    target = line.home / "bucket"
    (stored,) = line.json("submit", smear, "--to", target, "--patient", "P-12", "--lab", "s", "--stain", "MGG")
    assert stored["stored"] is True
    eventually(lambda: states(line, "P-12") == ["done"], within_s=60, what="the slide is read")
    assert line.json("submit", smear, "--to", target, "--patient", "P-12", "--lab", "s", "--stain", "MGG") == [
        {**stored, "stored": False}
    ]


def test_when_the_stack_is_down_results_are_readable_and_run_starts_it_for_itself(
    line: Line, smear: Path, tmp_path: Path
) -> None:
    before = line.json("run", smear, "--patient", "P-13")
    line.json("down")
    assert line.json("patients", "--patient", "P-13") == before
    assert json.loads(line.run("status", "--json").stdout)["phase"] == "down"
    (patient,) = line.json("run", smear, "--patient", "P-14")
    assert patient["slides_done"] == 1
    assert json.loads(line.run("status", "--json").stdout)["phase"] == "down"
    other = tmp_path / smear.name
    other.write_bytes(b"another file of that name")
    refused = line.run("run", other, "--patient", "P-14")
    assert (refused.returncode, "another file was read under this name" in refused.stderr) == (2, True)
    assert json.loads(line.run("status", "--json").stdout)["phase"] == "down"
