"""From the key of an event to the slides that a look is worth while at; the rest is the listing's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from db.hints import Hint
from scheduler.intake import SIDECAR, fault_of_key, is_slide_key, slide_of_sidecar
from worker.slide_sets import COMPLETE, SetKind, may_belong, set_kind
from worker.storage import RESULTS_PREFIX, ObjectStore


def slides_of(key: str, prefix: str = "") -> tuple[str, ...]:
    """Return the keys of the slides that an object of this key is, belongs to or describes.

    None for what intake ignores, and for pictures: only the listing sees whether they are beside a VMS, and so part
    of it.
    """
    if not key.startswith(prefix) or key.startswith(prefix + RESULTS_PREFIX) or fault_of_key(key) is not None:
        return ()
    return tuple(_whole(slide_of_sidecar(key, prefix) or key))


def relevant(hints: Iterable[Hint], store: ObjectStore) -> list[Hint]:
    """Return the hints that concern slides of this bucket."""
    return [hint for hint in hints if hint.bucket == store.name and slides_of(hint.key, store.prefix)]


def _whole(key: str) -> Iterator[str]:
    folder = key[: key.rfind("/") + 1]
    if may_belong(SetKind.HAMAMATSU, folder, key):
        return
    if key == folder + COMPLETE and folder:
        yield f"{folder[:-1]}.mrxs"
        yield folder
    elif may_belong(SetKind.DICOM, folder, key):
        yield from (folder,) if folder else ()
    elif may_belong(SetKind.MRXS, folder, key) and folder:
        yield f"{folder[:-1]}.mrxs"
    elif key.endswith(SIDECAR):
        yield f"{key.removesuffix(SIDECAR)}/"
    elif is_slide_key(key) and set_kind(key) is not SetKind.DICOM:
        yield key
