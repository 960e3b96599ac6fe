"""Looks at a slide without counting: is it a smear, at which scale, and where would be counted."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import BadSlideError
from worker.slides import red_cell_scale
from worker.slides.overview import Overview
from worker.slides.reader import SlideReader
from worker.slides.recognise import look_at, refuse_other_than_smear
from worker.slides.scale import WorkingPlane, plane_for, resolve
from worker.slides.smear import Readable, readable_squares

WORKING_MPP_UM = 0.25
"""The scale of the shipped model, on whose plane the squares lie."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found on a slide."""

    plane: WorkingPlane
    readable: Readable


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """A slide's overview, and what was found on it or why it is refused."""

    overview: Overview
    found: Survey | BadSlideError


def survey(reader: SlideReader, *, overview_px: int, declared_mpp_um: float | None, is_smear: bool = False) -> Surveyed:
    """Look at an open slide.

    Args:
        reader: the slide.
        overview_px: longest side of the overview.
        declared_mpp_um: its scale, for a file that states none.
        is_smear: whether somebody has said that it is a smear, whatever it looks like.

    Raises:
        BadSlideError: `unreadable_region`, when not even the overview can be read.
    """
    overview = reader.overview_within(overview_px)
    try:
        if not is_smear:
            refuse_other_than_smear(look_at(reader))
        scale = resolve(reader.info, declared_mpp_um, None, lambda: red_cell_scale.estimate(reader))
        plane = plane_for(reader.info, scale, WORKING_MPP_UM)
        return Surveyed(overview=overview, found=Survey(plane=plane, readable=readable_squares(reader, plane)))
    except BadSlideError as refused:
        return Surveyed(overview=overview, found=refused)
