"""Whether touching cells are told apart: what is counted in each clump, where splits cannot make up for merges."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from worker.training.segmentation.metrics import Labels, overlap

_MOSTLY = 0.5


@dataclass(frozen=True, kw_only=True)
class ClumpCounts:
    """Cells in clumps of one field or many."""

    clumps: int = 0
    truth: int = 0  # cells in them
    found: int = 0
    off: int = 0  # cells too many or too few, summed over the clumps

    def __add__(self, other: ClumpCounts) -> ClumpCounts:
        return ClumpCounts(
            clumps=self.clumps + other.clumps,
            truth=self.truth + other.truth,
            found=self.found + other.found,
            off=self.off + other.off,
        )

    @property
    def error(self) -> float:
        """Cells found in excess, as a share of the true ones; splits make up for merges."""
        return self.found / self.truth - 1 if self.truth else 0.0

    @property
    def off_share(self) -> float:
        """Cells that are too many or too few in their clump, as a share of the true ones."""
        return self.off / self.truth if self.truth else 0.0


def clump_counts(truth: Labels, found: Labels) -> ClumpCounts:
    """Count in each group of two or more touching true cells the found ones that lie in it by more than half."""
    ground = np.asarray(cv2.connectedComponents((truth > 0).astype(np.uint8), connectivity=8)[1], np.int32)
    true_in, found_in = _mostly_in(ground, truth), _mostly_in(ground, found)
    clumps = true_in >= 2
    return ClumpCounts(
        clumps=int(np.count_nonzero(clumps)),
        truth=int(true_in[clumps].sum()),
        found=int(found_in[clumps].sum()),
        off=int(np.abs(found_in - true_in)[clumps].sum()),
    )


def _mostly_in(ground: Labels, cells: Labels) -> Labels:
    """Return (n,) how many cells lie in each component by more than half."""
    shared = overlap(ground, cells)
    return np.asarray((shared.shared > _MOSTLY * shared.found_px[None, :]).sum(axis=1))
