"""A folder with the kept crops of a made-up evaluation, and a profile that trains in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from db.records import CellClass as C
from tests.support.crops import discs, one_of_each
from tests.support.grained import grained
from worker.training.classification.data import CropSet, joined, store
from worker.training.classification.evaluation.jobs import Evaluation
from worker.training.classification.evaluation.profiles import CPU, Profile

BLAST = frozenset({C.LYMPHOBLAST})
LYMPHOCYTE = frozenset({C.LYMPHOCYTE})
TINY: Profile = replace(
    CPU,
    name="tiny",
    width=0.01,
    input_px=48,
    early_px=48,
    trunk_draws=8,
    trunk_epochs=1,
    draws_per_crop=1,
    least_draws=24,
    most_draws=24,
    epochs=3,
    batch=8,
    turns=2,
    folds=2,
    precision="float32",
)


def small_sets() -> CropSet:
    """Return cells of three types in single groups, and fields of two cells that show blasts or lymphocytes."""
    fields = discs([BLAST, BLAST] * 12 + [LYMPHOCYTE, LYMPHOCYTE] * 12, source="taleqani_all", per_group=4, seed=2)
    of_pairs = np.array([f"taleqani_all/{n // 2}" for n in range(len(fields))], dtype=np.str_)
    sets = [
        discs(one_of_each(12), source="pbc_normal_wbc", per_group=1, seed=3),
        replace(fields, picture=of_pairs),
        discs(one_of_each(6), source="wbcseg_d1_jiangxi", seed=4),
    ]
    return grained(joined(sets))


def begun(out: Path) -> Evaluation:
    """Return an evaluation whose crops are cut already."""
    whole = Evaluation(out=out, profile=TINY, seed=1)
    whole.crops.parent.mkdir(parents=True, exist_ok=True)
    store(small_sets(), whole.crops)
    return whole
