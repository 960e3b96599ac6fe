import json
import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.support.crops import discs, one_of_each
from worker.errors import BadRequestError
from worker.nets.architectures import channels_of
from worker.training.classification.data import CropSet
from worker.training.classification.evaluate import balanced_accuracy, probabilities
from worker.training.classification.loop import Place, fit, partial_loss
from worker.training.classification.recipe import Recipe

TINY = Recipe(channels=channels_of("hybrid", 1 / 16), input_px=48, early_px=48, epochs=2, draws=24, batch=8, seed=3)


def test_a_partial_label_is_scored_on_the_sum_of_its_classes() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]]))
    both = partial_loss(logits, torch.tensor([[True, True, False]]), 0.0)
    assert both.item() == pytest.approx(-math.log(0.7))


def test_any_division_within_a_partial_label_is_equally_good() -> None:
    allowed = torch.tensor([[True, True, False]])
    losses = [partial_loss(torch.log(torch.tensor([row])), allowed, 0.0) for row in ([0.7, 0.1, 0.2], [0.1, 0.7, 0.2])]
    assert losses[0].item() == pytest.approx(losses[1].item())


def test_an_outlier_is_best_called_evenly() -> None:
    nothing = torch.tensor([[False, False, False]])
    even = partial_loss(torch.zeros(1, 3), nothing, 0.1)
    sure = partial_loss(torch.tensor([[4.0, 0.0, 0.0]]), nothing, 0.1)
    assert even.item() == pytest.approx(math.log(3))
    assert sure > even


def test_smoothing_keeps_a_little_probability_everywhere() -> None:
    sure, allowed = torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([[True, False, False]])
    assert partial_loss(sure, allowed, 0.1) > partial_loss(sure, allowed, 0.0)


@pytest.mark.slow
def test_a_tiny_network_learns_to_tell_discs(tmp_path: Path) -> None:
    crops = discs(one_of_each(12))
    recipe = replace(TINY, epochs=12, draws=96, peak_lr=3e-3, average=0.9)
    net = fit(crops, crops, recipe, Place(folder=tmp_path))
    assert balanced_accuracy(probabilities(net, crops, Recipe(input_px=48)), crops) > 0.8


def test_an_interrupted_training_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    crops = discs(one_of_each(4))
    whole = fit(crops, crops, TINY, Place(folder=tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        fit(crops, _stopping_at_the_second_look(crops), TINY, Place(folder=tmp_path / "halves"))
    assert (tmp_path / "halves" / "state-1.safetensors").is_file()
    resumed = fit(crops, crops, TINY, Place(folder=tmp_path / "halves"))
    same = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in same)


def test_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    crops = discs(one_of_each(2))
    once = replace(TINY, epochs=1, draws=8)
    fit(crops, crops, once, Place(folder=tmp_path))
    with pytest.raises(BadRequestError, match="another recipe"):
        fit(crops, crops, replace(once, peak_lr=1e-2), Place(folder=tmp_path))


@pytest.mark.parametrize(("colour_change", "goes_on"), [(1.0, True), (0.5, False)])
def test_a_recipe_that_was_kept_before_a_field_was_there_has_its_default(
    tmp_path: Path, colour_change: float, goes_on: bool
) -> None:
    crops, said = discs(one_of_each(2)), list[str]()
    once = replace(TINY, epochs=1, draws=8, colour_change=colour_change)
    fit(crops, crops, once, Place(folder=tmp_path), say=_quiet)
    notes = json.loads((tmp_path / "state.json").read_text())
    del notes["recipe"]["colour_change"]
    (tmp_path / "state.json").write_text(json.dumps(notes))
    with nullcontext() if goes_on else pytest.raises(BadRequestError, match="another recipe"):
        fit(crops, crops, once, Place(folder=tmp_path), say=said.append)
    assert said == (["going on after epoch 1"] if goes_on else [])


def test_no_pickle_is_written(tmp_path: Path) -> None:
    crops = discs(one_of_each(2))
    fit(crops, crops, replace(TINY, epochs=1, draws=8), Place(folder=tmp_path))
    kept = ["best.safetensors", "log.csv", "state-1.safetensors", "state.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == kept


def test_what_each_epoch_gave_is_logged(tmp_path: Path) -> None:
    crops, said = discs(one_of_each(2)), list[str]()
    fit(crops, crops, replace(TINY, draws=8), Place(folder=tmp_path), say=said.append)
    rows = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert rows[0] == ["epoch", "loss", "score", "seconds"]
    assert [row[0] for row in rows[1:]] == ["1", "2"]
    assert [line.split("  ")[0] for line in said] == ["epoch 1/2", "epoch 2/2"]


def test_initial_weights_are_begun_with(tmp_path: Path) -> None:
    crops = discs(one_of_each(2))
    still = replace(TINY, epochs=1, draws=8, peak_lr=0.0, weight_decay=0.0)
    first = fit(crops, crops, still, Place(folder=tmp_path / "first"), say=_quiet)
    weight = {k: v + 1 for k, v in first.state_dict().items() if k == "head.weight"}
    again = fit(crops, crops, still, Place(folder=tmp_path / "again", initial=weight), say=_quiet)
    assert torch.allclose(again.state_dict()["head.weight"], weight["head.weight"])
    with pytest.raises(BadRequestError, match=r"head\.weight"):
        fit(crops, crops, still, Place(folder=tmp_path / "bad", initial={"head.weight": torch.zeros(1)}), say=_quiet)


def test_a_training_has_as_many_classes_as_its_set(tmp_path: Path) -> None:
    crops = discs(one_of_each(2))
    two = replace(crops, classes=("a", "b"), allowed=np.stack([np.arange(6) % 2 == 0, np.arange(6) % 2 == 1], axis=1))
    net = fit(two, two, replace(TINY, epochs=1, draws=8, precision="bfloat16"), Place(folder=tmp_path), say=_quiet)
    assert probabilities(net, two, Recipe(input_px=48)).shape == (6, 2)


def _quiet(_: str) -> None:
    """Say nothing of a training."""


def _stopping_at_the_second_look(crops: CropSet) -> CropSet:
    """Return a validation set that stands for Ctrl-C in the second epoch."""
    looks = []

    class Stopping(CropSet):
        def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> CropSet:
            looks.append(1)
            if len(looks) == 2:
                raise KeyboardInterrupt
            return super().where(chosen)

    return Stopping(**vars(crops))
