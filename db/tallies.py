"""What patients' verdicts rest on: counted cells and the standing of slides, for one patient or for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import groupby
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Connection, Row, any_, literal, select, text

from db.counts import APART, Measured, SlideTally, SpecimenTally, Stop, Tally
from db.errors import NotFoundError
from db.model_rows import confusion_of
from db.records import NOT_COUNTED, Specimen
from db.tables import lab, model_version, patient

WITHDRAWN = "withdrawn"
"""Error code of a run that a person cancelled: its slide no longer bears on the verdict."""

_STANDING = text(
    """
    SELECT patient_id, specimen, standing, count(*) AS slides, array_agg(run_id) AS runs
      FROM (SELECT slide.patient_id, slide.specimen, run.id AS run_id,
              CASE WHEN run.state = 'cancelled' AND run.error_code = :withdrawn THEN 'withdrawn'
                   WHEN slide.state <> 'current' THEN 'open'
                   WHEN run.state IN ('done', 'quarantined') THEN run.state
                   ELSE 'open' END AS standing
              FROM slide LEFT JOIN run ON run.slide_id = slide.id AND run.model_version_id = :model_version_id
             WHERE slide.patient_id = ANY (:patients) AND slide.state <> 'superseded') AS one
     GROUP BY patient_id, specimen, standing ORDER BY patient_id, specimen
    """
)
_COUNTS = text(
    """
    SELECT slide.patient_id, slide.specimen, slide.id AS slide_id, run_count.cell_class, run_count.called,
           CASE WHEN run_count.counted THEN run_count.abstained ELSE 0 END AS abstained,
           run.n_read, run.stop
      FROM run_count_effective AS run_count JOIN run ON run.id = run_count.run_id
      JOIN slide ON slide.id = run.slide_id
     WHERE run_count.run_id = ANY (:runs) ORDER BY slide.id, run_count.cell_class
    """
)
_JUDGED = text(
    """
    SELECT slide.patient_id, slide.specimen, CASE WHEN NOT abstained THEN called
                WHEN called = ANY (:not_counted) THEN :apart ELSE 'abstained' END AS call,
           cell_class, count(*) AS cells
      FROM corrected_cell JOIN run ON run.id = run_id JOIN slide ON slide.id = run.slide_id
     WHERE run_id = ANY (:runs) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    """
)
_MEASURES = tuple(one.name for one in fields(Measured))
_MEASURED = text(
    """
    SELECT run.slide_id, cell_class, mean_probability AS probability, median_nc_ratio AS nc_ratio,
           median_nucleus_um2 AS nucleus_um2, median_nucleus_offset AS nucleus_offset, of_cell_width, areas_chi2,
           areas_df
      FROM run_count JOIN run ON run.id = run_count.run_id
     WHERE run_id = ANY (:runs) AND num_nonnulls(mean_probability, of_cell_width, areas_chi2) > 0
     ORDER BY run.slide_id, cell_class
    """
)


def tallies(conn: Connection, model_version_id: int, patient_ids: Sequence[int]) -> dict[int, Tally]:
    """Return what each patient's verdict under one model version rests on.

    A slide that is incomplete, missing, or not read by this model version counts as open; counts come from done
    slides only. Raises NotFoundError when the model version or one of the patients is not known.
    """
    wanted = select(model_version.c.name, model_version.c.confusion).where(model_version.c.id == model_version_id)
    model = conn.execute(wanted).one_or_none()
    rules = _rules(conn, patient_ids)
    if model is None or len(rules) != len(set(patient_ids)):
        raise NotFoundError(f"no patient {', '.join(map(str, patient_ids[:3]))} or no model version {model_version_id}")
    parameters = {"patients": list(patient_ids), "model_version_id": model_version_id, "withdrawn": WITHDRAWN}
    standing = conn.execute(_STANDING, parameters).all()
    runs = [run for row in standing if row.standing == "done" for run in row.runs]
    counts = _by_patient(conn.execute(_COUNTS, {"runs": runs}))
    measured, judged = _measured(conn, runs), _judged(conn, runs)
    slides, confusion = _by_patient(standing), confusion_of(model.confusion)
    return {
        patient_id: Tally(
            model_version=model.name,
            rule=rule,
            specimens=tuple(
                replace(one, judged=judged.get((patient_id, one.specimen), {}))
                for one in _specimens(slides.get(patient_id, ()), counts.get(patient_id, ()), measured)
            ),
            slides_done=_slides(slides.get(patient_id, ()), "done"),
            slides_open=_slides(slides.get(patient_id, ()), "open"),
            slides_quarantined=_slides(slides.get(patient_id, ()), "quarantined"),
            confusion=confusion,
        )
        for patient_id, rule in rules.items()
    }


def _rules(conn: Connection, patient_ids: Sequence[int]) -> dict[int, str]:
    ids = literal(list(patient_ids), ARRAY(BigInteger))
    wanted = select(patient.c.id, lab.c.rule).select_from(patient.join(lab)).where(patient.c.id == any_(ids))
    return {row.id: row.rule for row in conn.execute(wanted)}


def _by_patient(rows: Iterable[Row[Any]]) -> Mapping[int, Sequence[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.patient_id, []).append(row)
    return found


def _slides(rows: Sequence[Row[Any]], standing: str) -> int:
    return sum(row.slides for row in rows if row.standing == standing)


def _measured(conn: Connection, runs: Sequence[int]) -> Mapping[int, Mapping[str, Measured]]:
    """Return what the cells of each slide are like, per class."""
    found: dict[int, dict[str, Measured]] = {}
    for row in conn.execute(_MEASURED, {"runs": runs}):
        slide_id, cell_class, *values = row
        found.setdefault(slide_id, {})[cell_class] = Measured(**dict(zip(_MEASURES, values, strict=True)))
    return found


def _judged(conn: Connection, runs: Sequence[int]) -> Mapping[tuple[int, str], Mapping[str, Mapping[str, int]]]:
    """Return the cells that persons judged, by patient and specimen, call and class given."""
    found: dict[tuple[int, str], dict[str, dict[str, int]]] = {}
    parameters = {"runs": runs, "not_counted": sorted(NOT_COUNTED), "apart": APART}
    for row in conn.execute(_JUDGED, parameters):
        of_call = found.setdefault((row.patient_id, row.specimen), {}).setdefault(row.call, {})
        of_call[row.cell_class] = int(row.cells)
    return found


def _specimens(
    standing: Sequence[Row[Any]], counts: Sequence[Row[Any]], measured: Mapping[int, Mapping[str, Measured]]
) -> tuple[SpecimenTally, ...]:
    done = [row for row in standing if row.standing == "done"]
    return tuple(_specimen(row, [one for one in counts if one.specimen == row.specimen], measured) for row in done)


def _specimen(
    standing: Row[Any], counts: Sequence[Row[Any]], measured: Mapping[int, Mapping[str, Measured]]
) -> SpecimenTally:
    slides = tuple(
        _slide(slide_id, list(rows), measured.get(slide_id, {}))
        for slide_id, rows in groupby(counts, key=lambda row: int(row.slide_id))
    )
    called: Counter[str] = Counter()
    for one in slides:
        called.update(one.counts)
    return SpecimenTally(
        specimen=Specimen(standing.specimen),
        counts=dict(sorted(called.items())),
        abstained=sum(one.abstained for one in slides),
        slides_done=standing.slides,
        slides=slides,
    )


def _slide(slide_id: int, counts: Sequence[Row[Any]], measured: Mapping[str, Measured]) -> SlideTally:
    return SlideTally(
        slide_id=slide_id,
        counts={one.cell_class: int(one.called) for one in counts if one.called},
        abstained=sum(int(one.abstained) for one in counts),
        measured=measured,
        stop=_stop(counts[0]),
    )


def _stop(row: Row[Any]) -> Stop | None:
    return None if row.stop is None else Stop(n_read=row.n_read, **row.stop)
