"""Files of results: written whole or not at all, under names that say nothing of the patient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from gzip import GzipFile
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO, cast
from uuid import uuid4

from db.reports import PatientReport
from worker.errors import BadRequestError


@contextmanager
def whole(path: Path, *, packed: bool = False) -> Iterator[TextIO]:
    """Yield a UTF-8 text file that takes the path's place when the block ends without an error.

    `packed` compresses it with gzip, the same text to the same bytes. Raises BadRequestError where nothing can be
    written.
    """
    with whole_bytes(path) as file:
        yield from _text(file, packed=packed)


@contextmanager
def whole_bytes(path: Path) -> Iterator[BinaryIO]:
    """Yield a file of bytes, otherwise as `whole`."""
    staged = path.with_name(f".{uuid4().hex}.part")  # shorter than a file's name may be, whatever the path's is
    try:
        with staged.open("wb") as file:
            yield file
        staged.replace(path)
    except OSError as error:
        raise BadRequestError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            staged.unlink()


def patient_stem(of: PatientReport, what: str) -> str:
    """Return the name of a patient's file without its ending: a digest, as a pseudonym may hold any characters."""
    digest = sha256(f"{of.lab}\0{of.patient}".encode()).hexdigest()
    return f"{what}-{digest[:12]}"


def _text(file: BinaryIO, *, packed: bool) -> Iterator[TextIO]:
    if not packed:
        with TextIOWrapper(file, encoding="utf-8", newline="") as text:
            yield text
        return
    with (
        GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as squeezed,
        TextIOWrapper(cast(BinaryIO, squeezed), encoding="utf-8", newline="") as text,
    ):
        yield text
