"""What persons say of cells is kept, counts at once, and follows its place when a slide is read anew."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from db import agreement, cell_reports, corrections, patients, proofs, runs
from db.cases import cells_of
from db.corrections import Recorded, Said
from db.counts import APART, SpecimenTally
from db.errors import NotAllowedError, NotFoundError
from db.records import NOT_COUNTED, Batch, Cell, CellClass, Claim
from db.session import transaction
from tests.support.rows import (
    MODEL,
    add_slide,
    batch,
    cell,
    decide,
    execute,
    plan,
    read,
    scalar,
    taken,
    use_model,
)

TEN = ("lymphoblast",) + ("lymphocyte",) * 9
MODEL_2 = replace(MODEL, name="m2", weights_sha256="c" * 64)


def said(no: int, cell_class: str, *, run: int = 1, unless_told: bool = False) -> Said:
    return Said(where=f"line {no}", run_id=run, batch_no=0, cell_no=no, cell_class=cell_class, unless_told=unless_told)


def record(engine: Engine, *words: Said, by: str = "ada") -> Recorded:
    with transaction(engine) as conn:
        return corrections.record(conn, words, by, decide)


def counts(engine: Engine, model_id: int = 1) -> SpecimenTally:
    with transaction(engine) as conn:
        (one,) = patients.tally(conn, 1, model_id).specimens
    return one


def read_cells(engine: Engine, run_id: int, cells: Sequence[Cell], digest: str = "plan-1") -> None:
    claim = taken(engine, run_id)
    runs.store_plan(engine, claim, plan(digest=digest))
    runs.write_batch(engine, claim, Batch(no=0, cells=tuple(cells)))
    runs.finish(engine, claim, decide)


def test_a_corrected_cell_counts_as_the_person_left_it_in_the_same_transaction(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    assert scalar(lab, "SELECT finding || ' ' || reason FROM report.patients") == "no_evidence 1 of 10"
    found = record(lab, said(1, "lymphoblast"))
    assert found == Recorded(changed=1, confirmed=0, known=0, patients=(1,))
    assert scalar(lab, "SELECT finding || ' ' || reason FROM report.patients") == "consistent_with_ALL 2 of 10"
    assert counts(lab).counts == {"lymphoblast": 2, "lymphocyte": 8}


def test_both_classes_are_kept(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    record(lab, said(1, "plasma_cell"))
    with transaction(lab) as conn:
        one = cell_reports.cells(conn, run_id=1)[1]
        case = list(cells_of(conn, 1))[1]
        (word,) = agreement.corrections(conn)
    assert (one.cell_class, one.corrected_class, case.cell_class, case.corrected_class) == (
        "lymphocyte",
        "plasma_cell",
        "lymphocyte",
        "plasma_cell",
    )
    assert (word.called, word.cell_class, word.made_by, word.x_l0, word.counts) == (
        "lymphocyte",
        "plasma_cell",
        "ada",
        10.5,
        True,
    )


def test_an_abstained_cell_that_is_corrected_is_no_longer_abstained(lab: Engine) -> None:
    read_cells(lab, add_slide(lab), [cell(0), cell(1, abstained=True), cell(2, "smudge", abstained=True)])
    assert counts(lab).abstained == 1
    record(lab, said(1, "lymphocyte"), said(2, "plasma_cell"))
    assert (counts(lab).abstained, counts(lab).counts) == (0, {"lymphocyte": 2, "plasma_cell": 1})
    assert counts(lab).judged == {"abstained": {"lymphocyte": 1}, APART: {"plasma_cell": 1}}
    with transaction(lab) as conn:
        assert {one.cell_class: (one.called, one.abstained) for one in cell_reports.differential(conn)} == {
            "lymphocyte": (2, 0),
            "plasma_cell": (1, 0),
        }


def test_a_rejected_detection_leaves_the_denominator(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    record(lab, said(5, "artefact"))
    with transaction(lab) as conn:
        shares = {one.cell_class: (one.counted, one.share) for one in cell_reports.differential(conn)}
    assert shares == {"lymphoblast": (True, 1 / 9), "lymphocyte": (True, 8 / 9), "artefact": (False, None)}


def test_what_a_person_said_before_adds_nothing(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    words = (said(1, "plasma_cell"), said(0, "lymphoblast"), said(2, "lymphocyte", unless_told=True))
    assert record(lab, *words) == Recorded(changed=1, confirmed=1, known=1, patients=(1,))
    before = scalar(lab, "SELECT max(seq) FROM audit")
    assert record(lab, *words) == Recorded(changed=0, confirmed=0, known=3, patients=())
    assert scalar(lab, "SELECT max(seq) FROM audit") == before


def test_the_last_word_of_all_counts_and_each_persons_last_word_is_kept(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    record(lab, said(1, "plasma_cell"), said(2, "smudge"), by="ada")
    record(lab, said(1, "lymphoblast"), said(2, "smudge"), by="ben")
    record(lab, said(1, "smudge"), by="ada")
    assert counts(lab).counts == {"lymphoblast": 1, "lymphocyte": 7, "smudge": 2}
    with transaction(lab) as conn:
        words = agreement.corrections(conn)
        (disputed,) = agreement.disputed(conn)
    assert [(one.made_by, one.cell_class) for one in words if one.last_word and one.cell_no == 1] == [
        ("ben", "lymphoblast"),
        ("ada", "smudge"),
    ]
    assert (disputed.cell_no, disputed.words, disputed.last_class) == (
        1,
        {"ada": "smudge", "ben": "lymphoblast"},
        "smudge",
    )


@pytest.mark.parametrize(
    ("words", "error", "named"),
    [
        ([said(99, "smudge")], NotFoundError, "line 99: reading 1 has no cell 99 in batch 0"),
        ([said(1, "smudge", run=9)], NotFoundError, "line 1: no reading 9"),
        ([said(1, "smudge"), replace(said(1, "smudge"), where="line 7")], NotAllowedError, "line 7: .* of line 1"),
        ([said(1, "smudge"), said(0, "smudge", run=2)], NotAllowedError, "line 0: reading 2 is pending"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(
    lab: Engine, words: list[Said], error: type[Exception], named: str
) -> None:
    read(lab, add_slide(lab), TEN)
    add_slide(lab, "b")
    with pytest.raises(error, match=named):
        record(lab, *words)
    assert scalar(lab, "SELECT (SELECT count(*) FROM correction) + (SELECT count(*) FROM corrected_cell)") == 0


def again(engine: Engine) -> None:
    """Make the run due again, as when its slide's scale was corrected."""
    execute(engine, "UPDATE run SET state = 'cancelled'; UPDATE run SET state = 'pending', next_at = now()")


