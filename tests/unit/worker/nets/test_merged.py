import pytest
import torch
from torch import Tensor, nn

from worker.nets.architectures import build, initial_hybrid, merged_state
from worker.nets.classifier import Classifier
from worker.nets.merged import corresponding_layers

CHANNELS = (3, 4, 5, 6, 7)


def test_every_layer_of_vgg16_has_a_partner_in_vgg19() -> None:
    of16, of19 = zip(*corresponding_layers(), strict=True)
    trunk = _source("vgg16", 0).trunk
    assert isinstance(trunk, nn.Sequential)
    weighted = [place for place, layer in enumerate(trunk) if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    assert sorted(of16) == weighted
    assert len(set(of19)) == len(of19)


def test_corresponding_layers_stand_at_the_same_place_of_the_same_stage() -> None:
    of16, of19 = _by_stage(_source("vgg16", 0)), _by_stage(_source("vgg19", 0))
    pairs = {place: partner for place, partner in corresponding_layers() if place in of16.values()}
    assert pairs == {of16[where]: of19[where] for where in of16}


def test_averaged_layers_equal_the_mean_of_their_sources() -> None:
    vgg16, vgg19 = _source("vgg16", 1).state_dict(), _source("vgg19", 2).state_dict()
    merged = merged_state(vgg16, vgg19)
    for place16, place19 in corresponding_layers():
        for what in _tensors_at(place19, vgg19):
            first, second = vgg16[f"trunk.{place16}.{what}"], vgg19[f"trunk.{place19}.{what}"]
            torch.testing.assert_close(merged[f"trunk.{place19}.{what}"], (first + second) / 2, rtol=0, atol=1e-7)
            assert not torch.equal(first, second)


def test_the_extra_layers_of_vgg19_are_kept() -> None:
    vgg19 = _source("vgg19", 2)
    merged = merged_state(_source("vgg16", 1).state_dict(), vgg19.state_dict())
    extra = [place for where, place in _by_stage(vgg19).items() if where[1] == 3]
    assert len(extra) == 3
    for place in [at for conv in extra for at in (conv, conv + 1)]:
        for what in _tensors_at(place, vgg19.state_dict()):
            assert torch.equal(merged[f"trunk.{place}.{what}"], vgg19.state_dict()[f"trunk.{place}.{what}"])


def test_sources_that_agree_give_vgg19_exactly() -> None:
    vgg16, vgg19 = _source("vgg16", 1), _source("vgg19", 2)
    agreeing = vgg16.state_dict()
    for place16, place19 in corresponding_layers():
        for what in _tensors_at(place19, vgg19.state_dict()):
            agreeing[f"trunk.{place16}.{what}"] = vgg19.state_dict()[f"trunk.{place19}.{what}"]
    net = build("hybrid-merged", CHANNELS, 2).eval()
    net.load_state_dict({**merged_state(agreeing, vgg19.state_dict()), **_head(vgg19)})
    crops = torch.rand(2, 3, 64, 64)
    called = net(crops)
    assert torch.isfinite(called).all()
    assert torch.equal(called, vgg19(crops))


def test_the_merged_state_is_the_whole_trunk_and_no_head() -> None:
    merged = merged_state(_source("vgg16", 1).state_dict(), _source("vgg19", 2).state_dict())
    net = build("hybrid-merged", CHANNELS, 2)
    assert set(net.state_dict()) - set(merged) == {"head.weight", "head.bias"}


def test_the_sources_stay_as_they_are() -> None:
    vgg16, vgg19 = _source("vgg16", 1).state_dict(), _source("vgg19", 2).state_dict()
    before = {key: value.clone() for key, value in vgg19.items()}
    for value in merged_state(vgg16, vgg19).values():
        value.zero_()
    assert all(torch.equal(value, before[key]) for key, value in vgg19.items())


def test_networks_of_two_widths_are_not_merged() -> None:
    wider = build("vgg16", (4, 4, 5, 6, 7), 2).state_dict()
    with pytest.raises(ValueError, match="in VGG19"):
        merged_state(wider, _source("vgg19", 2).state_dict())


def test_a_parallel_hybrid_starts_from_both_trunks() -> None:
    vgg16, vgg19 = _source("vgg16", 1), _source("vgg19", 2)
    net = build("hybrid", CHANNELS, 2).eval()
    missing = net.load_state_dict(initial_hybrid(vgg16.state_dict(), vgg19.state_dict()), strict=False)
    assert (set(missing.missing_keys), missing.unexpected_keys) == ({"head.weight", "head.bias"}, [])
    crops = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(net.features(crops), torch.cat([vgg16.features(crops), vgg19.features(crops)], dim=1))


def _source(arch: str, seed: int) -> Classifier:
    """Return a small network in which no tensor has the value that it starts with, batch norm's neither."""
    drawn = torch.Generator().manual_seed(seed)
    net = build(arch, CHANNELS, 2).eval()
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=drawn) * 0.5 + 0.25)
    return net.requires_grad_(requires_grad=False)


def _by_stage(net: Classifier) -> dict[tuple[int, int], int]:
    """Return the place of each convolution by its stage and its number in the stage."""
    assert isinstance(net.trunk, nn.Sequential)
    places: dict[tuple[int, int], int] = {}
    stage, number = 0, 0
    for place, layer in enumerate(net.trunk):
        if isinstance(layer, nn.MaxPool2d):
            stage, number = stage + 1, 0
        if isinstance(layer, nn.Conv2d):
            places[stage, number] = place
            number += 1
    return places


def _tensors_at(place: int, state: dict[str, Tensor]) -> list[str]:
    names = [key.rpartition(".")[2] for key in state if key.startswith(f"trunk.{place}.")]
    return [name for name in names if name != "num_batches_tracked"]


def _head(net: Classifier) -> dict[str, Tensor]:
    return {key: value for key, value in net.state_dict().items() if key.startswith("head.")}
