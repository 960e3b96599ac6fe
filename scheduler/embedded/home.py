"""The folder that holds all state of one embedded stack, and where its sockets are."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scheduler.embedded.lock import locked
from worker.errors import ServiceError

SOCKET_PATH_BYTES = 100
"""Longest path of a unix socket that every system takes (Linux allows 107 bytes, macOS 103)."""
DATABASE = "marrowline"
SUPERUSER = "postgres"
_POSTGRES_SOCKET = ".s.PGSQL.5432"


class StackError(ServiceError):
    """The embedded stack could not be started, stopped or used; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Home:
    """Paths below `MARROWLINE_HOME`; making one touches nothing."""

    root: Path  # absolute

    @property
    def postgres(self) -> Path:
        """The database cluster."""
        return self.root / "data" / "postgres"

    @property
    def redis(self) -> Path:
        """The broker's append-only file, its users and their password."""
        return self.root / "redis"

    @property
    def bucket(self) -> Path:
        """Where slides are put when no other bucket is set."""
        return self.root / "bucket"

    @property
    def cache(self) -> Path:
        """Slides while they are read."""
        return self.root / "cache"

    @property
    def models(self) -> Path:
        """Weight files of one's own, with their cards, where no other folder is set."""
        return self.root / "models"

    @property
    def logs(self) -> Path:
        """One log file per part."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What describes the running processes: pids, sockets, the lock."""
        return self.root / "run"

    @property
    def state_file(self) -> Path:
        """What the supervisor last wrote about its parts."""
        return self.run / "state.json"

    @property
    def sockets(self) -> Path:
        """The folder of the sockets; `place_sockets` records a short one where the home's own path is too long."""
        try:
            return Path((self.run / "sockets").read_text(encoding="utf-8"))
        except FileNotFoundError:  # never made, or taken away at this moment by a stack that stops
            return self.run

    @property
    def postgres_socket(self) -> Path:
        """The folder with the database server's socket."""
        return self.sockets / "pg"

    @property
    def redis_socket(self) -> Path:
        """The broker's socket."""
        return self.sockets / "redis.sock"

    @property
    def exists(self) -> bool:
        """Whether a stack was ever started here."""
        return (self.run / "id").is_file()

    @property
    def stack_id(self) -> str:
        """A name that no other home shares, carried by every process of the stack."""
        return (self.run / "id").read_text(encoding="utf-8")

    def lock(self, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Return the right to start or stop this home's servers, for a with block; it may raise HeldError."""
        return locked(self.run / "lock", wait_s=wait_s)

    def create(self) -> None:
        """Make the folders that are missing; raises StackError where they cannot be written."""
        try:
            self.postgres.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.redis, self.bucket, self.cache, self.logs, self.run):
                folder.mkdir(mode=0o700, exist_ok=True)
            if os.geteuid() == 0:  # then the database runs as a user of its own and passes through here
                self.run.chmod(0o711)
            if not self.exists:
                write_whole(self.run / "id", uuid.uuid4().hex)
        except OSError as error:
            raise StackError(
                f"cannot write to {self.root}: {error.strerror}; set MARROWLINE_HOME to a writable folder"
            ) from error

    def place_sockets(self) -> None:
        """Make the folder of the sockets, once per start; what a killed stack left is used again.

        To be called under the lock, before a server starts: `clear_sockets` may take the folder away until then.
        Raises StackError where no folder can be made whose path is short enough.
        """
        try:
            if not socket_path_fits(self.run) and (self.sockets == self.run or not _ours(self.sockets)):
                write_whole(self.run / "sockets", str(_short_folder()))
            self.postgres_socket.mkdir(exist_ok=True)
        except OSError as error:
            raise StackError(
                f"no folder for sockets can be made ({error.strerror}: {error.filename}): "
                "set TMPDIR to a writable folder with a short path"
            ) from error

    def read_state(self) -> dict[str, Any] | None:
        """Return what the supervisor last wrote, or None when none runs or ran."""
        try:
            state: dict[str, Any] = json.loads(self.state_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return state

    def clear_run(self) -> None:
        """Remove what describes processes that are gone."""
        self.state_file.unlink(missing_ok=True)
        self.clear_sockets()

    def clear_sockets(self) -> None:
        """Remove the sockets, and the short folder that they may lie in; under the lock, when no server runs.

        What lies there since in its stead, made by somebody else, is not touched.
        """
        if self.sockets == self.run or _ours(self.sockets):
            self.redis_socket.unlink(missing_ok=True)
            if self.postgres_socket.is_dir():
                for left in self.postgres_socket.iterdir():
                    left.unlink(missing_ok=True)
                self.postgres_socket.rmdir()
            if self.sockets != self.run:
                self.sockets.rmdir()
        (self.run / "sockets").unlink(missing_ok=True)


def home_at(path: Path) -> Home:
    """Return the home in a folder, which need not exist yet."""
    return Home(root=path.expanduser().absolute())


def write_whole(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace a file so that a reader, or a crash, sees the old text or the new one.

    mode: who may read and write the new file, less what the process's umask takes away.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=mode, exist_ok=False)
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def digest(settings: Mapping[str, str]) -> str:
    """Return a name for a set of settings that gives none of them away."""
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()


def database_url(home: Home, *, database: str = DATABASE) -> str:
    """Return the address of the embedded database."""
    return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(home.postgres_socket), safe='/')}"


def socket_path_fits(folder: Path) -> bool:
    """Tell whether the path of the longest socket in the folder is one that every system takes."""
    return len(os.fsencode(folder / "pg" / _POSTGRES_SOCKET)) <= SOCKET_PATH_BYTES


def _short_folder() -> Path:
    short = Path(tempfile.mkdtemp(prefix="marrowline-"))
    if not socket_path_fits(short):
        short.rmdir()
        raise StackError(f"the path of {short} is too long for sockets; set TMPDIR to a short one")
    short.chmod(0o711)
    return short


def _ours(folder: Path) -> bool:
    """Tell whether the folder is there and nobody else could have put it there."""
    try:
        facts = folder.lstat()
    except FileNotFoundError:
        return False
    return folder.is_dir() and not folder.is_symlink() and facts.st_uid == os.geteuid()
