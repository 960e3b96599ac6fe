"""From an opened slide and its plan to batches of called cells, step by step.

Two workers that carry out one plan (worker/planning.py) get the same cells, so a take-over goes on where the other
stopped.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.records import Batch, Cell, Plan, TileDefect
from worker.cells import features, measures, preprocess
from worker.cells.classify import Calls, classify
from worker.cells.find import find_cells
from worker.cells.segment import CellMask
from worker.cells.stain import StainFit
from worker.cells.stain_norm import StainNorm
from worker.errors import BadSlideError
from worker.nets.registry import Model
from worker.planning import plane_of, tiles_in_order
from worker.slides.reader import SlideReader
from worker.slides.scale import WorkingPlane
from worker.slides.smear.readable import Readable
from worker.slides.tiling import Tile

MOST_DEFECTS = 0.05
"""Part of the tiles that may be impossible to decode before the whole slide is refused."""


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """A plan made ready to be carried out."""

    plane: WorkingPlane
    readable: Readable
    stain: StainFit
    norm: StainNorm
    batches: tuple[tuple[Tile, ...], ...]


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A cell of a tile before its call."""

    mask: CellMask
    tile: Tile
    crop: NDArray[np.uint8]  # (S, S, 3) RGB
    features: dict[str, float]


def read_slide(
    reader: SlideReader, plan: Plan, model: Model, *, skip: Collection[int] = frozenset(), defects: int = 0
) -> Generator[Batch]:
    """Yield the batches of the plan in order, leaving out those whose numbers are in `skip`.

    A tile that cannot be decoded is noted in its batch and gives no cells. `defects` is how many such tiles the
    skipped batches have.

    The next tiles are read while the present one is segmented.

    Raises:
        BadSlideError: `too_many_defects`, when more than MOST_DEFECTS of the tiles cannot be decoded.
    """
    reading = _prepare(plan)
    todo = [(no, tiles) for no, tiles in enumerate(reading.batches) if no not in skip]
    boxes = [tile.read_work for _, tiles in todo for tile in tiles]
    # Closed here even when a step raises: the reader must not be closed while its threads read.
    with closing(reader.tiles(reading.plane, boxes, reading.stain.background)) as pixels:
        for no, tiles in todo:
            found: list[_Found] = []
            torn: list[TileDefect] = []
            for tile in tiles:
                read = next(pixels)
                if isinstance(read, BadSlideError):
                    torn.append(_defect(tile, read, reading.plane))
                    _check_defects(defects + len(torn), plan.document["n_tiles"], read)
                else:
                    found.extend(_find_cells(read, tile, reading, model))
            defects += len(torn)
            yield Batch(no=no, cells=_call(found, reading.plane, model), defects=tuple(torn))


def _prepare(plan: Plan) -> _Reading:
    document = plan.document
    plane, readable = plane_of(document), Readable.from_json(document["readable"])
    return _Reading(
        plane=plane,
        readable=readable,
        stain=StainFit.from_json(document["stain"]),
        norm=StainNorm.from_json(document["stain_norm"]),
        batches=tiles_in_order(document, plane, readable),
    )


def _defect(tile: Tile, error: BadSlideError, plane: WorkingPlane) -> TileDefect:
    core = tile.core_work
    x_l0, y_l0 = math.floor(core.x * plane.factor), math.floor(core.y * plane.factor)
    return TileDefect(
        tile_no=tile.no,
        x_l0=x_l0,
        y_l0=y_l0,
        width_l0=math.ceil(core.x_end * plane.factor) - x_l0,
        height_l0=math.ceil(core.y_end * plane.factor) - y_l0,
        code=error.code,
        cause=error.cause,
    )


def _check_defects(defects: int, n_tiles: int, last: BadSlideError) -> None:
    if defects > MOST_DEFECTS * n_tiles:
        cause = f"{defects} of its {n_tiles} tiles cannot be decoded; the last: {last.cause}"
        raise BadSlideError("too_many_defects" if n_tiles > 1 else last.code, cause, last.remedy)


def _find_cells(rgb: NDArray[np.uint8], tile: Tile, reading: _Reading, model: Model) -> Iterator[_Found]:
    for mask in find_cells(rgb, reading.stain, reading.plane.mpp_um, model.segmenter):
        if not _is_counted(mask, tile, reading.readable):
            continue
        x_tile, y_tile = mask.centre_tile
        yield _Found(
            mask=mask,
            tile=tile,
            crop=reading.norm.apply(preprocess.crop(rgb, x_tile, y_tile, model.card.crop_px)),
            features=features.measure(rgb, mask, reading.plane.mpp_um),
        )


def _is_counted(mask: CellMask, tile: Tile, readable: Readable) -> bool:
    sum_x, sum_y = _sums_work(mask, tile)
    return tile.core_work.holds_mean(sum_x, sum_y, mask.count) and readable.holds_mean(sum_x, sum_y, mask.count)


def _sums_work(mask: CellMask, tile: Tile) -> tuple[int, int]:
    """Return the sums of the nucleus's pixel positions on the working plane: the same whichever tile shows it."""
    return mask.sum_x + tile.read_work.x * mask.count, mask.sum_y + tile.read_work.y * mask.count


def _call(found: Sequence[_Found], plane: WorkingPlane, model: Model) -> tuple[Cell, ...]:
    if not found:
        return ()
    calls = classify(np.stack([cell.crop for cell in found]), model, measures.rows([cell.features for cell in found]))
    return tuple(_cell(no, cell, calls, plane, model) for no, cell in enumerate(found))


def _cell(no: int, found: _Found, calls: Calls, plane: WorkingPlane, model: Model) -> Cell:
    mask, origin = found.mask, found.tile.read_work
    sum_x, sum_y = _sums_work(mask, found.tile)
    return Cell(
        cell_no=no,
        x_l0=(sum_x / mask.count + 0.5) * plane.factor,
        y_l0=(sum_y / mask.count + 0.5) * plane.factor,
        cell_class=model.card.classes[int(calls.index[no])],
        abstained=bool(calls.abstained[no]),
        probabilities=tuple(float(p) for p in calls.probabilities[no]),
        features=found.features,
        outline_l0=tuple(
            (round((origin.x + x + 0.5) * plane.factor), round((origin.y + y + 0.5) * plane.factor))
            for x, y in features.outline(mask)
        ),
    )
