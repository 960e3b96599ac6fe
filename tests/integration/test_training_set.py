"""Judged cells become a set that training reads: the right pixels, the last words, and nobody's name."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text

from db import corrections
from db.cases import CaseCell, cells_of
from db.corrections import Said
from db.records import CellClass, Preparation
from db.session import make_engine, transaction
from tests.support.models import write_tiny_model
from tests.support.postgres import TEMPLATE, Server
from tests.support.rows import add, decide, execute, use_model
from tests.support.smears import write_smear
from tests.support.workshops import workshop_on
from worker.drawing.smear import SmearSpec, draw_smear
from worker.errors import BadRequestError
from worker.nets.cards import describe
from worker.nets.registry import load
from worker.outputs.training_set import SIDE_UM, TrainingSet, write
from worker.read_run import Bench, Outcome, read_run
from worker.rules import DEFAULT_RULE
from worker.training.classification.sources import Sight
from worker.training.classification.sources.folders import manifest_rows
from worker.training.classification.sources.pictures import rgb
from worker.workshop import Workshop

SEED, SIDE_PX, DRAWN = 7, 768, {CellClass.NEUTROPHIL: 8, CellClass.LYMPHOBLAST: 12}


@pytest.fixture(scope="module")
def workshop(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A workshop with one drawn smear that was read; it costs seconds, so all tests here share it."""
    url, folder = postgres.new_database(template=TEMPLATE), tmp_path_factory.mktemp("set")
    engine = make_engine(url, pool_size=4)
    shop = workshop_on(engine, folder)
    write_smear(folder / "a.tif", seed=SEED, side_px=SIDE_PX, composition=DRAWN)
    shop.store.put_file("lab/Jane Doe/a.tif", folder / "a.tif")
    _read(shop)
    yield shop
    engine.dispose()
    postgres.drop_database(url)


def _read(shop: Workshop) -> None:
    write_tiny_model(shop.models_dir, name="m1")
    use_model(shop.engine, describe("m1", shop.models_dir))
    obj = shop.store.head("lab/Jane Doe/a.tif")
    assert obj is not None
    with transaction(shop.engine) as conn:
        run_id = add(conn, obj, patient="Jane Doe", preparation=Preparation.SMEAR)
    execute(shop.engine, f"UPDATE lab SET rule = '{DEFAULT_RULE}'")
    bench = Bench(
        engine=shop.engine,
        store=shop.store,
        cache=shop.cache,
        settings=shop.settings,
        worker_id="w1",
        load_model=lambda name: load(name, shop.models_dir),
    )
    assert read_run(run_id, bench) is Outcome.DONE


@pytest.fixture(autouse=True)
def _unsaid(workshop: Workshop) -> Iterator[None]:
    yield
    execute(
        workshop.engine,
        "SET LOCAL session_replication_role = replica; DELETE FROM corrected_cell; DELETE FROM correction",
    )


def cells(engine: Engine) -> list[CaseCell]:
    with transaction(engine) as conn:
        return list(cells_of(conn, 1))


def say(engine: Engine, words: dict[int, str], by: str = "ada") -> list[CaseCell]:
    found = cells(engine)
    said = [
        Said(where="", run_id=1, batch_no=found[no].batch_no, cell_no=found[no].cell_no, cell_class=name)
        for no, name in words.items()
    ]
    with transaction(engine) as conn:
        corrections.record(conn, said, by, decide)
    return [found[no] for no in words]


def exported(workshop: Workshop, folder: Path, lab: str | None = None, patient: str | None = None) -> TrainingSet:
    return write(workshop, folder, lambda *_: None, lab=lab, patient=patient)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_judged_cell_is_a_picture_with_its_last_class(workshop: Workshop, tmp_path: Path) -> None:
    said = say(workshop.engine, {0: "plasma_cell", 3: "artefact", 5: "lymphoblast"})
    made = exported(workshop, tmp_path)
    assert (made.cells, made.disputed, made.damaged) == ({"artefact": 1, "lymphoblast": 1, "plasma_cell": 1}, 0, 0)
    drawn = draw_smear(SmearSpec(width_px=SIDE_PX, height_px=SIDE_PX, mpp_um=0.25, seed=SEED, composition=DRAWN)).rgb
    for row, cell in zip(rows(tmp_path), said, strict=True):
        picture = rgb(tmp_path / row["file"])
        side = round(SIDE_UM / float(row["mpp_um"]))
        assert picture.shape == (side, side, 3)
        inside = picture[side // 2 - 8 : side // 2 + 8, side // 2 - 8 : side // 2 + 8].astype(int)
        x, y = int(cell.x_l0), int(cell.y_l0)
        there = drawn[y - 8 : y + 8, x - 8 : x + 8].astype(int)
        assert np.abs(inside - there).mean() < 6, "JPEG changes the pixels of the slide by so much at most"


def test_training_reads_the_set_with_patients_as_groups(workshop: Workshop, tmp_path: Path) -> None:
    say(workshop.engine, {0: "plasma_cell", 1: "lymphocyte", 2: "megakaryocyte"})
    exported(workshop, tmp_path)
    found = list(manifest_rows(tmp_path, None, Sight(find=lambda _: [])))
    assert [sorted(label) for _, label, _, _ in found] == [["plasma_cell"], ["lymphocyte"], []]
    assert {group for _, _, group, _ in found} == {"P1"}
    assert json.loads((tmp_path / "classes.json").read_text()) == {"megakaryocyte": []}


def test_disputed_cells_are_left_out_until_persons_agree(workshop: Workshop, tmp_path: Path) -> None:
    say(workshop.engine, {0: "plasma_cell", 1: "smudge"})
    say(workshop.engine, {0: "lymphocyte", 1: "smudge"}, by="ben")
    assert (exported(workshop, tmp_path / "1").cells, exported(workshop, tmp_path / "2").disputed) == ({"smudge": 1}, 1)
    say(workshop.engine, {0: "lymphocyte"})
    assert exported(workshop, tmp_path / "3").cells == {"lymphocyte": 1, "smudge": 1}


def test_nothing_in_the_set_names_the_patient(workshop: Workshop, tmp_path: Path) -> None:
    say(workshop.engine, {0: "plasma_cell"})
    exported(workshop, tmp_path)
    names = " ".join(str(path) for path in tmp_path.rglob("*"))
    texts = " ".join(path.read_text() for path in tmp_path.rglob("*.csv"))
    assert "Jane" not in names + texts
    assert "research use only" in texts


def test_a_slide_that_is_gone_is_told_of(workshop: Workshop, tmp_path: Path) -> None:
    say(workshop.engine, {0: "plasma_cell"})
    with transaction(workshop.engine) as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        conn.execute(text("UPDATE slide SET etag = 'another', sha256 = NULL"))
    made = exported(workshop, tmp_path)
    assert (made.cells, made.damaged) == ({}, 1)


@pytest.mark.parametrize(("lab", "patient"), [("other", None), (None, "nobody"), (None, None)])
def test_without_judged_cells_there_is_no_set(
    workshop: Workshop, tmp_path: Path, lab: str | None, patient: str | None
) -> None:
    if lab or patient:
        say(workshop.engine, {0: "plasma_cell"})
    with pytest.raises(BadRequestError, match="judged by a person"):
        exported(workshop, tmp_path, lab, patient)