def test_a_word_follows_its_place_when_the_slide_is_read_anew(lab: Engine) -> None:
    run_id = add_slide(lab)
    read_cells(lab, run_id, [cell(0), cell(1), cell(2)])
    record(lab, said(1, "plasma_cell"), said(2, "smudge"))
    again(lab)
    nudged = [replace(cell(0), x_l0=11.0, y_l0=20.0), cell(1, "smudge", abstained=True), cell(2)]
    nudged[1], nudged[2] = replace(nudged[1], x_l0=0.0), replace(nudged[2], x_l0=300.0)
    read_cells(lab, run_id, nudged, digest="plan-2")
    # Cell 0 lies now where cell 1 was corrected; where cell 2 was, none was found.
    assert (counts(lab).counts, counts(lab).abstained) == ({"lymphocyte": 1, "plasma_cell": 1}, 0)
    with transaction(lab) as conn:
        assert [one.corrected_class for one in cells_of(conn, run_id)] == ["plasma_cell", None, None]
        assert [one.counts for one in agreement.corrections(conn)] == [True, False]


def test_a_word_holds_for_the_readings_of_other_model_versions(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    record(lab, said(1, "plasma_cell"))
    use_model(lab, MODEL_2)
    read(lab, 2, ("lymphocyte",) * 10)
    assert counts(lab, 2).counts == {"lymphocyte": 9, "plasma_cell": 1}
    record(lab, said(3, "smudge"), by="ben")  # on the older reading, which is not shown any more
    assert counts(lab, 2).counts == {"lymphocyte": 8, "plasma_cell": 1, "smudge": 1}
    assert scalar(lab, "SELECT model_version FROM report.patients") == "m2"


def test_a_reading_that_ends_while_words_are_recorded_has_them(lab: Engine) -> None:
    for round_no in range(4):
        first = add_slide(lab, str(round_no), patient=f"p{round_no}")
        read(lab, first, TEN)
        claim = _other_reading(lab, first)
        gate = Barrier(2)

        def end(claim: Claim = claim, gate: Barrier = gate) -> None:
            gate.wait()
            runs.finish(lab, claim, decide)

        def say(run: int = first, gate: Barrier = gate) -> None:
            gate.wait()
            record(lab, said(1, "plasma_cell", run=run))

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(end), pool.submit(say)]:
                future.result()
        counted = (
            f"SELECT array_agg(run_id ORDER BY run_id) FROM corrected_cell WHERE run_id IN ({first}, {claim.run_id})"
        )
        assert scalar(lab, counted) == [first, claim.run_id]


