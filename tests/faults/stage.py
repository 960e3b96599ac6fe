"""Where rows are struck: the ground they share, a line for one row after the other, and what came of each."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import create_engine, make_url

from tests.faults.catalogue import Row
from tests.faults.changes import Mutant
from tests.faults.ground import SLIDES, Ground, ground
from tests.faults.invariants import broken, digest
from tests.faults.proxy import proxied
from tests.faults.rig import HEARTBEAT_S, LEASE_S, SWEEP_S, Rig
from tests.support.redis import RedisServer, running_redis

HELD, BROKEN, NOT_WRITTEN = "held", "BROKEN", "NOT YET WRITTEN"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a row."""

    row: Row
    result: str
    seconds: float = 0.0
    told: str = ""


@contextmanager
def prepared() -> Iterator[Ground]:
    """Make the ground, and read each drawn slide once undisturbed."""
    with tempfile.TemporaryDirectory(prefix="marrowline-faults-") as folder, ground(Path(folder)) as made:
        with line_for(made, "golden") as line:
            line.line("worker")
            keys = {name: line.upload(name, name) for name in SLIDES}
            line.settled(hasten=False)
            made.golden.update({name: digest(line, key) for name, key in keys.items()})
            assert broken(line) == []
        assert len(set(made.golden.values())) == len(SLIDES), "the drawn slides read alike"
        yield made


class Stage:
    """The line that rows are struck on, one after the other; behind a row that breaks or spends it comes a new one."""

    def __init__(self, made: Ground, keep: Path | None, *, mutant: Mutant | None = None) -> None:
        self._ground = made
        self._keep = keep
        self._mutant = mutant
        self._open = ExitStack()
        self._line: Rig | None = None

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def struck(self, row: Row) -> Outcome:
        """Run a row's scenario and ask its invariants."""
        if row.scenario is None:
            return Outcome(row=row, result=NOT_WRITTEN)
        started = time.monotonic()
        line = self._cleared()
        try:
            row.scenario(line)
            wrong = broken(line, row.invariants)
        except Exception:  # whatever a row raises is its outcome; the others still run
            wrong = [f"{traceback.format_exc(limit=-3)}{line.state()}"]
        told, seconds = "; ".join(wrong or line.notes), time.monotonic() - started
        if wrong and self._keep is not None:
            _keep_logs(line, row, self._keep)
        if wrong or line.spent:
            self._put_away()
        return Outcome(row=row, result=BROKEN if wrong else HELD, seconds=seconds, told=told)

    def _cleared(self) -> Rig:
        if self._line is None:
            mutant = self._mutant
            self._line = self._open.enter_context(line_for(self._ground, "row", mutant=mutant.change if mutant else ""))
            if mutant and mutant.statement:
                self._line.execute(mutant.statement)
        else:
            self._line.cleared()
        return self._line

    def _put_away(self) -> None:
        self._open.close()
        self._line = None
        if self._ground.postgres.process is None:
            self._ground.postgres.start()


def _keep_logs(line: Rig, row: Row, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in (line.folder / "logs").glob("*.log"):
        (folder / f"row{row.number}-{path.name}").write_bytes(path.read_bytes())


@contextmanager
def line_for(ground: Ground, name: str, *, mutant: str = "") -> Iterator[Rig]:
    """Make a line for a row, without any process of ours; at the end kill what is left of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"marrowline-{name}-")))
        folder.chmod(0o755)
        for part in ("bucket", "logs", "faults", "cache"):
            (folder / part).mkdir()
        database = ground.postgres.new_database()
        redis = stack.enter_context(running_redis())
        to_postgres = stack.enter_context(proxied(ground.postgres.socket))
        to_redis = stack.enter_context(proxied(redis.socket))
        url = make_url(ground.postgres.url(database)).set(drivername="postgresql+psycopg2")
        engine = create_engine(url, pool_size=2, pool_pre_ping=True)
        made = Rig(
            ground=ground,
            folder=folder,
            database=database,
            mutant=mutant,
            redis=redis,
            to_postgres=to_postgres,
            to_redis=to_redis,
            engine=engine,
            settings=_settings(ground, folder, database, redis),
        )
        made.arm()
        try:
            yield made
        finally:
            _end(made)


def _settings(ground: Ground, folder: Path, database: str, redis: RedisServer) -> dict[str, str]:
    return {
        "home": str(folder),
        "database_url": ground.postgres.url(database),
        "broker_url": redis.url,
        "bucket": str(folder / "bucket"),
        "bucket_name": "bucket",
        "cache_dir": str(folder / "cache"),
        "cache_reserve_bytes": "0",
        "models_dir": str(ground.models),
        "lease_s": str(LEASE_S),
        "heartbeat_s": str(HEARTBEAT_S),
        "sweep_s": str(SWEEP_S),
        "list_s": str(SWEEP_S),
        "status_files": "false",  # rows empty the bucket under the running line
        "reports": "off",  # as above
        "max_attempts": "50",  # a run may be struck often, and is to be read in the end
        "tile_core_px": "128",
        "tiles_per_batch": "1",
    }


def _end(made: Rig) -> None:
    """Kill every process of the row that is left."""
    made.note_family()
    for one in (*made.parts.values(), *made.family.values()):
        with suppress(psutil.NoSuchProcess):
            one.kill()
    for process in made.parts.values():
        made.code_of(process)
    made.opened.close()
    made.engine.dispose()
    shutil.rmtree(made.bucket, ignore_errors=True)
