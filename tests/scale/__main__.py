"""`make scale`: how long the reports and the end of a reading take beside a hundred million cells."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from sqlalchemy import Engine

from db import migrate
from db.session import make_engine
from tests.scale import fill, measure
from tests.support.postgres import Server, server_in

_OUT = Console(soft_wrap=True, highlight=False, markup=False)
_DATABASE = "scale"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill a database and measure; 0 when every view of a patient or laboratory answered in time."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000_000, help="rows of cells (100,000,000)")
    parser.add_argument("--outlines", action="store_true", help="with their outlines, as readings store them")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=40, help="how often each question is asked (40)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the server's files here; measure what is there")
    parser.add_argument("--fill-only", action="store_true", help="only fill --data")
    chosen = parser.parse_args(arguments)
    with _folder(chosen.data) as folder, server_in(folder) as server, _database(server) as (engine, made):
        if made:
            size = fill.Size(cells=chosen.cells, outlines=chosen.outlines, seed=chosen.seed)
            fill.fill(engine, size, folder, _tell)
        if chosen.fill_only:
            return 0
        return _measured(server, engine, chosen)


def _measured(server: Server, engine: Engine, chosen: argparse.Namespace) -> int:
    server.execute("ALTER SYSTEM SET fsync = on", "ALTER SYSTEM SET full_page_writes = on", "SELECT pg_reload_conf()")
    answers = measure.asked(engine, rounds=chosen.rounds, seed=chosen.seed)
    for line in measure.table(answers):
        _tell(line)
    for line in measure.ends(engine):
        _tell(line)
    return int(any(answer.late for answer in answers))


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="marrowline-scale-") as folder:
        yield Path(folder)


@contextmanager
def _database(server: Server) -> Iterator[tuple[Engine, bool]]:
    """Yield the migrated database and whether it was made now; its views are those of the files."""
    admin = make_engine(server.url("postgres"))
    with admin.connect() as conn:
        known = conn.exec_driver_sql(f"SELECT count(*) FROM pg_database WHERE datname = '{_DATABASE}'").scalar_one()
    admin.dispose()
    if not known:
        server.execute(
            "ALTER SYSTEM SET max_wal_size = '2GB'",
            "ALTER SYSTEM SET autovacuum = off",  # it would come and go between the figures
            "ALTER SYSTEM SET jit = off",  # as in the embedded server
            "SELECT pg_reload_conf()",
            f"CREATE DATABASE {_DATABASE}",
        )
    engine = make_engine(server.url(_DATABASE), pool_size=4)
    migrate.upgrade(engine)
    yield engine, not known
    engine.dispose()


def _tell(line: str) -> None:
    _OUT.print(line)


if __name__ == "__main__":
    sys.exit(main())
