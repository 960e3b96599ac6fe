"""Opens slides that were read before, for outputs that show their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from db.records import StoredObject
from worker.slides.reader import SlideReader
from worker.slides.sandbox.opening import opened_by
from worker.staging import staged
from worker.workshop import Workshop


@contextmanager
def opened(
    workshop: Workshop, obj: StoredObject, files: Sequence[StoredObject], sha256: str | None
) -> Iterator[SlideReader]:
    """Yield the slide, in the sandbox, as it was when it was read.

    Raises BadSlideError, ObjectChangedError, ServiceError and SandboxError as staging and opening do.
    """
    with (
        staged(workshop.store, obj, workshop.cache, files=files, sha256=sha256) as file,
        closing(opened_by(workshop.settings, file.path)) as reader,
    ):
        yield reader
