import pytest
import torch

from worker.nets.architectures import channels_of
from worker.nets.classifier import pooled
from worker.nets.hybrid import FULL, QUARTER, Hybrid

TINY = channels_of("hybrid", 1 / 32)


def test_the_trunks_have_the_convolutions_of_vgg16_and_vgg19() -> None:
    net = Hybrid(TINY, 3)
    counts = [sum(isinstance(layer, torch.nn.Conv2d) for layer in trunk) for trunk in (net.vgg16, net.vgg19)]
    assert counts == [13, 16]


def test_a_batch_gives_one_row_of_logits_per_crop() -> None:
    assert Hybrid(TINY, 5).eval()(torch.zeros(2, 3, 80, 80)).shape == (2, 5)


def test_features_of_both_trunks_are_concatenated() -> None:
    net = Hybrid(TINY, 2).eval()
    assert net.features(torch.zeros(1, 3, 80, 80)).shape == (1, 4 * TINY[-1])


def test_a_width_of_one_is_the_published_network() -> None:
    assert channels_of("hybrid", 1) == FULL
    with torch.device("meta"):
        net = Hybrid(FULL, 14)
    assert sum(p.numel() for p in net.vgg16.parameters() if p.dim() == 4) == 14_710_464


def test_the_quarter_network_fits_four_megabytes_in_half_precision() -> None:
    net = Hybrid(QUARTER, 14)
    size = sum(value.numel() * (2 if value.dim() > 1 else 4) for value in net.state_dict().values())
    assert size + 40_000 < 4_000_000


def test_the_last_stage_may_be_narrower_than_the_fourth() -> None:
    net = Hybrid((2, 2, 2, 4, 3), 2)
    assert [layer.out_channels for layer in net.vgg16 if isinstance(layer, torch.nn.Conv2d)][-3:] == [3, 3, 3]


def test_a_trunk_has_five_stages() -> None:
    with pytest.raises(ValueError, match="five stages"):
        Hybrid((8, 8), 2)


def test_the_middle_of_the_crop_weighs_more_than_its_border() -> None:
    maps = torch.zeros(2, 1, 5, 5)
    maps[0, 0, 2, 2] = 1
    maps[1, 0, 0, 0] = 1
    middle, corner = pooled(maps).sum(dim=1)
    assert middle > corner > 0
