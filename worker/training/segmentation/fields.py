"""Fields with outlines at their own resolution: what a segmentation is judged by.

Training sees the same sets at the working resolution; a judge must not resample the truth, nor what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from db.records import NOT_COUNTED, CellClass
from worker.drawing.smear import SmearSpec, draw_smear
from worker.training.segmentation.metrics import Mask
from worker.training.segmentation.sets import FieldSet, Known, entries, group_of, mpp_um, read_pair

Pixels = NDArray[np.uint8]
Truth = NDArray[np.int32]

DRAWN, DRAWN_CLUMPS = "drawn", "drawn_clumps"
CLUMP_SIZES = {2: 1.0, 3: 1.0, 4: 1.0, 5: 1.0}
_SEEDS_FROM = 8_500_000
"""Far from the seeds of demonstrations, tests and training."""
_PX_PER_CELL = 190
"""Side of the square that a drawn cell has to itself."""
_KINDS = tuple(kind for kind in CellClass if kind not in NOT_COUNTED)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueField:
    """One picture and its outlines, at the picture's own resolution."""

    rgb: Pixels = field(repr=False)  # (H, W, 3)
    mpp_um: float
    cells: Truth = field(
        repr=False
    )  # (H, W), 1..n the outlined bodies; components where touching ones have one outline
    nuclei: Mask | None = field(repr=False, default=None)  # (H, W); None: not outlined
    known: Known = Known.EVERY_CELL


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A field that can be read or drawn when it is its turn, as often as it is needed."""

    name: str
    source: str
    group: str  # unique over sources; never divided between training and validation
    load: Callable[[], TrueField] = field(repr=False)  # ValueError when a picture cannot be read


def listed(data: Path, fields: FieldSet) -> list[Listed]:
    """Return the outlined fields of a folder below `data`; raises FileNotFoundError without its manifest."""
    return [
        Listed(
            name=Path(entry["file"]).stem,
            source=fields.folder,
            group=group_of(fields, entry),
            load=partial(_read, data, fields, entry),
        )
        for entry in entries(data, fields)
    ]


def drawn(source: str, number: int, cells: int = 40) -> list[Listed]:
    """Return drawn smears, each a group: `DRAWN` as cells mostly lie, `DRAWN_CLUMPS` with two to five touching ones.

    Args:
        cells: of each smear, which is as large as they need.
    """
    return [
        Listed(name=f"{source}-{no}", source=source, group=f"{source}/{no}", load=partial(_draw, source, no, cells))
        for no in range(number)
    ]


def _read(data: Path, fields: FieldSet, entry: Mapping[str, str]) -> TrueField:
    rgb, mask = read_pair(data, fields, entry)
    return TrueField(
        rgb=rgb,
        mpp_um=mpp_um(fields, rgb.shape[1]),
        cells=_components(mask > 64),  # 128 is cytoplasm, 255 a nucleus or, where nuclei are not outlined, a cell
        nuclei=mask > 191 if fields.nuclei else None,
        known=fields.known,
    )


def _draw(source: str, no: int, cells: int) -> TrueField:
    smear = draw_smear(_spec(source, no, cells))
    return TrueField(
        rgb=smear.rgb, mpp_um=smear.known.mpp_um, cells=smear.cells.astype(np.int32), nuclei=smear.nuclei > 0
    )


def _spec(source: str, no: int, cells: int) -> SmearSpec:
    clumps = source == DRAWN_CLUMPS
    seed = _SEEDS_FROM + 1000 * clumps + no
    rng = np.random.default_rng([seed, 11])
    side_px = round(_PX_PER_CELL * cells**0.5)
    kinds = rng.multinomial(cells, rng.dirichlet(np.full(len(_KINDS), 2.0)))
    return SmearSpec(
        width_px=side_px,
        height_px=side_px,
        seed=seed,
        composition={kind: int(count) for kind, count in zip(_KINDS, kinds, strict=True)},
        touching=1.0 if clumps else float(rng.uniform(0.05, 0.25)),
        clump_sizes=CLUMP_SIZES,
        red_cells_per_mm2=float(rng.uniform(2500, 8500)),
        platelets_per_mm2=float(rng.uniform(60, 300)),
        deposits_per_mm2=float(rng.uniform(4, 60)),
        smudges=int(rng.integers(1, 5)),
    )


def _components(mask: Mask) -> Truth:
    return np.asarray(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1], np.int32)
