"""Row 49: the schema grows under the running line, then a new installation reads beside the old one."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from sqlalchemy.exc import OperationalError

from db import audit, migrate, models
from db.session import transaction
from scheduler.model_files import document_of
from tests.faults.rig import LEASE_S, Rig
from tests.support.models import write_tiny_model
from worker.nets.cards import describe, find
from worker.verdict import decide

_OLD, _NEW = "tiny", "tiny-new"
_PATIENTS = ("p", "other")
_SLIDES = ("a", "b")
_LOOK_S = 0.02
_NEXT = Path(__file__).with_name("next_version.py")
"""A migration as the version after this one may bring it."""
_GROWN = "SELECT count(*) FROM run WHERE noted_by_next_version IS NULL"
_SHOWN = "SELECT patient, model_version, slides_done, slides_open FROM report.patients"
_REFUSED = "SELECT count(*) FROM run WHERE state = 'retry_wait' AND error_code = 'model'"
_BY_MODEL = """
    SELECT name, count(*) AS runs, count(DISTINCT slide_id) AS slides FROM run
      JOIN model_version ON model_version.id = model_version_id
     WHERE state = 'done' GROUP BY name ORDER BY name
"""
_Shown = tuple[str, str, int, int]


def in_steps(rig: Rig) -> None:
    """Row 49: the old worker goes on with what it knows; a patient changes over at once, when all slides are read."""
    folder = _new_models(rig)
    rig.line("worker")  # it has no files of the new model
    rig.spent = True
    for patient in _PATIENTS:
        for slide in _SLIDES:
            rig.upload(f"{patient}-{slide}", slide, patient=patient, readable=False)
    rig.until(lambda: rig.value("SELECT count(*) FROM batch"), "a slide is being read")
    tries = _grown_under_way(rig)
    rig.settled()
    with watched(rig) as seen:
        _switched(rig, _NEW)
        rig.until(lambda: rig.value(_REFUSED), "the old worker lets go of what it cannot read")
        rig.start("worker-3", models_dir=str(folder))
        rig.settled()
        rig.until(lambda: {one[1] for one in _looked(rig)} == {_NEW}, "all patients have changed over")
    _check(rig, seen)
    rig.note(f"migrated at try {tries} while a slide was read")
    rig.note(f"{len(rig.uploaded)} slides read by each version, {len(_PATIENTS)} patients changed over whole")


def _check(rig: Rig, seen: set[_Shown]) -> None:
    in_part = {one for one in seen if one[2:] != (len(_SLIDES), 0)}
    assert not in_part, f"a patient was shown in part: {in_part}"
    assert {one[1] for one in seen} == {_OLD, _NEW}
    slides = len(rig.uploaded)
    assert rig.rows(_BY_MODEL) == [{"name": name, "runs": slides, "slides": slides} for name in (_OLD, _NEW)]
    assert rig.value("SELECT max(attempt - releases) FROM run") == 1, "an attempt was burnt for an absent model"
    with transaction(rig.engine) as conn:
        faults = audit.verify(conn).faults
    assert not faults, faults


def _grown_under_way(rig: Rig) -> int:
    """Upgrade the schema to the next version's while the line runs and reports are read; return at which try."""
    files = rig.folder / "next-version"
    shutil.copytree(migrate.HERE, files, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copytree(migrate.HERE / "migrations", files / "migrations", dirs_exist_ok=True)
    text = _NEXT.read_text(encoding="utf-8")
    (files / "migrations" / "versions" / _NEXT.name).write_text(text.replace("HEAD", str(migrate.head_revision())))
    tries = 0

    def grown() -> bool:
        nonlocal tries
        tries += 1
        try:
            migrate.upgrade(rig.engine)
        except OperationalError:  # it waits but briefly for a lock, and then has changed nothing
            return False
        return True

    with watched(rig), patch.object(migrate, "HERE", files):
        rig.until(grown, "the schema has grown", within_s=10 * LEASE_S)
    assert rig.value(_GROWN) == len(rig.uploaded)
    return tries


def _new_models(rig: Rig) -> Path:
    """Return the folder of a new installation, which has both models."""
    folder = rig.folder / "models-of-both"
    shutil.copytree(rig.ground.models, folder)
    write_tiny_model(folder, name=_NEW, crop_px=64)
    with transaction(rig.engine) as conn:
        models.register_model(conn, describe(_NEW, folder), document_of(find(_NEW, folder).card))
    return folder


def _switched(rig: Rig, name: str) -> None:
    with transaction(rig.engine) as conn:
        models.activate(conn, name, decide)


def _looked(rig: Rig) -> set[_Shown]:
    return {(row["patient"], row["model_version"], row["slides_done"], row["slides_open"]) for row in rig.rows(_SHOWN)}


@contextmanager
def watched(rig: Rig) -> Iterator[set[_Shown]]:
    """Look at the patients' report again and again until the end of the block; give all that was ever shown."""
    seen: set[_Shown] = set()
    stop, failed = threading.Event(), list[Exception]()

    def watch() -> None:
        try:
            while not stop.wait(_LOOK_S):
                seen.update(_looked(rig))
        except Exception as error:  # it is raised again where the block ends
            failed.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
    assert not failed, f"a reader was refused: {failed[0]}"
