"""A cell on which persons disagree is no example to learn from, whichever reading of its slide they looked at."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Engine

from db import corrections, runs
from db.corrections import Said
from db.judged import judged_slides
from db.records import Batch
from db.session import transaction
from tests.support.rows import MODEL, add_slide, cell, decide, execute, plan, read, taken, use_model

MODEL_2 = replace(MODEL, name="m2", weights_sha256="c" * 64)


def say(engine: Engine, cell_class: str, *, by: str, run: int = 1) -> None:
    word = Said(where="line 1", run_id=run, batch_no=0, cell_no=1, cell_class=cell_class)
    with transaction(engine) as conn:
        corrections.record(conn, [word], by, decide)


def judged(engine: Engine) -> list[tuple[int, str, bool]]:
    with transaction(engine) as conn:
        found = [one for slide in judged_slides(conn) for one in slide.cells]
    return [(one.run_id, one.cell_class, one.disputed) for one in found]


def read_beside(engine: Engine, run_id: int, aside_l0: float) -> None:
    """Read the slide with the cell a little beside the place at which the other reading found it."""
    claim = taken(engine, run_id)
    runs.store_plan(engine, claim, plan())
    found = cell(1)
    runs.write_batch(engine, claim, Batch(no=0, cells=(replace(found, x_l0=found.x_l0 + aside_l0),)))
    runs.finish(engine, claim, decide)


def test_words_on_two_readings_of_a_slide_are_a_dispute(lab: Engine) -> None:
    read(lab, add_slide(lab), ("lymphocyte",) * 3)
    say(lab, "plasma_cell", by="ada")
    assert judged(lab) == [(1, "plasma_cell", False)]
    use_model(lab, MODEL_2)
    read_beside(lab, 2, 6.0)
    say(lab, "smudge", by="ben", run=2)
    assert judged(lab) == [(2, "smudge", True)]
    say(lab, "smudge", by="ada", run=2)
    assert judged(lab) == [(2, "smudge", False)]


def test_words_of_old_which_have_no_place_are_disputed_too(lab: Engine) -> None:
    read(lab, add_slide(lab), ("lymphocyte",) * 3)
    for word, by in enumerate(("ada", "ben"), start=1):
        execute(
            lab,
            "INSERT INTO correction (run_id, batch_no, cell_no, made_by, cell_class)"
            f" VALUES (1, 0, 1, '{by}', '{'smudge' if word == 1 else 'lymphocyte'}')",
        )
    execute(lab, "INSERT INTO corrected_cell VALUES (1, 0, 1, 'lymphocyte', 'lymphocyte', false, 2)")
    assert judged(lab) == [(1, "lymphocyte", True)]
