"""Drawn smears as fields whose every pixel is known: crowded marrow, and the debris that is no cell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from db.records import CellClass as C
from worker.drawing.smear import SmearSpec, draw_smear
from worker.training.segmentation.data import DRAWN, MPP_UM, Field

_SIDE_PX = 768
_KINDS = (
    C.LYMPHOBLAST, C.PLASMA_CELL, C.LYMPHOCYTE, C.MONOCYTE, C.NEUTROPHIL, C.EOSINOPHIL, C.BASOPHIL,
    C.IMMATURE_GRANULOCYTE, C.ERYTHROBLAST,
)  # fmt: skip


def drawn_fields(number: int, seed: int) -> Iterator[Field]:
    """Yield so many smears of all classes and stains, each a group by itself."""
    for no in range(number):
        rng = np.random.default_rng([seed, no])
        kinds = rng.multinomial(int(rng.integers(10, 42)), rng.dirichlet(np.full(len(_KINDS), 0.7)))
        spec = SmearSpec(
            width_px=_SIDE_PX,
            height_px=_SIDE_PX,
            mpp_um=MPP_UM,
            seed=int(rng.integers(2**31)),
            composition={kind: int(count) for kind, count in zip(_KINDS, kinds, strict=True) if count},
            touching=float(rng.uniform(0, 0.8)),
            red_cells_per_mm2=float(rng.uniform(500, 9000)),
            platelets_per_mm2=float(rng.uniform(50, 1200)),
            deposits_per_mm2=float(rng.uniform(2, 60)),
            smudges=int(rng.integers(0, 5)),
        )
        smear = draw_smear(spec)
        yield Field(
            name=f"{DRAWN}-{seed}-{no}",
            source=DRAWN,
            group=f"{DRAWN}/{seed}-{no}",
            rgb=smear.rgb,
            cell=(smear.cells > 0).astype(np.int8),
            nucleus=(smear.nuclei > 0).astype(np.int8),
            instance=smear.cells.astype(np.int32),
        )
