"""Writes one patient's report into the bucket: claim, look at the slides once more, put, note.

A lost or repeated message is harmless, as is a second writer. A report that fails is tried again ever more seldom, and
bears on no reading: it has a lease and tries of its own. One that lies in the bucket as it would be is not put again.
"""

from __future__ import annotations

from enum import StrEnum

import structlog

from db import pages
from db.errors import DatabaseError, UnavailableError
from db.faultpoints import faultpoint
from db.pages import PageClaim
from worker.errors import MarrowlineError, StoreRefusedError
from worker.outputs.report.gather import gathered
from worker.outputs.report.html import rendered
from worker.outputs.report.place import page_key
from worker.read_run import Bench, code_of
from worker.storage import ObjectStore
from worker.workshop import Workshop

log = structlog.get_logger(__name__)

LEASE_S = 600
"""How long a report may take; then its process is ended, and another one may try."""


class Outcome(StrEnum):
    """How a message to write a report ended."""

    REFUSED = "refused"  # written already, not due, or held by another worker
    WRITTEN = "written"
    UNCHANGED = "unchanged"  # the one in the bucket is as it would be, and stays
    OVERTAKEN = "overtaken"  # another worker came between: it is written once more
    FAILED = "failed"
    RELEASED = "released"  # this worker is shutting down
    DROPPED = "dropped"  # Postgres is away: the lease ends by itself


class _StoppingError(Exception):
    """The worker shuts down; the report goes back unharmed."""


def write_page(patient_id: int, bench: Bench) -> Outcome:
    """Write the patient's report, as it was handed out, and note which verdict it shows."""
    try:
        held = pages.claim(bench.engine, patient_id, lease_s=LEASE_S)
        outcome = Outcome.REFUSED if held is None else _guarded(held, bench)
    except UnavailableError:
        outcome = Outcome.DROPPED
    log.info("left a report", patient_id=patient_id, outcome=outcome)
    return outcome


def _guarded(held: PageClaim, bench: Bench) -> Outcome:
    try:
        key, put = _write(held, bench)
    except _StoppingError:
        pages.release(bench.engine, held)
        return Outcome.RELEASED
    except MarrowlineError as error:
        log.warning("a report is not written", patient_id=held.patient_id, error=code_of(error), tries=held.tries)
        pages.failed(bench.engine, held, code_of(error))
        return Outcome.FAILED
    except DatabaseError:
        raise
    except Exception as error:  # a bug: it burns a try, so that it cannot loop for ever, and rises
        pages.failed(bench.engine, held, code_of(error))
        raise
    if not pages.written(bench.engine, held, key, put=put):
        return Outcome.OVERTAKEN
    return Outcome.WRITTEN if put else Outcome.UNCHANGED


def _write(held: PageClaim, bench: Bench) -> tuple[str, bool]:
    """Put the report into the bucket unless it lies there; return its key, and whether it was put."""

    def going_on(_what: str, _done: int, _total: int) -> None:
        if bench.stopping():
            raise _StoppingError

    workshop = Workshop(
        engine=bench.engine,
        store=bench.store,
        cache=bench.cache,
        models_dir=bench.settings.models_dir,
        settings=bench.settings,
    )
    case = held.case()
    key = page_key(bench.store.prefix, case.report)
    page = rendered(gathered(workshop, case, going_on)).encode()
    faultpoint("page.made")
    put = not _lies_there(bench.store, key, page)
    if put:
        bench.store.put_bytes(key, page)
    faultpoint("page.put")
    return key, put


def _lies_there(store: ObjectStore, key: str, page: bytes) -> bool:
    """Tell whether exactly these bytes lie under the key; they are compared, for not every store's etag is of them."""
    try:
        found = store.head(key)
        return found is not None and found.size == len(page) and store.read_small(key, len(page)) == page
    except StoreRefusedError:  # who may not list is refused what is absent, too: then the put tells
        return False
