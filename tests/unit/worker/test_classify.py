import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.support.models import weighing, write_tiny_model
from worker.cells.classify import classify, features
from worker.cells.features import NAMES
from worker.cells.preprocess import prepare
from worker.errors import ServiceError
from worker.nets.cards import Colour, Denoise
from worker.nets.outliers import Outliers
from worker.nets.registry import Model, load


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder)
    return load("tiny", folder, "cpu")


def _crops(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (number, 48, 48, 3), dtype=np.uint8)


def test_each_crop_gets_probabilities_that_sum_to_one(model: Model) -> None:
    calls = classify(_crops(5), model)
    assert calls.probabilities.shape == (5, len(model.card.classes))
    assert calls.probabilities.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert (calls.index == calls.probabilities.argmax(axis=1)).all()


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_crop_is_called_alike_alone_and_in_any_batch(model: Model, batch: int) -> None:
    crops = _crops(7)
    together = classify(crops, model).probabilities
    apart = classify(crops, model, batch=batch).probabilities
    assert np.abs(together - apart).max() < 1e-5


def test_calls_below_the_limit_are_abstained(model: Model) -> None:
    crops = _crops(6)
    best = classify(crops, model).probabilities.max(axis=1)
    limit = float(np.sort(best)[3])
    strict = replace(model, card=replace(model.card, abstain_below=limit))
    assert classify(crops, strict).abstained.sum() == 3


def test_a_higher_temperature_makes_calls_less_sure(model: Model) -> None:
    warm = replace(model, card=replace(model.card, temperature=4.0))
    crops = _crops(4)
    assert (classify(crops, warm).probabilities.max(axis=1) < classify(crops, model).probabilities.max(axis=1)).all()


def test_averaged_over_all_copies_a_call_does_not_know_how_a_cell_lies(model: Model) -> None:
    crops = _crops(3)
    on_its_side = np.ascontiguousarray(crops.transpose(0, 2, 1, 3))
    alone = [classify(one, model).probabilities for one in (crops, on_its_side)]
    all_round = replace(model, card=replace(model.card, turns=8))
    averaged = [classify(one, all_round).probabilities for one in (crops, on_its_side)]
    assert np.abs(alone[0] - alone[1]).max() > 1e-4
    assert np.abs(averaged[0] - averaged[1]).max() < 1e-5


def test_a_call_of_two_copies_is_the_mean_of_both(model: Model) -> None:
    crops = _crops(3)
    both = [classify(one, model).probabilities for one in (crops, np.ascontiguousarray(crops[:, ::-1, ::-1]))]
    two = replace(model, card=replace(model.card, turns=2))
    np.testing.assert_allclose(classify(crops, two).probabilities, sum(both) / 2, atol=1e-6)


def _measured(areas_um2: Sequence[float]) -> NDArray[np.float32]:
    out = np.zeros((len(areas_um2), len(NAMES)), dtype=np.float32)
    out[:, NAMES.index("nucleus_area_um2")] = areas_um2
    return out


def test_measurements_are_weighed_beside_the_picture(model: Model) -> None:
    crops, measured = _crops(3), _measured([43.0, 37.0, 40.0])
    both = weighing(model, 0.5)
    found = classify(crops, both, measured, batch=2).probabilities
    said = np.zeros((3, len(model.card.classes)))
    said[0, 0] = said[1, 1] = 3.0  # µm² beyond 40
    said -= np.log(np.exp(said).sum(axis=1, keepdims=True))
    expected = classify(crops, model).probabilities * np.exp(0.5 * said)
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)


def test_a_cell_that_was_not_measured_is_called_by_its_picture(model: Model) -> None:
    crops = _crops(2)
    alone = classify(crops, model).probabilities
    found = classify(crops, weighing(model, 0.5), _measured([math.nan, 45.0])).probabilities
    np.testing.assert_allclose(found[0], alone[0], atol=1e-6)
    assert np.abs(found[1] - alone[1]).max() > 0.01


