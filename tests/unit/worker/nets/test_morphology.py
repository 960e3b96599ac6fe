import math

import pytest
import torch

from worker.nets.morphology import Morphology


@pytest.fixture
def net() -> Morphology:
    torch.manual_seed(4)
    return Morphology(3, 5).eval()


def test_it_gives_log_probabilities(net: Morphology) -> None:
    said = net(torch.randn(7, 3))
    assert said.exp().sum(dim=1).tolist() == pytest.approx([1.0] * 7, abs=1e-5)


def test_it_has_nothing_to_say_of_a_cell_that_was_not_measured(net: Morphology) -> None:
    said = net(torch.tensor([[0.1, math.nan, 0.2], [0.1, 0.3, 0.2]]))
    assert said[0].tolist() == [0.0] * 5
    assert said[1].max() < 0


def test_a_measurement_out_of_all_proportion_counts_as_a_far_one(net: Morphology) -> None:
    net.scale.fill_(2.0)
    net.centre.fill_(1.0)
    far, farther = net(torch.tensor([[11.0, 1.0, 1.0], [1e9, 1.0, 1.0]]))
    assert torch.equal(far, farther)
