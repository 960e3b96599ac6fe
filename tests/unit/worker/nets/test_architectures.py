import pytest
import torch

from worker.nets.architectures import NETWORKS, build, channels_of
from worker.nets.guard import torchvision_resnet

PUBLISHED_CONVOLUTIONS = {"vgg16": 13, "vgg19": 16, "resnet50": 53, "hybrid": 29, "hybrid-merged": 16}


@pytest.mark.parametrize("arch", NETWORKS)
def test_a_batch_gives_one_row_of_logits_per_crop(arch: str) -> None:
    net = build(arch, channels_of(arch, 1 / 32), 5).eval()
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    assert net.features(torch.zeros(1, 3, 80, 80)).shape == (1, net.head.in_features)


@pytest.mark.parametrize("arch", NETWORKS)
@pytest.mark.parametrize("side", [32, 48, 96])
def test_small_crops_are_called(arch: str, side: int) -> None:
    net = build(arch, channels_of(arch, 1 / 32), 3).eval()
    assert torch.isfinite(net(torch.rand(1, 3, side, side))).all()


@pytest.mark.parametrize("arch", NETWORKS)
def test_a_network_says_of_what_it_was_built(arch: str) -> None:
    channels = channels_of(arch, 1 / 16)
    net = build(arch, channels, 2, dropout=0.1)
    assert (net.arch, net.channels, net.dropout.p) == (arch, channels, 0.1)
    again = build(net.arch, net.channels, 2)
    again.load_state_dict(net.state_dict())


@pytest.mark.parametrize("arch", PUBLISHED_CONVOLUTIONS)
def test_the_published_number_of_convolutions(arch: str) -> None:
    with torch.device("meta"):
        net = build(arch, channels_of(arch, 1.0), 2)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in net.modules()) == PUBLISHED_CONVOLUTIONS[arch]


def test_the_full_resnet50_has_torchvisions_layers_and_shapes() -> None:
    with torch.device("meta"):
        published = torchvision_resnet().resnet50().state_dict()
        net = build("resnet50", channels_of("resnet50", 1.0), 2)
    wanted = {f"trunk.{key}": value.shape for key, value in published.items() if not key.startswith("fc.")}
    assert {k: v.shape for k, v in net.state_dict().items() if not k.startswith("head.")} == wanted


def test_resnet50_computes_what_torchvisions_does() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = build("resnet50", channels_of("resnet50", 1.0), 2).eval()
        crops = torch.rand(1, 3, 32, 32)
    published = torchvision_resnet().resnet50().eval()
    published.fc = torch.nn.Identity()
    state = {k.removeprefix("trunk."): v for k, v in net.state_dict().items() if k.startswith("trunk.")}
    published.load_state_dict(state)
    with torch.inference_mode():
        torch.testing.assert_close(net.features(crops)[:, :2048], published(crops))


@pytest.mark.parametrize("arch", NETWORKS)
def test_every_width_follows_the_multiplier(arch: str) -> None:
    full, quarter = (sum(p.numel() for p in _on_meta(arch, width).parameters()) for width in (1.0, 0.25))
    assert 12 < full / quarter < 17


def test_the_dense_network_is_compact() -> None:
    dense, plain = (sum(p.numel() for p in _on_meta(arch, 1.0).parameters()) for arch in ("dcnn", "vgg16"))
    assert dense < plain / 40


def test_an_unknown_network_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"'alexnet'.*vgg16"):
        channels_of("alexnet", 1.0)


@pytest.mark.parametrize("arch", NETWORKS)
def test_channels_of_another_network_are_refused(arch: str) -> None:
    with pytest.raises(ValueError, match="positive channels"):
        build(arch, (8, 8, 8), 2)
    with pytest.raises(ValueError, match="positive channels"):
        build(arch, (0,) * len(channels_of(arch, 1.0)), 2)


def _on_meta(arch: str, width: float) -> torch.nn.Module:
    with torch.device("meta"):
        return build(arch, channels_of(arch, width), 2)
