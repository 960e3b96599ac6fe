"""Looks at a slide without counting: is it a smear, at which scale, and where are cells counted."""

from __future__ import annotations

from dataclasses import dataclass

from worker.slides import red_cell_scale
from worker.slides.reader import SlideReader
from worker.slides.recognise import look_at, refuse_other_than_smear
from worker.slides.scale import WorkingPlane, plane_for, resolve
from worker.slides.smear import Readable, readable_squares


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
    if not told.is_smear:
        refuse_other_than_smear(look_at(reader))
    scale = resolve(reader.info, told.declared_mpp_um, told.site_mpp_um, lambda: red_cell_scale.estimate(reader))
    plane = plane_for(reader.info, scale, target_mpp_um)
    return Survey(plane=plane, readable=readable_squares(reader, plane))
