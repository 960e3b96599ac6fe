"""The stored plans of reading: unaltered, of the slides and the model that they are stored with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from db.cases import Case, CaseSlide
from db.proofs import Recorded
from db.records import Area
from worker import planning
from worker.proof.checks import Check, check, one_of_many
from worker.slides.smear import areas
from worker.slides.smear.readable import Readable


def check_plans(case: Case, recorded: Recorded) -> Check:
    """Hold every finished slide's plan against its digest, its slide, its model and the areas that are shown."""
    return check("plans of reading", (one_of_many(_faults(slide, recorded)) for slide in case.read))


def is_whole(slide: CaseSlide, recorded: Recorded) -> bool:
    """Tell whether the slide's plan is the one that was stored under its digest."""
    return slide.plan is not None and planning.plan_digest(slide.plan) == recorded.plan_digests[slide.run_id]


def _faults(slide: CaseSlide, recorded: Recorded) -> Iterator[str]:
    plan, name = slide.plan, f"the plan of slide {slide.slide_id}"
    if plan is None or not is_whole(slide, recorded):
        yield f"{name} is not the one that its digest names"
        return
    if plan["slide_sha256"] != slide.sha256:
        yield f"{name} is of other bytes than the slide's"
    if plan["weights_sha256"] != recorded.model.weights_sha256:
        yield f"{name} is of another model"
    if not _alike(slide.areas, areas.areas(Readable.from_json(plan["readable"]), planning.plane_of(plan))):
        yield f"{name} counts in other areas than those stored"


def _alike(stored: Sequence[Area], planned: Sequence[Area]) -> bool:
    return len(stored) == len(planned) and all(
        _box(one) == _box(other) and math.isclose(one.mm2, other.mm2, rel_tol=1e-6)
        for one, other in zip(stored, planned, strict=True)
    )


def _box(area: Area) -> tuple[str, int, int, int, int]:
    return area.kind, area.x_l0, area.y_l0, area.width_l0, area.height_l0
