"""Values of slide reading as JSON, and back from an untrusted sender."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.sandbox.messages import Fields, MisbehavedError
from worker.slides.sandbox.spec import Level, Reached
from worker.slides.scale import Scale, WorkingPlane
from worker.slides.slide import MAX_LEVELS, MAX_SIDE_PX, MPP_RANGE_UM, SlideInfo, check_limits


def info_to_json(info: SlideInfo) -> dict[str, Any]:
    """Return a header; `info_from` reads it."""
    return asdict(info)


def info_from(fields: Fields) -> SlideInfo:
    """Return a header whose numbers lie within the limits of a slide.

    Raises:
        MisbehavedError: for anything else.
    """
    pairs = [Fields({"size": pair}) for pair in fields.items("level_sizes", most=MAX_LEVELS)]
    sizes = tuple(pair.whole_numbers("size", 2, 1, MAX_SIDE_PX) for pair in pairs)
    levels = len(sizes)
    downsamples = [Fields({"downsample": item}) for item in fields.items("level_downsamples", levels)]
    wholes = [Fields({"whole": item}) for item in fields.items("whole_px_levels", levels)]
    info = SlideInfo(
        vendor=fields.word("vendor"),
        reader=fields.word("reader"),
        colours=fields.word("colours"),
        width_l0=fields.whole("width_l0", 1, MAX_SIDE_PX),
        height_l0=fields.whole("height_l0", 1, MAX_SIDE_PX),
        level_sizes=tuple((width, height) for width, height in sizes),
        level_downsamples=tuple(item.number("downsample", 1.0, float(MAX_SIDE_PX)) for item in downsamples),
        whole_px_levels=tuple(item.flag("whole") for item in wholes),
        mpp_um=None if fields.message.get("mpp_um") is None else fields.number("mpp_um", *MPP_RANGE_UM),
        background_rgb=_rgb(fields, "background_rgb"),
    )
    if not levels or sizes[0] != (info.width_l0, info.height_l0) or not _is_pyramid(info):
        raise MisbehavedError("the sizes of a slide contradict each other")
    try:
        check_limits(info.level_sizes)
    except BadSlideError as error:
        raise MisbehavedError("the slide is over its limits") from error
    return info


def _is_pyramid(info: SlideInfo) -> bool:
    """Tell whether levels are about as large as their reductions say: memory is set aside by that."""
    return all(
        (side - 1) * downsample <= 2 * full
        for size, downsample in zip(info.level_sizes, info.level_downsamples, strict=True)
        for side, full in zip(size, (info.width_l0, info.height_l0), strict=True)
    )


def boxes_from(fields: Fields, name: str, *, most: int, width: int, height: int) -> tuple[Box, ...]:
    """Return boxes that lie inside a picture.

    Raises:
        MisbehavedError: for anything else.
    """
    boxes = []
    for item in fields.items(name, most=most):
        numbers = Fields({name: item}).whole_numbers(name, 4, 0, MAX_SIDE_PX)
        box = Box(x=numbers[0], y=numbers[1], width=numbers[2], height=numbers[3])
        if box.clipped(Box(x=0, y=0, width=width, height=height)) != box:
            raise MisbehavedError(f"{name} lie outside the picture")
        boxes.append(box)
    return tuple(boxes)


def reached_from(fields: Fields) -> Reached:
    """Return how firmly a slide's process says that it is shut in, before it has seen the slide."""
    names = [Fields({"name": item}) for item in fields.items("missing")]
    try:
        level = Level(fields.word("level"))
    except ValueError:
        raise MisbehavedError("a level has no known name") from None
    return Reached(level=level, missing=tuple(name.word("name") for name in names))


def bad_slide_to_json(error: BadSlideError) -> dict[str, str]:
    """Return an error of the file's; `bad_slide_from` reads it."""
    return {"code": error.code, "cause": error.cause, "remedy": error.remedy}


def bad_slide_from(fields: Fields) -> BadSlideError:
    """Return the file's fault with texts that are safe to show."""
    return BadSlideError(fields.word("code"), fields.text("cause"), fields.text("remedy"))


def box_to_json(box: Box) -> list[int]:
    """Return x, y, width and height."""
    return [box.x, box.y, box.width, box.height]


def box_from(values: list[int]) -> Box:
    """Return a box of a trusted sender."""
    x, y, width, height = values
    return Box(x=x, y=y, width=width, height=height)


def plane_to_json(plane: WorkingPlane) -> dict[str, Any]:
    """Return a working plane; `plane_from` reads it."""
    return asdict(plane)


def plane_from(document: dict[str, Any]) -> WorkingPlane:
    """Return a working plane of a trusted sender."""
    return WorkingPlane(**{**document, "scale": Scale(**document["scale"])})


def _rgb(fields: Fields, name: str) -> tuple[int, int, int]:
    red, green, blue = fields.whole_numbers(name, 3, 0, 255)
    return red, green, blue
