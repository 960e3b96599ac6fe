"""Cuts the crops of data sets, once: they are kept in a file, copies of a picture in one group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worker.cells.instances import cells_of
from worker.cells.learned import predict_maps
from worker.cells.preprocess import Pixels
from worker.cells.segment import CellMask
from worker.errors import BadRequestError
from worker.nets.cards import NO_STAIN_NORM
from worker.nets.segmenters import load_segmenter
from worker.training.classification import sources
from worker.training.classification.data import MPP_UM, CropSet, joined, store, stored
from worker.training.classification.drawn import drawn_cells, drawn_smears
from worker.training.classification.duplicates import with_near_duplicates_grouped
from worker.training.classification.loop import Say

SEGMENTER = "segnet-2026-11"
"""Finds the cells of fields; weights made with its crops go with it."""
_DRAWN_PER_CLASS = 120
_DRAWN_SMEARS = 32


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which crops are to be cut."""

    data: tuple[Path, ...]
    seed: int
    drawn: bool = True  # mix drawn cells in
    stain_norm: str = NO_STAIN_NORM  # as on a card: each picture is brought to the reference stain by itself


def cut(wanted: Wanted, kept: Path, *, device: str, say: Say) -> CropSet:
    """Return the crops of all sets below the folders of data, from the file `kept` where they were cut before.

    Raises BadRequestError when the data holds no known set.
    """
    if not kept.is_file():
        sight = sources.Sight(find=finder(device), stain_norm=wanted.stain_norm)
        try:
            found = [one for folder in wanted.data for one in sources.read_all(folder, sight, say)]
        except ValueError as error:
            raise BadRequestError(str(error)) from error
        if wanted.drawn:
            found.append(drawn_cells(wanted.seed, _DRAWN_PER_CLASS, sight))
            found.append(drawn_smears(wanted.seed % 1000, _DRAWN_SMEARS, sight))
        part = kept.with_suffix(".part.npz")
        store(with_near_duplicates_grouped(joined(found)), part)
        part.replace(kept)
    return stored(kept)


def finder(device: str) -> sources.Find:
    """Return what finds the cells of a picture as the product does."""
    segmenter = load_segmenter(SEGMENTER, device=device)

    def find(picture: Pixels) -> list[CellMask]:
        return cells_of(predict_maps(picture, segmenter), MPP_UM)

    return find
