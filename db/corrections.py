"""What persons say of cells: every word is kept beside the model's call, and the last one on a cell counts.

A word is tied to the place of its cell. Where the slide is read anew, by the same model version or another, the cell
found at that place takes it over: nuclei are larger than REACH_UM, so no two lie that near.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import insert

from db import patients
from db.correction_tables import correction
from db.counts import Decide
from db.errors import NotAllowedError, NotFoundError
from db.records import RunState

REACH_UM = 2.0
"""How far from a place its cell may lie in another reading, in micrometres."""
MOST_WORDS = 50_000
"""New ones of one transaction: each is sealed in the audit, one after the other, when it ends."""
_AT_ONCE = 5000
_GREATEST = 2**31 - 1
"""Of the numbers that the database has for batches and cells."""

# What is new to a person follows from what that person said before: one file of each at a time.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('corrections by ' || :by, 3))")
_RUNS = text(
    """
    SELECT run.id, run.state, run.slide_id, slide.patient_id FROM run JOIN slide ON slide.id = run.slide_id
     WHERE run.slide_id IN (SELECT slide_id FROM run WHERE id = ANY (:runs)) ORDER BY run.id
    """
)
_CELLS = text(
    """
    SELECT cell.cell_class AS called, cell.abstained, cell.x_l0, cell.y_l0, own.cell_class AS said,
           corrected_cell.cell_class AS stands
      FROM unnest(CAST(:runs AS bigint[]), CAST(:batches AS integer[]), CAST(:numbers AS integer[]))
           WITH ORDINALITY AS wanted (run_id, batch_no, cell_no, place)
      LEFT JOIN cell USING (run_id, batch_no, cell_no)
      LEFT JOIN corrected_cell USING (run_id, batch_no, cell_no)
      LEFT JOIN LATERAL (
        SELECT earlier.cell_class FROM correction AS earlier
         WHERE (earlier.run_id, earlier.batch_no, earlier.cell_no) = (cell.run_id, cell.batch_no, cell.cell_no)
           AND (earlier.x_l0, earlier.y_l0) = (cell.x_l0, cell.y_l0) AND earlier.made_by = :by
         ORDER BY earlier.id DESC LIMIT 1
      ) AS own ON true
     ORDER BY wanted.place
    """
)
_REACH = text(
    """
    SELECT :reach_um / run.mpp_um FROM run
     WHERE run.id = :run_id AND EXISTS (
       SELECT FROM run AS other JOIN correction ON correction.run_id = other.id WHERE other.slide_id = run.slide_id)
    """
)
# Cells and places meet in squares of the reach's size: one pass over the run's cells, however many words there are.
_CARRY = text(
    """
    WITH square AS MATERIALIZED (
      SELECT word.*, floor(word.x_l0 / :reach_l0) + aside AS column_no, floor(word.y_l0 / :reach_l0) + below AS row_no
        FROM run
        JOIN run AS other ON other.slide_id = run.slide_id
        JOIN correction AS word ON word.run_id = other.id
       CROSS JOIN generate_series(-1, 1) AS aside
       CROSS JOIN generate_series(-1, 1) AS below
       WHERE run.id = :run_id
    ), nearest AS (
      SELECT DISTINCT ON (word.id) word.id, word.cell_class AS said, cell.batch_no, cell.cell_no,
             cell.cell_class AS called, cell.abstained
        FROM square AS word
        JOIN cell ON cell.run_id = :run_id AND floor(cell.x_l0 / :reach_l0) = word.column_no
                 AND floor(cell.y_l0 / :reach_l0) = word.row_no
       CROSS JOIN LATERAL (
          SELECT sqrt(power(cell.x_l0 - word.x_l0, 2) + power(cell.y_l0 - word.y_l0, 2)) AS l0
       ) AS apart
       WHERE apart.l0 <= :reach_l0
       ORDER BY word.id, (word.run_id, word.batch_no, word.cell_no, word.x_l0, word.y_l0)
                       = (cell.run_id, cell.batch_no, cell.cell_no, cell.x_l0, cell.y_l0) DESC, apart.l0,
                cell.batch_no, cell.cell_no
    )
    INSERT INTO corrected_cell (run_id, batch_no, cell_no, cell_class, called, abstained, correction_id)
    SELECT DISTINCT ON (batch_no, cell_no) :run_id, batch_no, cell_no, said, called, abstained, id
      FROM nearest ORDER BY batch_no, cell_no, id DESC
    ON CONFLICT (run_id, batch_no, cell_no) DO UPDATE
       SET cell_class = excluded.cell_class, correction_id = excluded.correction_id
     WHERE corrected_cell.correction_id < excluded.correction_id
    """
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a person says of one cell of one reading."""

    where: str  # for errors, such as `a.csv, line 7`
    run_id: int
    batch_no: int
    cell_no: int
    cell_class: str
    note: str | None = None
    unless_told: bool = False  # it is no word where it only repeats what the model called or another person gave


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What became of a file of words."""

    changed: int  # another class than the model's, or a class where it would not call
    confirmed: int  # the class that the model called
    known: int  # nothing new: said by the same person before, or told already where only news is a word
    patients: tuple[int, ...]  # whose findings were recomputed


def record(conn: Connection, said: Sequence[Said], by: str, decide: Decide) -> Recorded:
    """Keep what a person says, and judge the patients concerned anew; what the person said last already adds nothing.

    Belongs in one transaction with nothing else. Readings go on while it lasts: only the patients are locked, and only
    when the words are written, until it ends. Another file of the same person waits for that end. Raises NotFoundError
    for a cell that is not there, NotAllowedError for a reading that is not done.
    """
    conn.execute(_ONE_AT_A_TIME, {"by": by})
    _check(said, _readings(conn, {one.run_id for one in said}))
    news = _news(conn, said, by)
    if len(news) > MOST_WORDS:
        raise NotAllowedError(f"{news[MOST_WORDS][0].where}: {MOST_WORDS:,} new words stand before it; split the file")
    if news:
        conn.execute(insert(correction), [_row(one, cell, by) for one, cell in news])
    changed = sum(cell.abstained or one.cell_class != cell.called for one, cell in news)
    return Recorded(
        changed=changed,
        confirmed=len(news) - changed,
        known=len(said) - len(news),
        patients=_apply(conn, {one.run_id for one, _ in news}, decide),
    )


def carry(conn: Connection, run_id: int) -> None:
    """Have the words on a slide count for the cells that a finished reading found at their places."""
    reach_l0 = conn.execute(_REACH, {"run_id": run_id, "reach_um": REACH_UM}).scalar_one_or_none()
    if reach_l0 is not None:
        conn.execute(_CARRY, {"run_id": run_id, "reach_l0": reach_l0})


def _check(said: Sequence[Said], runs: Mapping[int, Row[Any]]) -> None:
    given: dict[tuple[int, int, int], str] = {}
    for one in said:
        if one.run_id not in runs or max(one.batch_no, one.cell_no) > _GREATEST:
            raise NotFoundError(f"{one.where}: no reading {one.run_id}; was the file exported from this database?")
        if (state := runs[one.run_id].state) != RunState.DONE:
            raise NotAllowedError(
                f"{one.where}: reading {one.run_id} is {state}, its cells are no result; export them when it is done"
            )
        first = given.setdefault((one.run_id, one.batch_no, one.cell_no), one.where)
        if first is not one.where:
            raise NotAllowedError(f"{one.where}: the cell is the one of {first}; say of each cell one thing")


def _news(conn: Connection, said: Sequence[Said], by: str) -> list[tuple[Said, Row[Any]]]:
    """Return the words that are new, with their cells."""
    found: list[tuple[Said, Row[Any]]] = []
    for start in range(0, len(said), _AT_ONCE):
        part = said[start : start + _AT_ONCE]
        found += [one for one in zip(part, _cells(conn, part, by), strict=True) if _is_new(*one)]
    return found


def _apply(conn: Connection, changed: set[int], decide: Decide) -> tuple[int, ...]:
    """Have new words on some readings count in all of their slides' readings; return the patients, judged anew."""
    concerned = _locked(conn, changed)
    for row in concerned:
        if row.state == RunState.DONE:
            carry(conn, row.id)
    judged = tuple(sorted({row.patient_id for row in concerned}))
    patients.recompute_all(conn, judged, decide)
    return judged


