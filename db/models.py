"""Model versions: known ones, and the one that slides are read with."""

from __future__ import annotations

from sqlalchemy import Connection, Row, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert

from db import patients, tables
from db.errors import NotAllowedError, NotFoundError
from db.records import Decide, ModelVersion
from db.tables import model_version, patient

_RUNS_FOR_ALL = text(
    """
    INSERT INTO run (slide_id, model_version_id, max_attempts, changed_by, change_reason)
    SELECT slide.id, :model_version_id, coalesce(max(run.max_attempts), 5), 'operator', 'model activated'
      FROM slide LEFT JOIN run ON run.slide_id = slide.id
     WHERE slide.state = 'current'
     GROUP BY slide.id ORDER BY slide.id
    ON CONFLICT DO NOTHING
    """
)


def register_model(conn: Connection, model: ModelVersion) -> int:
    """Store a model version, once; return its id.

    Raises NotAllowedError when its name stands for other weights, classes or preprocessing already.
    """
    values = {
        "name": model.name,
        "weights_sha256": model.weights_sha256,
        "classes": list(model.classes),
        "preprocess": dict(model.preprocess),
    }
    conn.execute(insert(model_version).values(values).on_conflict_do_nothing(constraint="uq_model_version_name"))
    same = (
        model_version.c.weights_sha256 == model.weights_sha256,
        model_version.c.classes == list(model.classes),
        model_version.c.preprocess == literal(dict(model.preprocess), model_version.c.preprocess.type),
    )
    known = select(model_version.c.id).where(model_version.c.name == model.name, *same)
    found = conn.execute(known).scalar_one_or_none()
    if found is None:
        raise NotAllowedError(f"model {model.name} is known with other contents: give the new weights a new name")
    return int(found)


def active_model(conn: Connection) -> tuple[int, ModelVersion] | None:
    """Return the id and the model version that new slides are read with; None before the first activation."""
    row = conn.execute(select(model_version).join(tables.active_model)).one_or_none()
    return None if row is None else (row.id, _model(row))


def activate(conn: Connection, name: str, decide: Decide) -> None:
    """Read slides with this model version from now on, those already known as well; nothing if it is active.

    A patient's reports change over when the new version has read all the patient's slides. Raises NotFoundError.
    """
    model_id = conn.execute(select(model_version.c.id).where(model_version.c.name == name)).scalar_one_or_none()
    if model_id is None:
        raise NotFoundError(f"no model version is named {name}")
    only = insert(tables.active_model).values(model_version_id=model_id)
    switched = conn.execute(
        only.on_conflict_do_update(
            constraint=tables.active_model.primary_key,
            set_={"model_version_id": model_id, "activated_at": func.now()},
            where=tables.active_model.c.model_version_id != model_id,
        )
    )
    if switched.rowcount:
        conn.execute(_RUNS_FOR_ALL, {"model_version_id": model_id})
        patients.recompute_all(conn, conn.execute(select(patient.c.id)).scalars().all(), decide)


def _model(row: Row[tuple[object, ...]]) -> ModelVersion:
    return ModelVersion(
        name=row.name, weights_sha256=row.weights_sha256, classes=tuple(row.classes), preprocess=row.preprocess
    )
