"""The cards of segmenters: what a weight file finds, at which scale, and how well it did where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.nets import card_files
from worker.nets.card_files import Files, Kind
from worker.nets.reach import CELL_REACH_UM, LEARNED_HALO_PX, MOST_LEVELS, RECEPTIVE_PX

SEGNET = "segnet-unet"
DEFAULT = "segnet-2026-11"
"""The shipped segmenter that commands use when none is named."""
CLASSICAL = "classical"
"""Stands for the segmenter without weights (worker/cells/segment.py) wherever one is named."""


@dataclass(frozen=True, kw_only=True)
class SegmenterCard:
    """What a segmenter's weight file is, how it is to be fed, and how well it did where."""

    name: str
    arch: str = SEGNET
    widths: tuple[int, ...]  # channels at 2, 4, 8 and 16 times the input's pixel
    created: str  # ISO date
    version: str = "1"
    weights_of: str = ""
    weights_sha256: str = ""
    mpp_um: float  # of the input
    mean: tuple[float, float, float]  # of RGB / 255
    std: tuple[float, float, float]
    cell_above: float = 0.5  # probability from which a pixel belongs to a cell
    nucleus_above: float = 0.5
    seed: int = 0
    made: str = ""  # how, for those who want to make it again
    data: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    terms: str = ""


def names(models_dir: Path | None = None) -> tuple[str, ...]:
    """Return the names of the installed segmenters, sorted; the classical one is not among them."""
    return card_files.names(SEGMENTER, models_dir)


def find(name: str, models_dir: Path | None = None) -> Files[SegmenterCard]:
    """Return the files of a segmenter; raises ModelError when it is not installed or its card cannot be read."""
    return card_files.find(SEGMENTER, name, models_dir)


def _check(card: SegmenterCard) -> None:
    if card.name == CLASSICAL:
        raise ValueError(f"{CLASSICAL!r} is the segmenter without weights")
    if len(card.mean) != 3 or len(card.std) != 3 or min(card.std) <= 0:
        raise ValueError("mean and std need three values each, std above zero")
    if not 2 <= len(card.widths) <= MOST_LEVELS or min(card.widths) < 1:
        raise ValueError(f"widths must be two to {MOST_LEVELS} positive numbers")
    if card.mpp_um * (LEARNED_HALO_PX - RECEPTIVE_PX) < CELL_REACH_UM:
        raise ValueError(f"at {card.mpp_um:g} µm/px the {LEARNED_HALO_PX} px around a tile do not show its cells")
    if not (0 < card.cell_above < 1 and 0 < card.nucleus_above < 1):
        raise ValueError("cell_above and nucleus_above lie between 0 and 1")


SEGMENTER = Kind(
    what="segmenter",
    card=SegmenterCard,
    check=_check,
    folder="segmenters",
    trained_by="marrowline train segmenter",
)
