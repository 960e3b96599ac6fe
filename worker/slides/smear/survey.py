"""Looks at a slide without counting: is it a smear, at which scale, and where are cells counted."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import BadSlideError
from worker.slides.reader import SlideReader
from worker.slides.scale import WorkingPlane, plane_for, resolve
from worker.slides.smear import red_cell_scale
from worker.slides.smear.readable import Readable, is_field, map_factor, readable_squares
from worker.slides.smear.recognise import look_at, refuse_other_than_smear
from worker.slides.smear.shared_overview import SharedOverviews


@dataclass(frozen=True, kw_only=True)
class Told:
    """What somebody says of a slide beside its file."""

    declared_mpp_um: float | None = None
    site_mpp_um: float | None = None
    is_smear: bool = False  # not to be judged by its looks


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found on a slide."""

    plane: WorkingPlane
    readable: Readable


def survey(reader: SlideReader, told: Told, target_mpp_um: float) -> Survey:
    """Look at an open slide for a model of `target_mpp_um`.

    Raises:
        BadSlideError: when it is no smear, has no usable scale, or cannot be read at low resolution.
    """
    shared = SharedOverviews(reader, factor=_map_factor(reader, told, target_mpp_um))
    if not told.is_smear:
        refuse_other_than_smear(look_at(shared))
    scale = resolve(reader.info, told.declared_mpp_um, told.site_mpp_um, lambda: red_cell_scale.estimate(shared))
    plane = plane_for(reader.info, scale, target_mpp_um)
    return Survey(plane=plane, readable=readable_squares(shared, plane))


def _map_factor(reader: SlideReader, told: Told, target_mpp_um: float) -> int:
    """Return the factor of the stain map where it is known before any px is read, 0 where it is not."""
    try:
        scale = resolve(reader.info, told.declared_mpp_um, told.site_mpp_um)
        plane = plane_for(reader.info, scale, target_mpp_um)
    except BadSlideError:  # what is no smear is refused as such first, and this in its turn
        return 0
    return 0 if is_field(reader.info, plane) else map_factor(plane)
