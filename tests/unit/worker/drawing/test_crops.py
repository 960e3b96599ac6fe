"""worker.drawing.crops: labelled crops for training."""

from __future__ import annotations

from collections import Counter

import numpy as np

from db.records import NOT_COUNTED, CellClass
from worker.drawing.crops import CROP_CLASSES, draw_crops


def test_every_class_comes_equally_often() -> None:
    crops, labels = draw_crops(np.random.default_rng(1), 2)
    assert crops.shape == (2 * len(CROP_CLASSES), 80, 80, 3)
    assert crops.dtype == np.uint8
    assert Counter(labels) == dict.fromkeys(CROP_CLASSES, 2)


def test_labelled_cell_is_in_the_middle() -> None:
    counted = [c for c in CROP_CLASSES if c not in NOT_COUNTED]
    crops, _ = draw_crops(np.random.default_rng(2), 4, classes=counted)
    green = crops[..., 1].astype(float)
    middle = np.percentile(green[:, 34:46, 34:46], 20, axis=(1, 2))
    glass = np.percentile(green, 90, axis=(1, 2))
    assert (middle < glass - 70).mean() > 0.97


def test_crops_repeat_with_the_seed() -> None:
    first, again, other = (
        draw_crops(np.random.default_rng(seed), 1, classes=[CellClass.BASOPHIL]) for seed in (4, 4, 5)
    )
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_size_and_scale_are_free() -> None:
    crops, labels = draw_crops(np.random.default_rng(3), 3, crop_px=64, mpp_um=0.4, classes=[CellClass.PLASMA_CELL])
    assert crops.shape == (3, 64, 64, 3)
    assert labels == [CellClass.PLASMA_CELL] * 3
