import pytest
import torch

from worker.errors import BadRequestError
from worker.nets.architectures import build, channels_of
from worker.nets.classifier import Classifier
from worker.nets.widen import widened

NARROW = (3, 4, 5, 6, 7)
UNEVEN = (7, 8, 11, 6, 15)


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.randn((2, 3, 48, 48), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("arch", ["vgg16", "vgg19", "hybrid", "hybrid-merged"])
def test_the_wider_network_computes_the_same(arch: str, crops: torch.Tensor) -> None:
    narrow = _lived_in(build(arch, NARROW, 3))
    wide = widened(narrow, UNEVEN, 5)
    assert wide.channels == UNEVEN
    with torch.inference_mode():
        assert torch.allclose(wide(crops), narrow(crops), rtol=1e-3, atol=1e-4)


def test_copies_of_a_channel_learn_different_things(crops: torch.Tensor) -> None:
    wide = widened(_lived_in(build("vgg16", NARROW, 3)), (6, *NARROW[1:]), 5)
    wide(crops).square().sum().backward()
    first = next(wide.parameters())
    assert torch.equal(first[:3], first[3:])
    assert first.grad is not None
    assert not torch.allclose(first.grad[:3], first.grad[3:], rtol=0.05)


def test_only_more_channels_of_vgg_trunks_can_be_made() -> None:
    with pytest.raises(BadRequestError, match="cannot be widened to"):
        widened(build("vgg16", NARROW, 3), (2, *NARROW[1:]), 5)
    with pytest.raises(BadRequestError, match="only networks of VGG trunks"):
        widened(build("dcnn", channels_of("dcnn", 0.1), 3), channels_of("dcnn", 0.2), 5)


def _lived_in(net: Classifier) -> Classifier:
    """Return the network with statistics as after some training, in evaluation mode."""
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith(("running_mean", "bias")):
                value.copy_(torch.randn(value.shape, generator=draw) / 4)
            elif name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=draw) + 0.5)
    return net.eval()
