"""How far the reading of given objects has come, for those who wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from db.records import RunState, StoredObject

_PROGRESS = text(
    """
    SELECT wanted.key, slide.id AS slide_id, reading.state,
           reading.error_code, reading.error_cause, reading.error_remedy,
           (reading.plan ->> 'n_tiles')::int AS tiles,
           least((reading.plan ->> 'n_tiles')::int, (reading.plan ->> 'tiles_per_batch')::int * written.batches)
             AS tiles_read,
           coalesce(reading.n_cells, written.cells) AS cells
      FROM unnest(CAST(:keys AS text[]), CAST(:etags AS text[]), CAST(:modified AS timestamptz[]))
           WITH ORDINALITY AS wanted (key, etag, modified, place)
      LEFT JOIN slide
        ON slide.bucket = :bucket AND slide.key = wanted.key AND wanted.etag IN (slide.etag, slide.manifest_digest)
       AND slide.last_modified >= wanted.modified AND slide.state = 'current'
      LEFT JOIN active_model ON true
      LEFT JOIN run AS reading
        ON reading.slide_id = slide.id AND reading.model_version_id = active_model.model_version_id
     CROSS JOIN LATERAL (SELECT count(*) AS batches, coalesce(sum(batch.n_cells), 0) AS cells
                           FROM batch WHERE batch.run_id = reading.id) AS written
     ORDER BY wanted.place
    """
)
ENDED = frozenset({RunState.DONE, RunState.QUARANTINED, RunState.CANCELLED})


@dataclass(frozen=True, kw_only=True)
class ObjectProgress:
    """One object; everything but its key is None until it is registered, tiles until its run is planned."""

    key: str
    slide_id: int | None
    state: RunState | None
    error_code: str | None
    error_cause: str | None
    error_remedy: str | None
    tiles: int | None
    tiles_read: int | None
    cells: int  # written so far

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in ENDED


def progress(conn: Connection, objects: Sequence[StoredObject]) -> list[ObjectProgress]:
    """Return how far the active model has come with each of the objects of one bucket, in their order.

    An object counts as registered once its slide is as new as the object says: with a newer sidecar, once that is read.
    The ETag of a slide of several files is its manifest.
    """
    if not objects:
        return []
    wanted = {
        "bucket": objects[0].bucket,
        "keys": [obj.key for obj in objects],
        "etags": [obj.etag for obj in objects],
        "modified": [obj.last_modified for obj in objects],
    }
    rows = [row._mapping for row in conn.execute(_PROGRESS, wanted)]
    return [ObjectProgress(**{**row, "state": RunState(row["state"]) if row["state"] else None}) for row in rows]
