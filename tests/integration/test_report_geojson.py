"""Cells of a patient's slides for QuPath, out of a real database."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.cases import case_of
from db.session import make_engine, transaction
from tests.support.peak import peak_bytes
from tests.support.rows import add_slide, read
from tests.support.workshops import read_many, workshop_on
from worker.errors import ServiceError
from worker.outputs.geojson.write import write, write_packed

MORE_BYTES = 12 * 2**20


def quiet(_what: str, _done: int, _total: int) -> None:
    pass


def test_every_slide_that_was_read_has_a_file_with_its_cells(lab: Engine, tmp_path: Path) -> None:
    read(lab, add_slide(lab), ["lymphoblast", "lymphocyte"])
    read(lab, add_slide(lab, "b"), ["smudge"])
    add_slide(lab, "c")
    told: list[tuple[str, int, int]] = []
    with transaction(lab) as conn:
        case = case_of(conn, "patient")
    paths = write(workshop_on(lab, tmp_path), case, tmp_path, lambda *at: told.append(at))
    assert told == [(paths[0].name, 2, 3), (paths[1].name, 3, 3)]
    first, second = (json.loads(path.read_text()) for path in paths)
    assert first["marrowline"]["slide_id"] == case.slides[0].slide_id
    assert first["marrowline"]["use"] == "research use only, not for diagnostic procedures"
    assert [one["properties"]["classification"]["name"] for one in first["features"]] == ["lymphoblast", "lymphocyte"]
    assert [one["properties"]["classification"]["name"] for one in second["features"]] == ["smudge"]


def test_a_packed_file_holds_the_same(lab: Engine, tmp_path: Path) -> None:
    read(lab, add_slide(lab), ["lymphoblast"])
    with transaction(lab) as conn:
        case = case_of(conn, "patient")
    workshop = workshop_on(lab, tmp_path)
    (plain,), (packed,) = (one(workshop, case, tmp_path, quiet) for one in (write, write_packed))
    assert packed.name == f"{plain.name}.gz"
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()


def test_nothing_of_the_patient_is_in_a_name_or_a_file(lab: Engine, tmp_path: Path) -> None:
    read(lab, add_slide(lab, lab="lab", patient="../Doe & Sons"), ["lymphoblast"])
    with transaction(lab) as conn:
        case = case_of(conn, "../Doe & Sons")
    (path,) = write(workshop_on(lab, tmp_path), case, tmp_path, quiet)
    assert path.parent == tmp_path
    assert "Doe" not in path.name + path.read_text()


def test_a_slide_that_changes_meanwhile_is_no_file(lab: Engine, tmp_path: Path) -> None:
    read(lab, add_slide(lab), ["lymphoblast"])
    with transaction(lab) as conn:
        case = case_of(conn, "patient")
        conn.exec_driver_sql("DELETE FROM outline")
        conn.exec_driver_sql("DELETE FROM cell")
    with pytest.raises(ServiceError, match="changed while it was written"):
        write(workshop_on(lab, tmp_path), case, tmp_path, quiet)
    assert not list(tmp_path.glob("*.geojson*"))


def test_memory_does_not_grow_with_the_cells(lab: Engine, tmp_path: Path) -> None:
    assert grown_bytes(lab, tmp_path, few=5_000, many=100_000) < MORE_BYTES


@pytest.mark.slow
def test_half_a_million_cells_take_no_more(lab: Engine, tmp_path: Path) -> None:
    assert grown_bytes(lab, tmp_path, few=5_000, many=500_000) < MORE_BYTES


def grown_bytes(lab: Engine, folder: Path, *, few: int, many: int) -> int:
    """Return how much more memory it takes to write many cells than few."""
    url = lab.url.render_as_string(hide_password=False)
    least, most = (written_bytes(lab, url, folder / str(cells), cells) for cells in (few, many))
    return most - least


def written_bytes(lab: Engine, url: str, folder: Path, cells: int) -> int:
    """Return the most memory that writing so many cells and one took."""
    folder.mkdir()
    read_many(lab, cells, patient=folder.name)
    taken = peak_bytes(write_from, url, folder)
    (path,) = folder.glob("*.geojson")
    with path.open() as file:
        assert sum(line.startswith('{"type":"Feature"') for line in file) == cells + 1
    return taken


def write_from(url: str, folder: Path) -> None:
    engine = make_engine(url)
    with transaction(engine) as conn:
        case = case_of(conn, folder.name)
    write(workshop_on(engine, folder), case, folder, quiet)
