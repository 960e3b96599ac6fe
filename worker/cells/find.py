"""Which cells a tile shows: by the learned segmenter of the model, or by the classical one when it names none."""

from __future__ import annotations

from worker.cells.gpu_basins import basins_on
from worker.cells.instances import cells_of
from worker.cells.learned import predict_maps
from worker.cells.segment import CellMask, segment
from worker.cells.stain import Pixels, StainFit
from worker.nets.reach import LEARNED_HALO_PX
from worker.nets.segmenter_cards import CLASSICAL
from worker.nets.segmenters import Segmenter

CLASSICAL_HALO_PX = 128
"""32 µm at 0.25 µm/px: wider than the largest cell plus everything that a step looks at around a pixel."""


def find_cells(tile_rgb: Pixels, stain: StainFit, mpp_um: float, segmenter: Segmenter | None) -> list[CellMask]:
    """Return the nucleated cells of a (H, W, 3) uint8 RGB tile at `mpp_um` µm/px that do not reach its edge."""
    if segmenter is None:
        return segment(tile_rgb, stain, mpp_um)
    return cells_of(predict_maps(tile_rgb, segmenter), mpp_um, basins=basins_on(segmenter.device))


def halo_px(segmenter: Segmenter | None) -> int:
    """Return how far around its core a tile has to be read for all its cells to come out whole."""
    return CLASSICAL_HALO_PX if segmenter is None else LEARNED_HALO_PX


def named(segmenter: Segmenter | None) -> dict[str, str]:
    """Return the segmenter's name and the SHA-256 of its weights, for the plan of a run."""
    if segmenter is None:
        return {"name": CLASSICAL, "weights_sha256": ""}
    return {"name": segmenter.card.name, "weights_sha256": segmenter.card.weights_sha256}
