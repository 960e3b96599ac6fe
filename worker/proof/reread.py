"""Fetches a stored slide anew, past every copy on this machine, and reads some of its batches by the stored plan."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from db.cases import CaseSlide
from db.records import Batch, Plan
from worker import pipeline, planning
from worker.errors import BadSlideError, ObjectChangedError
from worker.nets.registry import Model
from worker.slides.sandbox.opening import opened_by
from worker.staging import CacheSpec, staged
from worker.workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class Again:
    """What a slide is, and shows, now."""

    fault: str | None  # why its bytes are not those that were read
    batches: tuple[Batch, ...] = ()


@contextmanager
def fresh_cache(cache: CacheSpec) -> Iterator[CacheSpec]:
    """Give an empty cache beside the machine's, within the same bounds, that goes away with all that is in it."""
    cache.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=cache.folder) as folder:
        yield replace(cache, folder=Path(folder))


def read_again(
    shop: Workshop, slide: CaseSlide, numbers: Collection[int], *, model: Model | None, cache: CacheSpec
) -> Again:
    """Fetch the slide, compare its SHA-256, and read the batches of these numbers; none of them without a model.

    Raises ServiceError when the bucket, the disk or the sandbox does not serve.
    """
    name = f"slide {slide.slide_id}"
    try:
        with staged(shop.store, slide.obj, cache, files=slide.files) as file:
            if file.sha256 != slide.sha256:
                return Again(fault=f"{name} has SHA-256 {file.sha256}; the one that was read had {slide.sha256}")
            batches = _batches(shop, slide, numbers, path=file.path, model=model) if model else ()
    except ObjectChangedError:
        return Again(fault=f"{name} is another version in the bucket by now, or gone")
    except BadSlideError as bad:
        return Again(fault=f"{name} cannot be read again: {bad.cause}")
    return Again(fault=None, batches=batches)


def _batches(
    shop: Workshop, slide: CaseSlide, numbers: Collection[int], *, path: Path, model: Model
) -> tuple[Batch, ...]:
    plan = _plan(slide)
    others = set(range(plan.n_batches)) - set(numbers)
    with (
        closing(opened_by(shop.settings, path)) as reader,
        closing(pipeline.read_slide(reader, plan, model, skip=others)) as read,
    ):
        return tuple(read)


def _plan(slide: CaseSlide) -> Plan:
    document = slide.plan or {}
    return Plan(
        digest=planning.plan_digest(document),
        n_batches=slide.n_batches or 0,
        document=document,
        mpp_um=slide.mpp_um or 0.0,
        mpp_source=slide.mpp_source or "",
        sha256=slide.sha256 or "",
    )
