"""The physical scale of a slide, where it is known from, and the working plane that follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.slide import MPP_RANGE_UM, SlideInfo

STEPS_PER_PX = 64
"""A factor is a whole number of 64ths: lattice squares then begin and end on whole level-0 px."""
MIN_SIDE_UM = 7.0
"""Less than this holds no whole cell."""
SNAP_WITHIN = 0.03
"""How far off the model's scale a plane may lie to be read without resampling: cells differ more among themselves."""
MAX_ENLARGED = 4.0
"""A slide coarser than this many times the model's scale would be enlarged to blur."""
_DECLARE = "Run it again with --mpp, or state mpp (µm/px) in its sidecar, or set MARROWLINE_SITE_MPP_UM for the site."


@dataclass(frozen=True, kw_only=True)
class Scale:
    """µm per level-0 px, and who says so."""

    mpp_um: float
    source: str  # header | sidecar | site | estimated
    error_um: float = 0.0  # one standard deviation of mpp_um; 0 where it was stated


@dataclass(frozen=True, kw_only=True)
class ScaleEstimate:
    """A scale read off the picture itself (`red_cell_scale.estimate`)."""

    mpp_um: float
    error_um: float  # one standard deviation of mpp_um
    n_red_cells: int


@dataclass(frozen=True, kw_only=True)
class WorkingPlane:
    """The slide at the model's µm/px, as nearly as whole 64ths of a level-0 px allow, or at a cheap factor beside it.

    Working px (X, Y) covers the level-0 area from (X, Y) * factor to (X + 1, Y + 1) * factor.
    """

    scale: Scale
    factor: float  # level-0 px per working px, a whole number of 64ths
    width_work: int
    height_work: int

    @property
    def factor_64ths(self) -> int:
        """The factor in 64ths, exactly."""
        return int(self.factor * STEPS_PER_PX)

    @property
    def mpp_um(self) -> float:
        """µm per working px, exactly: the target, off by 3 % or by half a 64th of a level-0 px at most."""
        return self.scale.mpp_um * self.factor

    @property
    def box(self) -> Box:
        """The whole plane."""
        return Box(x=0, y=0, width=self.width_work, height=self.height_work)


def resolve(
    info: SlideInfo,
    declared: float | None,
    site: float | None,
    estimate: Callable[[], ScaleEstimate | None] = lambda: None,
) -> Scale:
    """Return the scale from the header, else as declared beside the file, else the site's, else as estimated.

    `estimate` reads fields of the slide, so it is asked only where nobody states a scale.

    Raises:
        BadSlideError: `scale_unknown`; a scale is never guessed.
    """
    low, high = MPP_RANGE_UM
    for mpp_um, source in ((info.mpp_um, "header"), (declared, "sidecar"), (site, "site")):
        if mpp_um is None:
            continue
        if not low <= mpp_um <= high:
            cause = f"a scale of {mpp_um:g} µm/px ({source}) lies outside {low:g}-{high:g}"
            raise BadSlideError("scale_unknown", cause, _DECLARE)
        return Scale(mpp_um=mpp_um, source=source)
    read_off = estimate()
    if read_off is None or not low <= read_off.mpp_um <= high:
        cause = "its header states no usable scale, none was declared, and its red cells do not tell it"
        raise BadSlideError("scale_unknown", cause, _DECLARE)
    return Scale(mpp_um=read_off.mpp_um, source="estimated", error_um=read_off.error_um)


def plane_for(info: SlideInfo, scale: Scale, target_mpp_um: float) -> WorkingPlane:
    """Return the plane on which a model of `target_mpp_um` sees the slide.

    A factor within 3 % of one that asks for no resampling, or for the cheapest, is taken to be that one: 1, the
    reduction of a level, twice or half the size. So a scanner of 0.2428 to 0.2577 µm/px is read by its own pixels
    for a model of 0.25. The plane's µm/px stay the true ones, and every measure in µm with them.

    Raises:
        BadSlideError: `too_small`, when no cell fits in the picture; `too_coarse`, when nothing of a cell shows.
    """
    if scale.mpp_um > MAX_ENLARGED * target_mpp_um:
        cause = f"at {scale.mpp_um:g} µm/px ({scale.source}) a cell is a few px wide"
        raise BadSlideError("too_coarse", cause, "Check the scale that was declared, or scan with more magnification.")
    if min(info.width_l0, info.height_l0) * scale.mpp_um < MIN_SIDE_UM:
        cause = f"it measures {info.width_l0} x {info.height_l0} px of {scale.mpp_um:g} µm, less than one cell"
        raise BadSlideError("too_small", cause, "Check the scale that was declared, or upload a larger field.")
    steps = _factor_64ths(info, target_mpp_um / scale.mpp_um)
    return WorkingPlane(
        scale=scale,
        factor=steps / STEPS_PER_PX,
        width_work=-(-info.width_l0 * STEPS_PER_PX // steps),
        height_work=-(-info.height_l0 * STEPS_PER_PX // steps),
    )


def _factor_64ths(info: SlideInfo, factor: float) -> int:
    """Return level-0 px per working px in 64ths: a cheap factor near by, else the nearest."""
    levels = (by for by, whole in zip(info.level_downsamples, info.whole_px_levels, strict=True) if whole)
    cheap = min((1.0, 0.5, 2.0, *levels), key=lambda candidate: abs(candidate - factor))
    if abs(cheap - factor) <= SNAP_WITHIN * cheap:
        return round(STEPS_PER_PX * cheap)
    return max(1, round(STEPS_PER_PX * factor))
