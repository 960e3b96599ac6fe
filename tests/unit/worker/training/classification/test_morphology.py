from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from db.records import CellClass
from tests.support.crops import dark, discs, one_of_each
from tests.support.models import card_of
from worker.cells.features import NAMES
from worker.cells.segment import CellMask
from worker.nets.architectures import build, channels_of
from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.training.classification import morphology
from worker.training.classification.called import called
from worker.training.classification.data import CLASSES, CropSet
from worker.training.classification.loop import untold

LARGE, SMALL = CellClass.PLASMA_CELL, CellClass.LYMPHOCYTE


def by_size(number: int, *, seed: int = 2) -> CropSet:
    """Return crops all alike to look at, of which the nuclei of one class were measured larger."""
    rng = np.random.default_rng(seed)
    labels = [frozenset({LARGE if row % 2 else SMALL}) for row in range(number)]
    crops = discs(labels)
    crops.pixels[:] = 230
    measured = rng.normal(20.0, 2.0, (number, len(NAMES))).astype(np.float32)
    measured[1::2, NAMES.index("nucleus_area_um2")] += 12.0
    return replace(crops, measured=measured)


@pytest.fixture
def net() -> Classifier:
    torch.manual_seed(1)
    return build("hybrid", channels_of("hybrid", 1 / 32), len(CLASSES)).eval()


@pytest.fixture
def card(net: Classifier) -> Card:
    return card_of(net, CLASSES)


def test_what_pictures_do_not_show_is_learnt_from_measurements(net: Classifier, card: Card) -> None:
    with_it = morphology.weighing(net, by_size(300), card)
    assert with_it.measures
    tested = by_size(60, seed=9)
    found = called(net, tested, with_it).probabilities
    large, small = (found[:, CLASSES.index(name)] for name in (LARGE, SMALL))
    assert ((large > small) == tested.allowed[:, CLASSES.index(LARGE)]).mean() > 0.95


def test_the_same_cells_and_seed_give_the_same_weights(net: Classifier, card: Card) -> None:
    states = []
    for _ in range(2):
        morphology.weighing(net, by_size(220), card)
        assert net.morphology is not None
        states.append(net.morphology.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_cells_that_were_not_found_are_not_learnt_from(net: Classifier, card: Card) -> None:
    crops = by_size(220)
    assert crops.measured is not None
    crops.measured[:5] = np.nan
    morphology.weighing(net, crops, card)
    assert net.morphology is not None
    assert all(weight.isfinite().all() for weight in net.morphology.state_dict().values())


def test_a_few_cells_are_no_ground_to_weigh_measurements(net: Classifier, card: Card) -> None:
    for crops in (by_size(morphology.LEAST - 1), replace(by_size(300), measured=None)):
        assert morphology.weighing(net, crops, card) == card
        assert net.morphology is None


def test_cells_are_measured_once_and_it_is_told_how_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(morphology, "_PIECE", 4)
    crops, told, looked = discs(one_of_each(2)), list[tuple[str, int, int]](), list[int]()

    def find(crop: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[CellMask]:
        looked.append(1)
        return dark(crop)

    first = morphology.with_measures(crops, tmp_path / "measures.npz", find, lambda *done: told.append(done))
    again = morphology.with_measures(crops, tmp_path / "measures.npz", find, untold)
    assert told == [("cells measured", 4, 6), ("cells measured", 6, 6)]
    assert len(looked) == 6
    assert first.measured is not None
    assert again.measured is not None
    np.testing.assert_array_equal(first.measured, again.measured)
    chosen = again.where(np.array([4, 1]))
    assert chosen.measured is not None
    np.testing.assert_array_equal(chosen.measured, first.measured[[4, 1]])


def test_other_crops_are_measured_anew_though_as_many(tmp_path: Path) -> None:
    one, other = discs(one_of_each(1)), discs(one_of_each(1), seed=8)
    kept = tmp_path / "measures.npz"
    first, second = (morphology.with_measures(crops, kept, dark, untold).measured for crops in (one, other))
    assert first is not None
    assert second is not None
    assert not np.array_equal(first, second)