def _locked(conn: Connection, run_ids: set[int]) -> Collection[Row[Any]]:
    """Lock the patients of some readings, and return all readings of their slides as they stand then.

    A reading that ends, or is begun anew, waits for its patient before it counts: it ended before, and is seen here,
    or it ends later, and sees the words.
    """
    held: set[int] = set()
    while True:
        found = _readings(conn, run_ids).values()
        if not (wanted := {row.patient_id for row in found} - held):
            return found
        # A slide may have gone to another patient while the lock was waited for.
        patients.lock(conn, wanted)
        held |= wanted


def _readings(conn: Connection, run_ids: set[int]) -> dict[int, Row[Any]]:
    """Return all readings of the slides of some readings, by number."""
    return {row.id: row for row in conn.execute(_RUNS, {"runs": sorted(run_ids)})}


def _cells(conn: Connection, said: Sequence[Said], by: str) -> Sequence[Row[Any]]:
    keys = {
        "runs": [one.run_id for one in said],
        "batches": [one.batch_no for one in said],
        "numbers": [one.cell_no for one in said],
    }
    return conn.execute(_CELLS, keys | {"by": by}).all()


def _is_new(one: Said, cell: Row[Any]) -> bool:
    if cell.called is None:
        raise NotFoundError(
            f"{one.where}: reading {one.run_id} has no cell {one.cell_no} in batch {one.batch_no}; "
            "it was read anew since: export it again"
        )
    told = (None if cell.abstained else cell.called, cell.stands)
    return one.cell_class != cell.said and not (one.unless_told and one.cell_class in told)


def _row(one: Said, cell: Row[Any], by: str) -> dict[str, Any]:
    return {
        "run_id": one.run_id,
        "batch_no": one.batch_no,
        "cell_no": one.cell_no,
        "made_by": by,
        "cell_class": one.cell_class,
        "note": one.note,
        "called": cell.called,
        "abstained": cell.abstained,
        "x_l0": cell.x_l0,
        "y_l0": cell.y_l0,
    }
