"""The line of one row: its own database, Redis, bucket and processes, every one of which may be killed or paused."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine, text

from db import faultpoints
from db.faultpoints import Fault
from db.schema_facts import metadata
from db.session import retrying
from tests.faults.ground import Ground, environment
from tests.faults.nursery import FAULTS, Nursery
from tests.faults.proxy import Proxy, Trouble
from tests.support.redis import RedisServer
from worker import queues
from worker.storage import ObjectStore
from worker.store_folder import FolderStore

LEASE_S, HEARTBEAT_S, SWEEP_S = 3.0, 1.0, 0.5
"""Decision 3 with 60, 15 and 15 s, divided by about twenty."""
PATIENCE_S = 120.0
"""How long a row waits for anything; a loaded machine is slow, and a wait ends with its event."""
CANARY = "Canary7f3a9c"
"""Part of every pseudonym and key of the harness: no log, queue or error text may hold it."""
OPEN = "state IN ('pending', 'running', 'retry_wait')"
_MOST_TOLD = 20
_STANDING = (
    f"SELECT id, state, attempt, releases, fence, error_code FROM run ORDER BY {OPEN} DESC, id DESC LIMIT {_MOST_TOLD}"
)
_POLL_S = 0.1
KEPT = ("model_version", "active_model", "worker")
"""Tables that one row leaves to the next."""


@dataclass
class Rig:
    """A started line."""

    ground: Ground
    folder: Path
    database: str
    mutant: str  # what every part of the line is changed to; empty: nothing
    redis: RedisServer
    to_postgres: Proxy
    to_redis: Proxy
    engine: Engine
    settings: dict[str, str]
    parts: dict[str, psutil.Process] = field(default_factory=dict)
    nurseries: dict[str, Nursery] = field(default_factory=dict)  # of parts that inherit another environment
    born_of: dict[int, Nursery] = field(default_factory=dict)  # by process id
    family: dict[int, psutil.Process] = field(default_factory=dict)  # every process that was ever seen of it
    uploaded: dict[str, str | None] = field(default_factory=dict)  # slide drawn, by key; None: not to be read
    special: set[str] = field(default_factory=set)  # parts that were started otherwise than the next row expects
    notes: list[str] = field(default_factory=list)  # figures of the row, for its outcome
    spent: bool = False  # whether the row leaves a line that no other can go on with
    remote: ObjectStore | None = None  # what a row's slides come in, where that is not the folder
    opened: ExitStack = field(default_factory=ExitStack)  # servers of one row alone

    @property
    def bucket(self) -> Path:
        """The folder that slides come in."""
        return self.folder / "bucket"

    @property
    def store(self) -> ObjectStore:
        """What slides come in."""
        return self.remote or FolderStore(self.bucket)

    @property
    def faults(self) -> Path:
        """The file that names the faults of its processes."""
        return self.folder / FAULTS

    def start(self, name: str, *, change: str = "", **settings: str) -> None:
        """Start a part, `scheduler` or `worker` with whatever behind a dash; changed when a change is named."""
        born_of = self.nurseries.get(name, self.ground.nursery)
        pid = born_of.start(
            name.partition("-")[0],
            environment={**environment(**{**self.settings, **settings}), **born_of.inherited},
            folder=self.folder,
            log=self.log_of(name),
            change=change or self.mutant,
        )
        self.parts[name] = psutil.Process(pid)
        self.born_of[pid] = born_of
        if change or settings or name in self.nurseries:
            self.special.add(name)

    def line(self, *workers: str, schedulers: Sequence[str] = ("scheduler",)) -> None:
        """Have these parts run and no others; wait until the workers have announced themselves."""
        for name in set(self.parts) - {*workers, *schedulers}:
            self.kill(name)
        for name in (*schedulers, *workers):
            if name not in self.parts:
                self.start(name)
        self.until(lambda: all(self._announced(name) for name in workers), "the workers announce themselves")

    def _announced(self, name: str) -> bool:
        children = self.children(name)
        return any(
            self.value(f"SELECT count(*) FROM worker WHERE split_part(id, ':', 2) = '{one.pid}'") for one in children
        )

    def upload(self, name: str, slide: str = "a", *, patient: str = "p", readable: bool = True) -> str:
        """Put a drawn slide into the bucket, whole at once; return its key.

        readable: whether it is to be read in the end as it is undisturbed.
        """
        key = key_of(name, patient=patient)
        self.put(key, self.ground.slide(slide).read_bytes())
        self.uploaded[key] = slide if readable else None
        return key

    def upload_bytes(self, name: str, content: bytes, *, suffix: str = ".tif", patient: str = "p") -> str:
        """Put something into the bucket that is not to be read as a slide; return its key."""
        key = key_of(name, patient=patient, suffix=suffix)
        self.put(key, content)
        self.uploaded[key] = None
        return key

    def put(self, key: str, content: bytes) -> None:
        """Put an object into the bucket, whole at once."""
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(content)
        part.replace(path)

    def arm(self, *faults: Fault) -> None:
        """Have these faults, and no others, strike the processes from now on."""
        faultpoints.write(self.faults, list(faults))

    def struck(self, name: str) -> int:
        """Return how often a fault has struck."""
        return faultpoints.strikes(self.faults, name)

    def until_struck(self, name: str, times: int = 1) -> None:
        """Wait until a fault has struck so often."""
        self.until(lambda: self.struck(name) >= times, f"fault {name} strikes")

    def child(self, name: str) -> psutil.Process:
        """Return the process of a worker that reads slides."""
        (found,) = self.children(name)
        return found

    def children(self, name: str) -> list[psutil.Process]:
        """Return the processes that a worker has forked; none before it is up."""
        main = self.parts[name]
        return [one for one in main.children() if _command(one) == main.cmdline()]

    def kill(self, name: str) -> None:
        """End a part with all its processes at once, as when its machine dies."""
        process = self.parts.pop(name)
        self.note_family()
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.code_of(process)

    def stop(self, name: str) -> int:
        """Ask a part to stop and return its exit code; it must not need to be killed."""
        process = self.parts.pop(name)
        self.note_family()
        process.terminate()
        return self.code_of(process)

    def ended(self, name: str) -> int | None:
        """Return the exit code of a part that has ended by itself; None while it runs."""
        pid = self.parts[name].pid
        return self.born_of[pid].code(pid)

    def code_of(self, process: psutil.Process) -> int:
        """Wait until a part has ended and return its exit code."""
        nursery = self.born_of[process.pid]
        self.until(lambda: nursery.code(process.pid) is not None, "a part ends")
        return int(nursery.code(process.pid) or 0)

    def note_family(self) -> None:
        """Remember which processes the parts have now."""
        for process in self.parts.values():
            with suppress(psutil.NoSuchProcess):
                for one in process.children(recursive=True):
                    self.family[one.pid] = one

    def note(self, figure: str) -> None:
        """Keep a figure for the row's outcome."""
        self.notes.append(figure)

    def until(self, holds: Callable[[], object], what: str, *, within_s: float = PATIENCE_S) -> None:
        """Wait until something holds."""
        end = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < end, f"not within {within_s:g} s: {what}; {self.state()}"
            time.sleep(_POLL_S)

    def settled(self, *, hasten: bool = True, revive: bool = False) -> None:
        """Wait until every upload is registered and every run has ended.

        hasten: end waiting times between tries, as `marrowline retry` does, in place of minutes of waiting.
        revive: start parts again that have ended, as their supervisor does.
        """

        def ended() -> bool:
            if revive:
                self.revive()
            if not self._all_registered():
                return False
            if hasten:
                self.execute("UPDATE run SET next_at = now() WHERE state = 'retry_wait' AND next_at > now()")
            return int(self.value(f"SELECT count(*) FROM run WHERE {OPEN}")) == 0

        self.until(ended, "every upload is registered and every run has ended")

    def revive(self) -> None:
        """Start again what has ended by itself."""
        for name in tuple(self.parts):
            if self.ended(name) is not None:
                self.start(name)

    def _all_registered(self) -> bool:
        rows = self.rows("SELECT key FROM slide JOIN run ON run.slide_id = slide.id")
        return set(self.uploaded) <= {row["key"] for row in rows}

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        with self.engine.connect() as conn:
            return [dict(row) for row in conn.execute(text(query)).mappings()]

    def value(self, query: str) -> Any:
        """Return the first value that a query gives."""
        with self.engine.connect() as conn:
            return conn.execute(text(query)).scalar()

    def execute(self, statement: str) -> None:
        """Run a statement and commit."""
        with self.engine.begin() as conn:
            conn.execute(text(statement))

    def cleared(self) -> None:
        """Forget all slides, messages, faults and words, so that the next row may go on with the same processes."""
        for name in self.special & set(self.parts):
            self.kill(name)
        self.special.clear()
        self.nurseries.clear()
        self.opened.close()
        self.remote = None
        shutil.rmtree(self.bucket)
        self.bucket.mkdir()
        for path in (*self.faults.parent.iterdir(), *(self.folder / "cache" / "slides").glob("[0-9a-f]*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in (self.folder / "logs").glob("*.log"):
            os.truncate(path, 0)
        with self.redis.client() as client:
            client.delete(*queues.LISTS.values())
        tables = (name for name in metadata.tables if name not in KEPT)
        statements = [f"DELETE FROM {name}" for name in tables]
        script = "; ".join(["SET LOCAL session_replication_role = replica", *statements])
        retrying(lambda: self.execute(script))  # the running scheduler notes meanwhile that the slides are missing
        self.to_postgres.trouble = self.to_redis.trouble = Trouble()
        self.uploaded.clear()
        self.notes.clear()
        self.arm()

    def state(self) -> str:
        """Say how the runs stand, for a message: the last ones, those that are open before others."""
        try:
            rows = self.rows(_STANDING)
        except Exception as error:  # the database itself may be away
            return f"runs unknown: {type(error).__name__}"
        return f"runs: {[tuple(row.values()) for row in rows]}"

    def log_of(self, name: str) -> Path:
        """Return the file that a part's words go to."""
        return self.folder / "logs" / f"{name}.log"

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return what the parts have logged under the name of an event."""
        return [entry for entry in self.entries() if entry.get("event") == event]

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what the parts have logged."""
        for path in sorted((self.folder / "logs").glob("*.log")):
            yield from self.entries_of(path.stem)

    def entries_of(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield what one part has logged."""
        for line in self.log_of(name).read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("{"):
                with suppress(json.JSONDecodeError):
                    yield json.loads(line)

    def outcomes(self) -> Counter[str]:
        """Return how the messages to read a run ended, by the workers' own words."""
        return Counter(entry["outcome"] for entry in self.said("left"))


def _command(process: psutil.Process) -> list[str]:
    """Return a process' command line, nothing of one that has ended."""
    with suppress(psutil.NoSuchProcess):  # and of a zombie
        return list(process.cmdline())
    return []


def key_of(name: str, *, patient: str = "p", suffix: str = ".tif") -> str:
    """Return the key of an upload; every part of it that names a person holds the canary."""
    return f"lab/{CANARY}-{patient}/{CANARY}-{name}{suffix}"


def through(proxy: Proxy, made: Rig) -> dict[str, str]:
    """Return the settings that lead a part over the proxy to its server."""
    if proxy is made.to_redis:
        return {"broker_url": f"redis://127.0.0.1:{proxy.port}/0"}
    return {"database_url": f"postgresql://postgres@127.0.0.1:{proxy.port}/{made.database}?sslmode=disable"}
