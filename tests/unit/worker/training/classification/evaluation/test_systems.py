from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.crops import discs, one_of_each
from tests.support.evaluations import TINY, small_sets
from worker.errors import BadRequestError
from worker.nets.classifier import Classifier
from worker.training.classification.evaluation import systems, tasks
from worker.training.classification.evaluation.profiles import Norm, tuning

TALEQANI, PBC = (tasks.chosen((name,))[0] for name in ("taleqani", "pbc"))
RECIPE = tuning(TINY, "hybrid", Norm(), crops=24, seed=1)


class _Corner(Classifier):
    """Says how bright the upper left quarter of a crop is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.seen: list[Tensor] = []

    def forward(self, crops: Tensor) -> Tensor:
        side = crops.shape[-1] // 2
        bright = crops[:, :, :side, :side].mean(dim=(1, 2, 3)) * self.weight
        self.seen.append(crops.clone())
        return torch.stack([bright, -bright], dim=1)


def test_all_are_the_eight_systems_of_the_comparison() -> None:
    assert systems.chosen(("all",)) == systems.SYSTEMS
    assert len(systems.SYSTEMS) == 8
    assert systems.chosen(("colour", "hybrid")) == ("hybrid", "colour")


def test_an_unknown_system_is_refused() -> None:
    with pytest.raises(BadRequestError, match="no system is called vgg11"):
        systems.chosen(("vgg11", "svm"))


def test_turned_copies_are_all_different_and_their_mean_does_not_know_how_a_crop_lies() -> None:
    crops = replace(discs(one_of_each(2)), classes=("bright", "dark"), allowed=np.eye(2, dtype=np.bool_)[[0] * 6])
    crops.pixels[:, :56, :56] //= 2
    net = _Corner()
    found = systems.seen_turned(net, crops, RECIPE, 8)
    assert len({seen.numpy().tobytes() for seen in net.seen}) == 8
    upside_down = replace(crops, pixels=np.ascontiguousarray(crops.pixels[:, ::-1]))
    # The middle of an even side lies between two pixels, so that a turned crop is cut half a pixel off.
    np.testing.assert_allclose(systems.seen_turned(net, upside_down, RECIPE, 8), found, atol=0.02)
    assert np.abs(systems.seen_turned(net, upside_down, RECIPE, 1) - found).max() > 0.1


def test_a_field_is_called_by_the_mean_of_its_cells() -> None:
    own = tasks.asked(small_sets(), TALEQANI)
    found = np.tile(np.array([[0.9, 0.1], [0.5, 0.5]], dtype=np.float32), (len(own) // 2, 1))
    said = systems.called((own, found), (own, found), TALEQANI)
    assert said.temperature == 1.0  # too few fields to fit one
    np.testing.assert_allclose(said.probabilities, [[0.7, 0.3]] * (len(own) // 2), rtol=1e-5)
    assert len(said.first) == len(own) // 2


def test_a_temperature_comes_from_the_validation_part_alone() -> None:
    own = tasks.asked(small_sets(), PBC)
    sure = np.where(own.allowed, 0.8, 0.1).astype(np.float32)
    wrong = np.roll(sure, 1, axis=1)
    timid = systems.called((own, wrong), (own, sure), PBC)
    bold = systems.called((own, sure), (own, sure), PBC)
    assert timid.temperature > 1 > bold.temperature
    assert (timid.probabilities.max(axis=1) < sure.max(axis=1)).all()
    np.testing.assert_allclose(timid.probabilities.sum(axis=1), 1, rtol=1e-5)
