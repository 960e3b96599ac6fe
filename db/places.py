"""Which cell lies at a place of a slide, in the reading that the patient's finding rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, text

from db.cell_tables import cell
from db.errors import NotAllowedError, NotFoundError

REACH_UM = 5.0
"""How far from a cell's centroid a person may point and still mean it, in micrometres."""
_SHOWN = text(
    """
    SELECT slide.key, run.id AS run_id, run.state, run.mpp_um
      FROM slide JOIN patient ON patient.id = slide.patient_id
      LEFT JOIN run ON run.slide_id = slide.id AND run.model_version_id = patient.shown_model_id
     WHERE slide.key = ANY (:keys) AND slide.state = 'current'
    """
)
# Cells and places meet in squares of the reach's size: one pass over the run's cells, however many places there are.
_NEAREST = text(
    """
    SELECT DISTINCT ON (place.no) place.no, cell.batch_no, cell.cell_no
      FROM unnest(CAST(:xs AS float8[]), CAST(:ys AS float8[])) WITH ORDINALITY AS place (x, y, no)
     CROSS JOIN generate_series(-1, 1) AS aside
     CROSS JOIN generate_series(-1, 1) AS below
      JOIN cell ON cell.run_id = :run_id
               AND floor(cell.x_l0 / :reach_l0) = floor(place.x / :reach_l0) + aside
               AND floor(cell.y_l0 / :reach_l0) = floor(place.y / :reach_l0) + below
     CROSS JOIN LATERAL (SELECT sqrt(power(cell.x_l0 - place.x, 2) + power(cell.y_l0 - place.y, 2)) AS l0) AS apart
     WHERE apart.l0 <= :reach_l0
     ORDER BY place.no, apart.l0, cell.batch_no, cell.cell_no
    """
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A place that a person pointed at."""

    where: str  # for errors, such as `a.csv, line 7`
    slide_key: str
    x_l0: float
    y_l0: float


CellKey = tuple[int, int, int]
"""Run, batch and number of a cell."""


def cells_at(conn: Connection, places: Sequence[Place]) -> list[CellKey]:
    """Return the nearest cell of each place.

    Raises NotFoundError for a slide that is not there or has no cell so near, NotAllowedError for a key that several
    buckets hold or a slide that is not read yet.
    """
    by_slide: dict[str, list[Place]] = {}
    for one in places:
        by_slide.setdefault(one.slide_key, []).append(one)
    rows = conn.execute(_SHOWN, {"keys": list(by_slide)}).all()
    found: dict[Place, CellKey] = {}
    for key, wanted in by_slide.items():
        found |= _nearest(conn, _run(key, wanted[0].where, [row for row in rows if row.key == key]), wanted)
    return [found[one] for one in places]


def keys_of(conn: Connection, run_id: int) -> list[tuple[int, int]]:
    """Return batch and number of every cell of a reading."""
    rows = conn.execute(select(cell.c.batch_no, cell.c.cell_no).where(cell.c.run_id == run_id))
    return [(row.batch_no, row.cell_no) for row in rows]


def _run(key: str, where: str, rows: Sequence[Row[Any]]) -> Row[Any]:
    if not rows:
        raise NotFoundError(f"{where}: no slide {key!r}; `marrowline slides` shows the keys")
    if len(rows) > 1:
        raise NotAllowedError(f"{where}: several buckets hold a slide {key!r}; name the cell by run, batch and cell")
    if rows[0].state != "done":
        raise NotAllowedError(f"{where}: slide {key!r} is not read yet; import when it is done")
    return rows[0]


def _nearest(conn: Connection, run: Row[Any], wanted: Sequence[Place]) -> Mapping[Place, CellKey]:
    reach = {"run_id": run.run_id, "reach_l0": REACH_UM / run.mpp_um}
    places = {"xs": [one.x_l0 for one in wanted], "ys": [one.y_l0 for one in wanted]}
    near = {row.no: (run.run_id, row.batch_no, row.cell_no) for row in conn.execute(_NEAREST, reach | places)}
    for no, one in enumerate(wanted, start=1):
        if no not in near:
            raise NotFoundError(
                f"{one.where}: no cell within {REACH_UM:g} µm of ({one.x_l0:g}, {one.y_l0:g}) on {one.slide_key!r}; "
                "places are level-0 pixels"
            )
    return {one: near[no] for no, one in enumerate(wanted, start=1)}
