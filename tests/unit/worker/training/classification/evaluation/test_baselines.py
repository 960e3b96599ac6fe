from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.support.crops import dark, discs, one_of_each
from worker.cells.features import NAMES
from worker.training.classification.evaluation import baselines


def _blobs(*, apart: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 2], 20)
    return rng.normal(0, 1, (40, 3)) + apart * truth[:, None], truth


def test_the_cell_in_the_middle_is_measured() -> None:
    found = baselines.morphology(discs(one_of_each(1)), dark)
    assert found.shape == (3, len(NAMES) + 1)
    area = found[:, NAMES.index("nucleus_area_um2")]
    assert ((area > 25) & (area < 90)).all()  # discs of 12 to 19 px radius
    assert found[:, -1].tolist() == [1, 1, 1]


def test_a_crop_without_a_cell_near_its_middle_says_so() -> None:
    crops = discs(one_of_each(1))
    crops.pixels[0] = 230
    crops.pixels[1] = np.roll(crops.pixels[1], 30, axis=1)
    assert baselines.morphology(crops, dark)[:, -1].tolist() == [0, 0, 1]


def test_both_models_tell_apart_what_lies_apart() -> None:
    train, val = _blobs(apart=4), _blobs(apart=4)
    for model in (baselines.support_vectors(train, val, 3), baselines.regression(train, 3)):
        found = model.probabilities(val[0])
        assert (found.argmax(axis=1) == val[1]).mean() > 0.95
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_a_class_without_examples_gets_no_probability() -> None:
    train = _blobs(apart=4)
    assert (baselines.regression(train, 3).probabilities(train[0])[:, 1] == 0).all()


def test_a_class_of_too_few_examples_is_left_out_by_the_support_vectors() -> None:
    features, truth = _blobs(apart=4)
    truth[:2] = 1
    found = baselines.support_vectors((features, truth), (features, truth), 3).probabilities(features)
    assert (found[:, 1] == 0).all()
    assert (found.argmax(axis=1) == truth)[2:].mean() > 0.95


def test_nothing_is_said_of_no_cells() -> None:
    assert baselines.regression(_blobs(apart=1), 3).probabilities(np.empty((0, 3))).shape == (0, 3)
