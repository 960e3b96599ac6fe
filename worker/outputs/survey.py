"""A slide's overview with what a survey found on it, or with why it was refused."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import BadSlideError
from worker.slides.overview import Overview
from worker.slides.reader import SlideReader
from worker.slides.smear.survey import Survey, Told, survey

WORKING_MPP_UM = 0.25
"""The scale of the shipped model, on whose plane the squares lie."""


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """A slide's overview, and what was found on it or why it is refused."""

    overview: Overview
    found: Survey | BadSlideError


def surveyed(reader: SlideReader, told: Told, *, overview_px: int) -> Surveyed:
    """Look at an open slide.

    Args:
        reader: the slide.
        told: what is known of it beside its file.
        overview_px: longest side of the overview.

    Raises:
        BadSlideError: `unreadable_region`, when not even the overview can be read.
    """
    overview = reader.overview_within(overview_px)
    try:
        return Surveyed(overview=overview, found=survey(reader, told, WORKING_MPP_UM))
    except BadSlideError as refused:
        return Surveyed(overview=overview, found=refused)
