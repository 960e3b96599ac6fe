"""One file of corrections into the database: all of it in one transaction, the findings with it, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine

from db import corrections, places
from db.corrections import Recorded, Said
from db.counts import Decide
from db.records import CellClass
from db.session import transact
from scheduler.corrections.geojson import read_geojson
from scheduler.corrections.table import read_table
from scheduler.corrections.words import Words
from worker.errors import BadRequestError

_MOST_DELETED = 0.5
"""A file that lacks a greater share of a reading's cells holds a part of them and no whole reading."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of a file."""

    recorded: Recorded
    untouched: int  # cells of ours of which nothing new is said
    unclassified: int  # cells of ours without a class
    foreign: int  # objects that are no cells of ours


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is to be understood."""

    reviewed: bool = False  # a person looked at every cell in it: a class that was left is a word too
    deleted: bool = False  # it holds all that is left of a reading's cells: the others were deleted


def take_in(engine: Engine, path: Path, by: str, decide: Decide, reading: Reading) -> Imported:
    """Record what a file says and judge its patients anew.

    Raises BadRequestError, NotFoundError or NotAllowedError, naming file and line, when a single word of it does not
    fit; UnavailableError.
    """
    is_table = path.suffix.lower() in (".csv", ".tsv", ".txt")
    if is_table and reading.deleted:
        raise BadRequestError(f"{path.name}: a table cannot say what was deleted; give such cells the class artefact")
    words = read_table(path, reviewed=reading.reviewed) if is_table else read_geojson(path, reviewed=reading.reviewed)

    def work(conn: Connection) -> Recorded:
        said = [*words.said, *_pointed(conn, words)]
        if reading.deleted:
            said += _deleted(conn, words, path.name)
        return corrections.record(conn, said, by, decide)

    recorded = transact(engine, work)
    return Imported(
        recorded=recorded,
        untouched=words.untouched + recorded.known,
        unclassified=words.unclassified,
        foreign=words.foreign,
    )


def _pointed(conn: Connection, words: Words) -> Iterator[Said]:
    keys = places.cells_at(conn, [one.place for one in words.pointed])
    for one, (run_id, batch_no, cell_no) in zip(words.pointed, keys, strict=True):
        yield Said(
            where=one.place.where,
            run_id=run_id,
            batch_no=batch_no,
            cell_no=cell_no,
            cell_class=one.cell_class,
            note=one.note,
        )


def _deleted(conn: Connection, words: Words, name: str) -> Iterator[Said]:
    for run_id, present in words.present.items():
        stored = places.keys_of(conn, run_id)
        gone = [key for key in stored if key not in present]
        if len(gone) > _MOST_DELETED * len(stored):
            raise BadRequestError(
                f"{name} lacks {len(gone):,} of the {len(stored):,} cells of reading {run_id}: that is no whole "
                "reading; export all objects, or leave --deleted out"
            )
        for batch_no, cell_no in gone:
            yield Said(
                where=f"{name}, without cell {run_id}/{batch_no}/{cell_no}",
                run_id=run_id,
                batch_no=batch_no,
                cell_no=cell_no,
                cell_class=CellClass.ARTEFACT.value,
                note="deleted",
                unless_told=True,
            )
