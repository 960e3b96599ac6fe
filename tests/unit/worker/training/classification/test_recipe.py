import math

import pytest
from pydantic import TypeAdapter, ValidationError

from worker.training.classification.recipe import Recipe, bounded


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"draws": 0},
        {"batch": 0},
        {"patience": 0},
        {"crop_px": 113},
        {"input_px": 0},
        {"std": (0.1, 0.0, 0.1)},
        {"mean": (math.nan, 0.5, 0.5)},
        {"peak_lr": -1.0},
        {"peak_lr": math.nan},
        {"weight_decay": math.inf},
        {"early_share": 1.1},
        {"smoothing": 1.0},
        {"average": 1.0},
        {"seed": -1},
    ],
)
def test_a_recipe_that_cannot_be_followed_is_none(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Recipe).validate_python(change)


@pytest.mark.parametrize(("crops", "draws"), [(10, 240), (124, 2976), (125, 3000), (20_000, 3000)])
def test_only_a_few_crops_are_drawn_less_often_than_the_recipe_says(crops: int, draws: int) -> None:
    assert bounded(Recipe(), crops) == Recipe(draws=draws)


def test_the_recipe_as_it_is_can_be_followed() -> None:
    assert Recipe(peak_lr=0.0).epochs > 0
