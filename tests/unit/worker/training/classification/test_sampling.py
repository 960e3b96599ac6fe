import numpy as np
import pytest
from numpy.typing import NDArray

from db.records import CellClass
from tests.support.crops import discs
from worker.training.classification.data import joined
from worker.training.classification.recipe import Recipe
from worker.training.classification.sampling import epoch, weights

LYMPHOCYTE = frozenset({CellClass.LYMPHOCYTE})
PLASMA = frozenset({CellClass.PLASMA_CELL})
BLAST = frozenset({CellClass.LYMPHOBLAST, CellClass.BLAST_OTHER})


def test_rare_and_common_labels_are_drawn_alike_and_partial_ones_half_as_often() -> None:
    crops = discs([LYMPHOCYTE] * 30 + [PLASMA] * 2 + [BLAST] * 5)
    chances, keys = weights(crops, Recipe()), crops.keys()
    share = {label: float(chances[keys == label].sum()) for label in np.unique(keys)}
    assert share == pytest.approx({"lymphocyte": 0.4, "plasma_cell": 0.4, "lymphoblast|blast_other": 0.2})


def test_labels_of_several_classes_are_drawn_as_often_as_the_recipe_says() -> None:
    crops = discs([LYMPHOCYTE] * 30 + [BLAST] * 5)
    chances, keys = weights(crops, Recipe(partial_weight=3.0)), crops.keys()
    assert float(chances[keys == "lymphoblast|blast_other"].sum()) == pytest.approx(0.75)


@pytest.mark.parametrize(("power", "share"), [(0.0, 0.5), (0.5, 0.8), (1.0, 16 / 17)])
def test_a_common_label_is_drawn_more_often_by_the_power_that_the_recipe_gives(power: float, share: float) -> None:
    crops = discs([LYMPHOCYTE] * 32 + [PLASMA] * 2)
    found = weights(crops, Recipe(label_power=power))[crops.keys() == "lymphocyte"].sum()
    assert float(found) == pytest.approx(share)


def test_a_large_source_outweighs_a_small_one_by_the_root_only() -> None:
    crops = joined([discs([PLASMA] * 16, source="large"), discs([PLASMA] * 4, source="small")])
    share = weights(crops, Recipe())[crops.source == "large"].sum()
    assert share == pytest.approx(2 / 3)


def test_a_photographed_source_outweighs_a_drawn_one() -> None:
    crops = joined([discs([PLASMA] * 4, source="drawn_cells"), discs([PLASMA] * 4, source="field")])
    assert weights(crops, Recipe())[crops.source == "field"].sum() == pytest.approx(0.7)


def test_classes_are_even_among_drawn_cells_whatever_the_photographed_ones_show() -> None:
    drawn = discs([PLASMA] * 3 + [LYMPHOCYTE] * 3, source="drawn_cells")
    crops = joined([drawn, discs([PLASMA] * 40, source="field")])
    of_drawn = weights(crops, Recipe())[:6]
    assert of_drawn[:3].sum() == pytest.approx(of_drawn[3:].sum())


def test_colours_change_as_far_as_the_recipe_says() -> None:
    crops = discs([LYMPHOCYTE, PLASMA] * 4)

    def spread(colour_change: float) -> float:
        recipe = Recipe(draws=40, batch=40, colour_change=colour_change)
        ((pixels, _),) = epoch(crops, recipe, 48, np.random.default_rng(9))
        return float(pixels.mean(axis=(2, 3)).std(axis=0).mean())

    assert spread(0.0) < spread(0.4) < spread(1.0)


def test_an_epoch_is_repeatable_and_complete() -> None:
    crops = discs([LYMPHOCYTE, PLASMA] * 4)

    def run() -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        return list(epoch(crops, Recipe(draws=10, batch=4), 48, np.random.default_rng(9)))

    first, second = run(), run()
    assert [len(allowed) for _, allowed in first] == [4, 4, 2]
    assert first[0][0].shape == (4, 3, 48, 48)
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first, second, strict=True))
