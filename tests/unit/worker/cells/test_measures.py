from __future__ import annotations

import numpy as np
import pytest

from tests.support.crops import dark, discs, one_of_each
from worker.cells import features, measures
from worker.errors import ModelError

ONE = {name: float(number) for number, name in enumerate(features.NAMES)}


def test_a_crop_is_measured_by_the_cell_in_its_middle() -> None:
    crops = discs(one_of_each(1)).pixels
    measured = measures.of_crops(crops, 0.25, dark)
    by_hand = features.measure(crops[1], dark(crops[1])[0], 0.25)
    assert measured[1].tolist() == pytest.approx([by_hand[name] for name in features.NAMES], rel=1e-6)


def test_a_crop_without_a_cell_near_its_middle_has_no_measurements() -> None:
    crops = discs(one_of_each(1)).pixels
    crops[0] = 230
    crops[1] = np.roll(crops[1], 30, axis=1)
    assert np.isnan(measures.of_crops(crops, 0.25, dark)).all(axis=1).tolist() == [True, True, False]


def test_features_come_in_the_order_of_their_names_however_a_cell_holds_them() -> None:
    backwards = dict(reversed(ONE.items()))
    assert measures.rows([backwards]).tolist() == [list(ONE.values())]
    assert measures.rows([]).shape == (0, len(features.NAMES))


def test_of_colours_only_the_step_from_cytoplasm_to_nucleus_is_weighed() -> None:
    assert not [name for name in measures.NAMES if name.endswith("_mean")]
    darker = {**ONE, "nucleus_g_mean": 60.0, "cytoplasm_g_mean": 150.0}
    (found,) = measures.chosen(measures.rows([darker]), ("step_g", "solidity")).tolist()
    assert found == [-90.0, ONE["solidity"]]


def test_a_stain_that_shifts_all_colours_alike_shifts_no_measure() -> None:
    paler = {name: value + (20 if name.endswith("_mean") else 0) for name, value in ONE.items()}
    plain, shifted = (measures.chosen(measures.rows([one]), measures.NAMES) for one in (ONE, paler))
    np.testing.assert_array_equal(plain, shifted)


def test_a_measure_of_a_newer_version_is_named() -> None:
    with pytest.raises(ModelError, match=r"weighs roundness_of_2030.*newer version"):
        measures.chosen(measures.rows([ONE]), ("solidity", "roundness_of_2030"))
