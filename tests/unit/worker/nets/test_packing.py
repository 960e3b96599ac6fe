import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.nets.architectures import build, channels_of
from worker.nets.cards import FLOAT16, INT8
from worker.nets.packing import packed, round_as_stored, unpacked


@given(st.integers(0, 2**31), st.floats(1e-6, 1e4))
def test_a_byte_is_off_by_half_a_step_of_its_channel_at_most(seed: int, size: float) -> None:
    weight = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(seed)) * size
    back = unpacked(packed({"weight": weight}, INT8), INT8)["weight"]
    step = weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
    assert ((back - weight).abs() <= 0.5001 * step).all()


@given(st.integers(0, 2**31), st.sampled_from([FLOAT16, INT8]))
def test_what_was_rounded_once_is_not_changed_again(seed: int, stored: str) -> None:
    state = {"weight": torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(seed)) * 0.01}
    once = unpacked(packed(state, stored), stored)
    twice = unpacked(packed(once, stored), stored)
    assert torch.equal(once["weight"], twice["weight"])


def test_each_output_channel_has_a_scale_of_its_own() -> None:
    weight = torch.full((2, 1, 1, 1), 1.0)
    weight[1] = 1e-4
    back = unpacked(packed({"weight": weight}, INT8), INT8)["weight"]
    torch.testing.assert_close(back, weight, rtol=0.003, atol=0)


def test_a_channel_of_zeros_stays_one() -> None:
    back = unpacked(packed({"weight": torch.zeros(2, 3, 1, 1)}, INT8), INT8)["weight"]
    assert torch.equal(back, torch.zeros(2, 3, 1, 1))


def test_bytes_are_of_convolutions_only() -> None:
    tensors = packed(build("resnet50", channels_of("resnet50", 1 / 32), 3).state_dict(), INT8)
    kinds = {value.dtype for key, value in tensors.items() if value.dim() == 4}
    assert kinds == {torch.int8}
    assert tensors["head.weight"].dtype == torch.float16
    assert tensors["trunk.bn1.running_var"].dtype == torch.float32
    assert tensors["trunk.conv1.weight_scale"].dtype == torch.float32


def test_half_precision_is_of_weights_only() -> None:
    tensors = packed(build("vgg16", channels_of("vgg16", 1 / 32), 3).state_dict(), FLOAT16)
    assert {value.dtype for value in tensors.values() if value.dim() > 1} == {torch.float16}
    assert {value.dtype for value in tensors.values() if value.dim() == 1} == {torch.float32}


def test_the_full_hybrid_takes_thirty_five_megabytes_as_bytes() -> None:
    with torch.device("meta"):
        full = build("hybrid", channels_of("hybrid", 1.0), 13).state_dict()
    narrow = packed(build("hybrid", channels_of("hybrid", 1 / 32), 13).state_dict(), INT8)
    held = sum(full[key].numel() * narrow[key].element_size() for key in full)
    scales = sum(4 * value.shape[0] for value in full.values() if value.dim() == 4)
    assert 34_700_000 < held + scales < 35_500_000


def test_a_network_is_rounded_in_place() -> None:
    net = build("dcnn", channels_of("dcnn", 0.25), 3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    round_as_stored(net, INT8)
    after = net.state_dict()
    assert not torch.equal(after["trunk.conv0.weight"], before["trunk.conv0.weight"])
    assert torch.equal(after["trunk.norm0.weight"], before["trunk.norm0.weight"])
    assert after["trunk.conv0.weight"].dtype == torch.float32


def test_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="'int4'"):
        packed({}, "int4")
    with pytest.raises(ValueError, match="not stored as int8"):
        unpacked({"weight": torch.zeros(1)}, INT8)
    with pytest.raises(ValueError, match=r"weight has no scales"):
        unpacked({"weight": torch.zeros(1, 1, 1, 1, dtype=torch.int8)}, INT8)
