"""How long each question takes, as readers ask it, and how long the end of a reading takes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from uuid import uuid4

from sqlalchemy import Connection, Engine, text

from db import runs
from db.records import Batch, Cell, CellClass, SlideFacts, Specimen
from db.session import transaction
from tests.scale.fill import MODEL
from tests.scale.questions import LAB, PATIENT
from tests.support import rows
from worker.cells.features import NAMES
from worker.verdict import decide

LIMIT_MS = 100.0
ENDS = 30
"""Slides that are read to their end."""
CLASSES = (CellClass.LYMPHOCYTE, CellClass.NEUTROPHIL, CellClass.ERYTHROBLAST, CellClass.LYMPHOBLAST)
DEFAULTS = runs.LabDefaults(specimen=Specimen.MARROW, site_mpp_um=0.25, rule="marrowline-2026.1", max_attempts=3)
_LAB_ROLE = "marrowline_lab_lab3"
_READER = {"all": "marrowline_report", "own laboratory": _LAB_ROLE}
_MAKE_ROLE = (
    f"DO $$ BEGIN CREATE ROLE {_LAB_ROLE} NOLOGIN IN ROLE marrowline_lab;"
    " EXCEPTION WHEN duplicate_object THEN NULL; END $$"
)
_SUBJECTS = text(
    """
    SELECT lab.code AS lab, patient.pseudonym AS patient, run.id AS run_id
      FROM patient JOIN lab ON lab.id = patient.lab_id
      JOIN slide ON slide.patient_id = patient.id JOIN run ON run.slide_id = slide.id AND run.state = 'done'
     WHERE :lab = '' OR lab.code = :lab
    """
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How long one question took one kind of reader."""

    question: str
    reader: str
    ms: tuple[float, ...]  # by the clock
    worked_ms: tuple[float, ...]  # of a processor, by the server's process
    rows: float  # on average

    @property
    def p95(self) -> float:
        """The 95th percentile in ms."""
        return quantiles(self.ms, n=20, method="inclusive")[-1]

    @property
    def late(self) -> bool:
        """Whether that is more than is allowed."""
        return self.p95 > LIMIT_MS


def asked(engine: Engine, *, rounds: int, seed: int) -> list[Answer]:
    """Ask every question of random patients and laboratories, as a reader of all and as one of a single laboratory."""
    rng = random.Random(seed)
    with transaction(engine) as conn:
        conn.exec_driver_sql(_MAKE_ROLE)
    answers = []
    for reader, role in _READER.items():
        subjects = _subjects(engine, "lab3" if role == _LAB_ROLE else "")
        for question, sql in (PATIENT | LAB).items():
            drawn = [_drawn(rng.choice(subjects), rng) for _ in range(rounds)]
            took = [_took(engine, role, sql, one) for one in drawn]
            ms, worked_ms, found = zip(*took, strict=True)
            rows_each = sum(found) / rounds
            answers.append(Answer(question=question, reader=reader, ms=ms, worked_ms=worked_ms, rows=rows_each))
    return answers


def _subjects(engine: Engine, lab: str) -> list[Mapping[str, object]]:
    with transaction(engine) as conn:
        return [dict(row._mapping) for row in conn.execute(_SUBJECTS, {"lab": lab})]


def _drawn(subject: Mapping[str, object], rng: random.Random) -> dict[str, object]:
    return {**subject, "x_l0": rng.uniform(0, 59_000), "y_l0": rng.uniform(0, 39_000)}


def _took(engine: Engine, role: str, sql: str, parameters: dict[str, object]) -> tuple[float, float, int]:
    with transaction(engine) as conn:
        pid = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        conn.exec_driver_sql(f"SET LOCAL ROLE {role}")
        begun, worked = perf_counter(), _worked_ms(pid)
        found = conn.execute(text(sql), parameters).all()
        return 1000 * (perf_counter() - begun), _worked_ms(pid) - worked, len(found)


def _worked_ms(pid: int) -> float:
    """Return for how long a process has had a processor, which other work does not lengthen as it does the clock's."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e6


def table(answers: list[Answer]) -> Iterator[str]:
    """Yield the answers as the lines of a table for docs/performance.md."""
    yield "| question | rows | " + " | ".join(f"{reader}: median, p95, worked" for reader in _READER) + " |"
    yield "|---" * (2 + len(_READER)) + "|"
    for question in PATIENT | LAB:
        of_it = [one for one in answers if one.question == question]
        yield f"| {question} | {of_it[0].rows:.0f} | {' | '.join(_times(one) for one in of_it)} |"


def _times(one: Answer) -> str:
    p95 = f"**{one.p95:.0f}**" if one.late else f"{one.p95:.0f}"
    return f"{median(one.ms):.0f}, {p95}, {quantiles(one.worked_ms, n=20, method='inclusive')[-1]:.0f}"


def ends(engine: Engine) -> Iterator[str]:
    """Read slides of 1,000 cells to their end; yield what a batch and the end took."""
    with transaction(engine) as conn:
        cells = _estimate(conn)
        pid = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()  # one connection does all that follows
    batch_ms, end_ms, worked_ms = zip(*(_read(engine, uuid4().hex, pid) for _ in range(ENDS)), strict=True)
    yield (
        f"beside {cells:,.0f} cells: a batch of 100 cells {median(batch_ms):.0f} ms; the end of a reading"
        f" {median(end_ms):.0f} ms, p95 {quantiles(end_ms, n=20)[-1]:.0f} ms, worked {median(worked_ms):.1f} ms"
    )


def _estimate(conn: Connection) -> float:
    count = "SELECT sum(greatest(reltuples, 0)) FROM pg_class WHERE relname ~ '^cell_p..$'"
    return float(conn.exec_driver_sql(count).scalar_one() or 0)


def _read(engine: Engine, name: str, pid: int) -> tuple[float, float, float]:
    """Return the ms that a batch took on the median, those that the end took, and of a processor for it."""
    claim = rows.taken(engine, _registered(engine, name))
    runs.store_plan(engine, claim, rows.plan(n_batches=10))
    times = [perf_counter()]
    for no in range(10):
        runs.write_batch(engine, claim, _batch(no))
        times.append(perf_counter())
    begun, worked = perf_counter(), _worked_ms(pid)
    runs.finish(engine, claim, decide)
    end_ms = 1000 * (perf_counter() - begun)
    return 1000 * median(after - before for before, after in pairwise(times)), end_ms, _worked_ms(pid) - worked


def _registered(engine: Engine, name: str) -> int:
    facts = SlideFacts(lab="lab3", patient=f"new-{name}")
    with transaction(engine) as conn:
        run_id = runs.register(conn, rows.stored(f"lab3/new/{name}.svs"), facts, DEFAULTS, decide)
    if run_id is None:
        raise RuntimeError(f"slide {name} was there before")
    return run_id


def _batch(no: int) -> Batch:
    return Batch(no=no, cells=tuple(_cell(i, CLASSES[i % len(CLASSES)]) for i in range(100)))


def _cell(no: int, cell_class: CellClass) -> Cell:
    return Cell(
        cell_no=no,
        x_l0=1000.0 + 7 * no,
        y_l0=2000.0,
        cell_class=cell_class.value,
        abstained=False,
        probabilities=tuple(0.87 if name == cell_class else 0.01 for name in MODEL.classes),
        features=dict.fromkeys(NAMES, 1.5),
        outline_l0=tuple((1000 + 7 * no + i, 2000 + i % 9) for i in range(32)),
    )
