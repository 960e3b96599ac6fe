"""Fields with outlines at their own resolution: what a segmentation is judged by.

Training sees the same sets at the working resolution; a judge must not resample the truth, nor what was found.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from db.records import NOT_COUNTED, CellClass
from worker.drawing.smear import SmearSpec, draw_smear
from worker.training.segmentation.metrics import Mask

Pixels = NDArray[np.uint8]
Truth = NDArray[np.int32]

DRAWN, DRAWN_CLUMPS = "drawn", "drawn_clumps"
CLUMP_SIZES = {2: 1.0, 3: 1.0, 4: 1.0, 5: 1.0}
_SEEDS_FROM = 8_500_000
"""Far from the seeds of demonstrations, tests and training."""
_PX_PER_CELL = 190
"""Side of the square that a drawn cell has to itself."""
_KINDS = tuple(kind for kind in CellClass if kind not in NOT_COUNTED)


class Known(StrEnum):
    """Which cells of a field are outlined."""

    EVERY_CELL = "every cell"
    MIDDLE_CELL = "the middle cell"  # others may reach in from the rim
    SOME_CELLS = "some cells"  # touching ones as one


@dataclass(frozen=True, kw_only=True)
class FieldSet:
    """A folder of annotated fields and how they are read."""

    folder: str
    known: Known
    mpp_um: float | None = None
    width_um: float | None = None  # of what every field shows, where its fields differ in µm/px
    nuclei: bool = False  # whether nuclei are outlined as well
    same_groups_as: str = ""  # another folder with the same groups


SETS = (
    FieldSet(folder="wbcseg_d1_jiangxi", known=Known.MIDDLE_CELL, mpp_um=0.176, nuclei=True),
    FieldSet(folder="wbcseg_d2_cellavision", known=Known.MIDDLE_CELL, mpp_um=0.083, nuclei=True),
    FieldSet(folder="bccd_fields", known=Known.EVERY_CELL, mpp_um=0.073),
    FieldSet(folder="segpc_mm_512", known=Known.SOME_CELLS, width_um=83.5),
    FieldSet(folder="segpc_mm_native", known=Known.SOME_CELLS, width_um=83.5, same_groups_as="segpc_mm_512"),
)


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
    folder = data / fields.folder
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        entries = [entry for entry in csv.DictReader(file) if entry["mask"]]
    return [
        Listed(
            name=Path(entry["file"]).stem,
            source=fields.folder,
            group=f"{fields.same_groups_as or fields.folder}/{entry['group_id']}",
            load=partial(_read, folder, fields, entry),
        )
        for entry in entries
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


def _read(folder: Path, fields: FieldSet, entry: Mapping[str, str]) -> TrueField:
    rgb = _picture(folder / entry["file"], cv2.IMREAD_COLOR_RGB)
    mask = _picture(folder / entry["mask"], cv2.IMREAD_GRAYSCALE)
    return TrueField(
        rgb=rgb,
        mpp_um=_mpp_um(fields, rgb.shape[1]),
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


def _mpp_um(fields: FieldSet, width_px: int) -> float:
    if fields.mpp_um is not None:
        return fields.mpp_um
    if fields.width_um is None:
        raise ValueError(f"{fields.folder}: neither µm/px nor the fields' width is known")
    return fields.width_um / width_px


def _components(mask: Mask) -> Truth:
    return np.asarray(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1], np.int32)


def _picture(path: Path, how: int) -> Pixels:
    image = cv2.imread(str(path), how)
    if image is None:
        raise ValueError(f"{path} is not a readable picture")
    return np.asarray(image, np.uint8)
