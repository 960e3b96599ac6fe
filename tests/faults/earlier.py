"""The code of an earlier revision, laid out so that its parts run as they were, down to migrations and sandbox."""

from __future__ import annotations

import io
import subprocess
import sysconfig
import tarfile
import tempfile
import venv
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from db import migrate
from tests.faults.ground import ROOT, environment
from tests.faults.nursery import Nursery

_JUDGED_SO = """
import sys
from sqlalchemy import create_engine
from db import patients
from worker.verdict import decide
with create_engine(sys.argv[1]).connect() as conn:
    for row in conn.exec_driver_sql("SELECT patient_id, model_version_id, finding, inputs_digest FROM verdict").all():
        now = patients.tally(conn, row.patient_id, row.model_version_id)
        if (decide(now).finding, patients.digest(now)) == (row.finding, row.inputs_digest):
            print(row.patient_id)
"""
_STARTS_PARTS = Path("tests") / "faults" / "nursery.py"


class HistoryError(Exception):
    """The history does not hold what is asked for; the text says what to do."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """An earlier version, ready to run."""

    revision: str  # of the code, shortened
    schema: str  # the newest schema that it knows
    code: Path
    program: str  # the interpreter that knows this code and no other of ours
    nursery: Nursery

    def judges_so(self, url: str) -> set[int]:
        """Return the patients whose stored verdict is what this version gives from scratch."""
        return {int(one) for one in _told(self.program, _JUDGED_SO, url).split()}


def before_newest_migration() -> str:
    """Return the last revision whose code knows nothing of the newest migration. Raises HistoryError."""
    (file,) = (migrate.HERE / "migrations" / "versions").glob(f"{migrate.head_revision()}_*.py")
    added = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", str(file.relative_to(ROOT))).decode().strip()
    if not added:
        raise HistoryError(
            f"no revision brought {file.name}: commit it, or name what to upgrade from (make upgrade FROM=HEAD)"
        )
    return f"{added}^"


@contextmanager
def earlier(revision: str) -> Iterator[Earlier]:
    """Lay out the code of a revision in a folder of its own, and start what starts its parts. Raises HistoryError."""
    short = _git("rev-parse", "--short", "--verify", f"{revision}^{{commit}}").decode().strip()
    with tempfile.TemporaryDirectory(prefix="marrowline-earlier-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for the user of the slides' processes
        code = folder / "code"
        with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", short))) as archive:
            archive.extractall(code, filter="data")
        if not (code / _STARTS_PARTS).is_file():
            raise HistoryError(f"{short} has no {_STARTS_PARTS}, which starts its parts: name a later revision")
        program = _interpreter(folder / "python", code)
        with closing(Nursery(environment(), {"PYTHONPATH": str(code)}, program=program, folder=code)) as nursery:
            yield Earlier(revision=short, schema=_schema_of(program, code), code=code, program=program, nursery=nursery)


def _interpreter(folder: Path, code: Path) -> str:
    """Make an environment in which that code is the one installed, beside the packages of this one.

    A slide's process takes no path from its environment: it reads what is installed.
    """
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "earlier.pth").write_text(f"{code}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return str(folder / "bin" / "python")


def _schema_of(program: str, code: Path) -> str:
    """Return the newest schema that the interpreter's own code knows; it must be the code that was laid out."""
    asked = "import db, worker.slides; from db import migrate; print(db.__path__[0], migrate.head_revision())"
    where, schema = _told(program, asked).split()
    assert Path(where) == code / "db", f"the earlier code would be run from {where}"
    return schema


def _told(program: str, script: str, *words: str) -> str:
    ended = subprocess.run([program, "-I", "-c", script, *words], check=False, capture_output=True, text=True, cwd="/")
    assert ended.returncode == 0, f"the earlier code could not be asked: {ended.stderr}"
    return ended.stdout


def _git(*words: str) -> bytes:
    try:
        return subprocess.run(["git", *words], check=True, capture_output=True, cwd=ROOT).stdout
    except FileNotFoundError:
        raise HistoryError("git is not installed, and the earlier code stands in the history alone") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise HistoryError(
            f"the history lacks the earlier code ({said}): fetch it with `git fetch --unshallow`"
        ) from None
