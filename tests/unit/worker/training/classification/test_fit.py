from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.crops import discs, one_of_each
from tests.support.grained import grained
from worker.cells.classify import classify
from worker.errors import BadRequestError
from worker.nets.architectures import channels_of
from worker.nets.registry import load
from worker.training.augment import centred
from worker.training.classification import fit, recipe
from worker.training.classification.begin import Begin
from worker.training.classification.data import joined, store
from worker.training.classification.evaluate import probabilities
from worker.training.classification.recipe import Recipe

TINY = Recipe(
    channels=channels_of("hybrid", 1 / 16), crop_px=48, input_px=48, early_px=48, epochs=1, draws=16, batch=8, seed=3
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights of one tiny training on made-up crops."""
    folder = tmp_path_factory.mktemp("trained")
    outliers = [frozenset()] * 6  # type: list[frozenset[object]]
    crops = joined(
        [grained(discs([*one_of_each(12), *outliers])), discs(one_of_each(12), source="drawn_cells")]  # type: ignore[list-item]
    )
    (folder / "work").mkdir()
    store(crops, folder / "work" / "crops.npz")
    fit.train_classifier(_training(folder), print)
    return folder


def test_training_ends_in_weights_that_the_product_loads(trained: Path) -> None:
    model = load("tiny-trained", trained, "cpu")
    assert model.card.crop_px == 48
    assert model.card.data["train"]["discs"] > 0
    assert model.card.terms == "Trained with discs: terms not known here."


def test_the_product_calls_crops_as_the_figures_were_made(trained: Path) -> None:
    model, crops = load("tiny-trained", trained, "cpu"), discs(one_of_each(2))
    middles = np.stack([centred(p, 48) for p in crops.pixels])
    told = classify(middles, model).probabilities
    assert told == pytest.approx(
        probabilities(model.net, crops, Recipe(crop_px=48, input_px=48), temperature=model.card.temperature), abs=1e-5
    )


def test_the_figures_keep_drawn_cells_apart_and_stand_beside_the_baseline(trained: Path) -> None:
    figures = load("tiny-trained", trained, "cpu").card.figures
    assert figures["photographed"]["sources"].keys() == {"discs"}
    assert figures["drawn"]["sources"].keys() == {"drawn_cells"}
    assert 0 <= figures["colour_only_baseline_balanced_accuracy"] <= 1


def test_the_model_card_says_what_the_weights_are_not_for(trained: Path) -> None:
    text = (trained / "tiny-trained.md").read_text(encoding="utf-8")
    assert "Research use only, not for diagnostic procedures" in text
    assert "## Limits" in text
    assert "| discs |" in text


def test_a_tiny_set_is_gone_through_a_few_times_an_epoch_and_it_is_told_how_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "MOST_DRAWS_OF_A_CROP", 1)
    crops = joined([grained(discs(one_of_each(12))), discs(one_of_each(12), source="drawn_cells")])
    (tmp_path / "work").mkdir()
    store(crops, tmp_path / "work" / "crops.npz")
    said, told = list[str](), list[tuple[int, int]]()
    training = replace(_training(tmp_path), recipe=replace(TINY, draws=3000))

    def remember(what: str, done: int, total: int) -> None:
        if what == "crops of the epoch":
            told.append((done, total))

    card = fit.train_classifier(training, said.append, remember).card
    number = sum(card.data["train"].values())
    assert told[-1] == (number, number)
    assert [done for done, _ in told] == [*range(8, number, 8), number]
    assert f"few crops: an epoch draws {number} of them instead of 3000" in said
    assert f"at most 1 epochs of {number} crops" in card.limits


def test_the_command_needs_data_it_knows(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="is no data set"):
        fit.train_classifier(_training(tmp_path), print)


def test_a_wider_network_goes_on_from_a_narrower_one(trained: Path) -> None:
    wider = replace(TINY, channels=tuple(2 * c for c in TINY.channels), peak_lr=0.0, weight_decay=0.0)
    training = replace(
        _training(trained),
        out=trained / "wide.safetensors",
        begin=Begin(files=(trained / "tiny-trained.safetensors",)),
        recipe=wider,
    )
    (trained / "work2").mkdir()
    (trained / "work2" / "crops.npz").write_bytes((trained / "work" / "crops.npz").read_bytes())
    fit.train_classifier(replace(training, work=trained / "work2"), print)
    narrow, wide = (load(name, trained, "cpu") for name in ("tiny-trained", "wide"))
    assert wide.card.channels == wider.channels
    assert "beginning with tiny-trained.safetensors" in wide.card.limits
    assert narrow.card.stored == wide.card.stored == "int8"


def test_weights_of_another_network_are_not_begun_with(trained: Path) -> None:
    other = replace(TINY, arch="vgg16")
    training = replace(_training(trained), begin=Begin(files=(trained / "tiny-trained.safetensors",)), recipe=other)
    with pytest.raises(BadRequestError, match="is a hybrid of 13 classes"):
        fit.train_classifier(training, print)


def test_a_work_folder_is_not_gone_on_with_for_another_training(trained: Path) -> None:
    for other in (replace(_training(trained), drawn=False), replace(_training(trained), data=(trained.parent,))):
        with pytest.raises(BadRequestError, match="holds a training of something else"):
            fit.train_classifier(other, print)


def _training(folder: Path) -> fit.Training:
    return fit.Training(
        data=(folder,), out=folder / "tiny-trained.safetensors", work=folder / "work", device="cpu", recipe=TINY
    )