def test_a_model_that_weighs_measurements_does_not_do_without(model: Model) -> None:
    for measured in (None, _measured([40.0])):
        with pytest.raises(ValueError, match=r"weighs \(2, 24\) measurements of cells"):
            classify(_crops(2), weighing(model, 0.5), measured)


@pytest.mark.parametrize(
    ("colour", "denoise"), [("lab", "none"), ("hsv", "none"), ("rgb", "median"), ("rgb", "gaussian"), ("lab", "median")]
)
def test_a_network_sees_the_colours_and_the_filter_that_its_card_asks_for(
    model: Model, colour: str, denoise: str
) -> None:
    crops = _crops(2)
    shown = prepare(crops, colour=Colour(colour), denoise=Denoise(denoise))
    other = replace(model, card=replace(model.card, colour=colour, denoise=denoise))
    assert (classify(crops, other).probabilities == classify(shown, model).probabilities).all()
    assert (classify(crops, other).probabilities != classify(crops, model).probabilities).any()


def test_no_crops_give_no_calls(model: Model) -> None:
    calls = classify(_crops(0), model)
    assert calls.probabilities.shape == (0, len(model.card.classes))
    assert calls.index.shape == calls.abstained.shape == (0,)


def _with_memory_for(crops: int, model: Model) -> Model:
    """Return the model on a device that has no memory for more crops at once."""
    honest = model.net.features

    class Scarce(type(model.net)):  # type: ignore[misc]
        def features(self, given: torch.Tensor) -> torch.Tensor:
            if len(given) > crops:
                raise torch.OutOfMemoryError
            return honest(given)

    net = copy.copy(model.net)
    net.__class__ = Scarce
    return replace(model, net=net)


@pytest.mark.parametrize("room", [1, 2, 6])
def test_without_memory_for_all_crops_at_once_they_are_called_in_parts(model: Model, room: int) -> None:
    crops = _crops(7)
    parted = classify(crops, _with_memory_for(room, model)).probabilities
    assert np.abs(parted - classify(crops, model).probabilities).max() < 1e-5


def test_without_memory_for_a_single_crop_the_run_is_tried_again_later(model: Model) -> None:
    with pytest.raises(ServiceError, match="no memory for one crop"):
        classify(_crops(3), _with_memory_for(0, model))


def test_crops_of_another_size_are_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="48"):
        classify(np.zeros((1, 80, 80, 3), dtype=np.uint8), model)


def test_larger_crops_are_brought_to_the_size_that_the_network_was_trained_at(model: Model) -> None:
    wide = replace(model, card=replace(model.card, crop_px=96, input_px=48))
    crops = np.repeat(np.repeat(_crops(3), 2, axis=1), 2, axis=2)
    assert (classify(crops, wide).probabilities == classify(_crops(3), model).probabilities).all()


def _with_outliers(model: Model, known: torch.Tensor, above: float) -> Model:
    """Return the model with statistics by which features like the given ones are known, and no others."""
    unit = torch.nn.functional.normalize(known, dim=1)
    outliers = Outliers(centre=torch.zeros(unit.shape[1]), projection=torch.eye(unit.shape[1]), means=unit)
    return replace(model, card=replace(model.card, outlying_above=above), outliers=outliers)


def test_crops_unlike_the_known_ones_are_outlying_and_abstained(model: Model) -> None:
    crops = np.concatenate([_crops(3), np.zeros((2, 48, 48, 3), dtype=np.uint8)])
    known = _with_outliers(model, features(crops[:3], model), 1e-6)
    calls = classify(crops, known, batch=2)
    assert calls.outlying.tolist() == [False, False, False, True, True]
    assert calls.abstained.tolist() == calls.outlying.tolist()


def test_an_outlying_crop_keeps_its_probabilities(model: Model) -> None:
    crops = _crops(2)
    calls = classify(crops, _with_outliers(model, -features(crops, model), 1e-6))
    assert calls.outlying.all()
    assert calls.probabilities == pytest.approx(classify(crops, model).probabilities, abs=1e-6)


def test_without_statistics_nothing_is_outlying(model: Model) -> None:
    assert not classify(_crops(3), model).outlying.any()
