"""What all rows stand on: one Postgres, a tiny model, drawn slides, and how these read undisturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from db.records import CellClass
from scheduler.embedded import servers
from scheduler.embedded.home import Home
from tests.faults.nursery import Nursery
from tests.support.models import write_tiny_model
from tests.support.smears import write_smear

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = "faults_template"
SLIDES = ("a", "b", "c")
"""Names of the drawn slides, each of other cells."""
_SIDE_PX = 448
_CELLS: Mapping[CellClass, int] = {CellClass.NEUTROPHIL: 6, CellClass.LYMPHOBLAST: 7, CellClass.ERYTHROBLAST: 3}
_START_S = 60.0


@dataclass
class Postgres:
    """A server of the harness, which rows may stop, in any way, and start again."""

    home: Home
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.home.postgres_socket / ".s.PGSQL.5432"

    def url(self, database: str) -> str:
        """Return the address of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self.home.postgres_socket}"

    def start(self, **settings: str) -> None:
        """Start the server and wait until it answers."""
        servers.before_postgres(self.home)
        extra = [f"-c{name}={value}" for name, value in {"fsync": "off", **settings}.items()]
        with (self.home.logs / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*servers.postgres_command(self.home), *extra],
                stdout=log,
                stderr=subprocess.STDOUT,
                user=servers.postgres_user(),
                cwd="/",
                start_new_session=True,
            )
        end = time.monotonic() + _START_S
        while not servers.postgres_answers(self.home):
            assert time.monotonic() < end, "Postgres did not come up"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT in order, SIGQUIT at once, as after a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(_START_S)
            self.process = None

    def execute(self, statement: str) -> None:
        """Run a statement that may not stand in a transaction."""
        connection = psycopg2.connect(self.url("postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def new_database(self) -> str:
        """Return the name of a new database, ready for slides."""
        name = f"row_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        return name


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What rows share; none changes it for the next."""

    folder: Path
    postgres: Postgres
    nursery: Nursery
    golden: dict[str, str] = field(default_factory=dict)  # digest of each slide's cells, read undisturbed

    @property
    def models(self) -> Path:
        """The folder of the tiny model."""
        return self.folder / "models"

    def slide(self, name: str) -> Path:
        """Return the file of a drawn slide."""
        return self.folder / "slides" / f"{name}.tif"


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """Draw the slides, write the model, start Postgres; stop it at the end."""
    home = Home(root=folder / "home")
    home.create()
    home.place_sockets()
    folder.chmod(0o755)
    made = Ground(folder=folder, postgres=Postgres(home=home), nursery=Nursery(environment()))
    write_tiny_model(made.models)
    for seed, name in enumerate(SLIDES, start=1):
        write_smear(made.slide(name), seed=seed, side_px=_SIDE_PX, composition=_CELLS)
    servers.initialise_postgres(home)
    made.postgres.start()
    try:
        make_template(made)
        yield made
    finally:
        made.nursery.close()
        made.postgres.stop()
        home.clear_sockets()


def environment(**settings: str) -> dict[str, str]:
    """Return this process' environment without any setting of the product but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARROWLINE_")}
    ours = {f"MARROWLINE_{name.upper()}": value for name, value in settings.items()}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **ours}


def make_template(made: Ground, *, program: str = sys.executable, code: Path = ROOT) -> None:
    """Make the database that rows' databases are copied from, with the schema and the roles of some version's code."""
    made.postgres.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
    made.postgres.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8'")
    ended = prepare(made, TEMPLATE, program=program, code=code)
    assert ended.returncode == 0, f"the database could not be made: {ended.stderr}"


def prepare(
    made: Ground, database: str, *, program: str = sys.executable, code: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Bring a database up to date as a start of some version's code does; return how that ended."""
    settings = {"database_url": made.postgres.url(database), "models_dir": str(made.models), "model": "tiny"}
    return subprocess.run(
        [program, "-m", "scheduler.prepare"],
        env={**environment(**settings), "PYTHONPATH": str(code)},
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
    )
