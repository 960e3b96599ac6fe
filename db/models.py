"""Model versions: known ones, the one that slides are read with, and reading the archive with another beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db import patients, tables, withdrawal
from db.counts import Decide
from db.errors import NotAllowedError, NotFoundError
from db.model_rows import differing, values_of, version_of
from db.records import ModelVersion
from db.tables import model_version, patient

_RUNS_FOR_ALL = text(
    """
    INSERT INTO run (slide_id, model_version_id, max_attempts, changed_by, change_reason)
    SELECT slide.id, :model_version_id, coalesce(max(run.max_attempts), 5), 'operator', :reason
      FROM slide LEFT JOIN run ON run.slide_id = slide.id
     WHERE slide.state = 'current'
     GROUP BY slide.id ORDER BY slide.id
    ON CONFLICT DO NOTHING
    """
)
_REACH = text(
    """
    SELECT count(*) AS slides,
           count(*) FILTER (WHERE run.state = 'done') AS read,
           count(*) FILTER (WHERE run.state = 'quarantined') AS unreadable,
           count(*) FILTER (WHERE run.state IN ('pending', 'running', 'retry_wait')) AS queued,
           count(*) FILTER (WHERE run.id IS NULL) AS unasked
      FROM slide LEFT JOIN run ON run.slide_id = slide.id AND run.model_version_id = :model_version_id
     WHERE slide.state = 'current'
    """
)


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A model version that the database knows."""

    id: int
    version: ModelVersion
    card: Mapping[str, Any] | None  # as JSON; None: registered before cards were kept
    registered_at: datetime
    active: bool


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far a model version has come with the archive, in current slides."""

    slides: int
    read: int
    unreadable: int  # in quarantine under this model version
    queued: int
    unasked: int  # nobody asked for their reading by this model version yet

    @property
    def to_read(self) -> int:
        """Slides that it still has to read."""
        return self.queued + self.unasked


def register_model(
    conn: Connection, model: ModelVersion, card: Mapping[str, Any] | None = None, *, restate: bool = False
) -> int:
    """Store a model version, once; return its id.

    card: what its card says, as JSON; kept as first stored unless `restate`, as no reading depends on it.
    Raises NotAllowedError when its name stands for other weights, classes, preprocessing or confusion already.
    """
    new = insert(model_version).values(values_of(model) | {"card": card})
    conn.execute(new.on_conflict_do_nothing(constraint="uq_model_version_name"))
    row = conn.execute(select(model_version).where(model_version.c.name == model.name)).one()
    if others := differing(version_of(row), model):
        raise NotAllowedError(
            f"model {model.name} is known with other contents ({', '.join(others)}): give the new weights a new name"
        )
    if card is not None and row.card != card and (row.card is None or restate):
        conn.execute(update(model_version).where(model_version.c.id == row.id).values(card=card))
    return int(row.id)


def registered(conn: Connection) -> list[Registered]:
    """Return every model version, in the order in which they were registered."""
    active = tables.active_model.c.model_version_id.is_not(None).label("active")
    rows = conn.execute(select(model_version, active).outerjoin(tables.active_model).order_by(model_version.c.id))
    return [
        Registered(id=row.id, version=version_of(row), card=row.card, registered_at=row.created_at, active=row.active)
        for row in rows
    ]


def active_model(conn: Connection) -> tuple[int, ModelVersion] | None:
    """Return the id and the model version that new slides are read with; None before the first activation."""
    row = conn.execute(select(model_version).join(tables.active_model)).one_or_none()
    return None if row is None else (row.id, version_of(row))


def read_archive(conn: Connection, name: str) -> int:
    """Have a model version read the current slides that it was not asked to read yet; return how many.

    The reports stay those of the active one, whose slides go first. Slides that come later are not among them: call
    again. Raises NotFoundError.
    """
    return _ask_for_all(conn, id_of(conn, name), "to be compared with the active model")


def reach(conn: Connection, name: str) -> Reach:
    """Return how much of the archive a model version has read. Raises NotFoundError."""
    return Reach(**conn.execute(_REACH, {"model_version_id": id_of(conn, name)}).one()._mapping)


def activate(conn: Connection, name: str, decide: Decide) -> None:
    """Read slides with this model version from now on, those already known as well; nothing if it is active.

    A patient's reports change over when the new version has read all the patient's slides. Raises NotFoundError.
    """
    model_id = id_of(conn, name)
    only = insert(tables.active_model).values(model_version_id=model_id)
    switched = conn.execute(
        only.on_conflict_do_update(
            constraint=tables.active_model.primary_key,
            set_={"model_version_id": model_id, "activated_at": func.now()},
            where=tables.active_model.c.model_version_id != model_id,
        )
    )
    if switched.rowcount:
        _ask_for_all(conn, model_id, "model activated")
        patients.recompute_all(conn, conn.execute(select(patient.c.id)).scalars().all(), decide)


def _ask_for_all(conn: Connection, model_id: int, reason: str) -> int:
    """Make a run of every current slide that has none by the model version; return how many are to be read."""
    asked = conn.execute(_RUNS_FOR_ALL, {"model_version_id": model_id, "reason": reason}).rowcount
    return int(asked) - withdrawal.stay_withdrawn(conn, model_id)


def id_of(conn: Connection, name: str) -> int:
    """Return the id of a model version. Raises NotFoundError."""
    found = conn.execute(select(model_version.c.id).where(model_version.c.name == name)).scalar_one_or_none()
    if found is None:
        raise NotFoundError(f"no model version is named {name}: `marrowline models list` shows them")
    return int(found)