def _other_reading(engine: Engine, run_id: int) -> Claim:
    """Return the claim of another model version's reading of the same slide that has only to be finished."""
    execute(
        engine,
        "INSERT INTO model_version (name, weights_sha256, classes, preprocess) SELECT 'm2', repeat('c', 64), classes,"
        " preprocess FROM model_version WHERE NOT EXISTS (SELECT FROM model_version WHERE name = 'm2')",
    )
    other = scalar(
        engine,
        "WITH made AS (INSERT INTO run (slide_id, model_version_id, max_attempts, changed_by, change_reason)"
        f" SELECT slide_id, 2, 3, 't', 't' FROM run WHERE id = {run_id} RETURNING id) SELECT id FROM made",
    )
    claim = taken(engine, other)
    runs.store_plan(engine, claim, plan())
    runs.write_batch(engine, claim, batch(classes=TEN))
    return claim


def test_which_classes_are_counted_is_the_same_in_the_database_and_in_the_records(lab: Engine) -> None:
    read(lab, add_slide(lab), ("lymphocyte",) * len(CellClass))
    record(lab, *(said(no, name) for no, name in enumerate(CellClass)))
    found = scalar(lab, "SELECT array_agg(cell_class) FROM run_count_effective WHERE NOT counted AND called = 1")
    assert set(found) == NOT_COUNTED


def test_a_cell_that_counts_otherwise_than_it_was_said_is_named_by_the_proof(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    record(lab, said(1, "plasma_cell"))
    with transaction(lab) as conn:
        assert proofs.miscounted(conn, [1]) == {1: []}
    execute(lab, "UPDATE corrected_cell SET cell_class = 'lymphoblast'")
    with transaction(lab) as conn:
        (fault,) = proofs.miscounted(conn, [1])[1]
    assert "cell 1 in batch 0 of run 1 counts as lymphoblast" in fault


CLASSES = st.sampled_from(["lymphoblast", "plasma_cell", "lymphocyte", "smudge"])


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.tuples(st.integers(0, 4), CLASSES, st.sampled_from("ab")), max_size=12))
def test_counts_are_those_of_the_cells_with_the_last_words_on_them(
    lab: Engine, words: list[tuple[int, str, str]]
) -> None:
    number = scalar(lab, "SELECT count(*) FROM slide")
    run_id = add_slide(lab, f"s{number}", patient=f"p{number}")
    stands = dict(enumerate(("lymphocyte",) * 5))
    read(lab, run_id, tuple(stands.values()))
    last: dict[tuple[str, int], str] = {}
    for no, cell_class, by in words:
        record(lab, said(no, cell_class, run=run_id), by=by)
        if last.get((by, no)) != cell_class:
            stands[no] = last[by, no] = cell_class
    called = f"SELECT jsonb_object_agg(cell_class, called) FROM run_count_effective WHERE run_id = {run_id}"
    assert scalar(lab, called) == {name: list(stands.values()).count(name) for name in set(stands.values())}
