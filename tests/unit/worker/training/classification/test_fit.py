from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.crops import discs, one_of_each
from worker.cells.classify import classify
from worker.nets.hybrid import Hybrid, scaled
from worker.nets.registry import load
from worker.training.augment import centred
from worker.training.classification import fit
from worker.training.classification.data import joined, store
from worker.training.classification.evaluate import probabilities
from worker.training.classification.recipe import Recipe

TINY = Recipe(channels=scaled(1 / 16), crop_px=48, input_px=48, early_px=48, epochs=1, draws=16, batch=8, seed=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights of one tiny training on made-up crops."""
    folder = tmp_path_factory.mktemp("trained")
    outliers = [frozenset()] * 6  # type: list[frozenset[object]]
    crops = joined([discs([*one_of_each(12), *outliers]), discs(one_of_each(12), source="drawn_cells")])  # type: ignore[list-item]
    (folder / "work").mkdir()
    store(crops, folder / "work" / "crops.npz")
    fit.train_classifier(folder, folder / "tiny-trained.safetensors", folder / "work", TINY)
    return folder


def test_training_ends_in_weights_that_the_product_loads(trained: Path) -> None:
    model = load("tiny-trained", trained, "cpu")
    assert model.card.crop_px == 48
    assert model.card.data["train"]["discs"] > 0
    assert "non-commercial" in model.card.terms


def test_the_product_calls_crops_as_the_figures_were_made(trained: Path) -> None:
    model, crops = load("tiny-trained", trained, "cpu"), discs(one_of_each(2))
    middles = np.stack([centred(p, 48) for p in crops.pixels])
    told = classify(middles, model).probabilities
    assert told == pytest.approx(
        probabilities(model.net, crops, 48, crop_px=48, temperature=model.card.temperature), abs=1e-5
    )


def test_the_figures_keep_drawn_cells_apart_and_stand_beside_the_baseline(trained: Path) -> None:
    figures = load("tiny-trained", trained, "cpu").card.figures
    assert figures["photographed"]["sources"].keys() == {"discs"}
    assert figures["drawn"]["sources"].keys() == {"drawn_cells"}
    assert 0 <= figures["colour_only_baseline_balanced_accuracy"] <= 1


def test_figures_are_made_with_the_weights_as_the_file_holds_them() -> None:
    net = Hybrid(scaled(1 / 16), 3)
    fit.halve(net)
    kernels = [weight for weight in net.parameters() if weight.dim() > 1]
    assert all(torch.equal(weight, weight.half().float()) for weight in kernels)


def test_the_model_card_says_what_the_weights_are_not_for(trained: Path) -> None:
    text = (trained / "tiny-trained.md").read_text(encoding="utf-8")
    assert "Research use only, not for diagnostic procedures" in text
    assert "## Limits" in text
    assert "| discs |" in text


def test_the_command_needs_data_it_knows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds none of"):
        fit.train_classifier(tmp_path, tmp_path / "x.safetensors", tmp_path / "work", replace(TINY, seed=4))
