from __future__ import annotations

import pytest
import torch

from worker.errors import DeviceError
from worker.nets.device import chosen_device, is_broken_by


def test_only_an_error_of_the_accelerator_ends_the_use_of_the_device() -> None:
    assert is_broken_by(torch.AcceleratorError("CUDA error: device-side assert triggered"))
    assert not is_broken_by(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_broken_by(RuntimeError("a bug"))


@pytest.mark.parametrize("kind", ["meta", "xpu", "abacus"])
def test_another_kind_of_device_is_refused(kind: str) -> None:
    with pytest.raises(DeviceError, match="is no device"):
        chosen_device(kind)


def test_a_gpu_beyond_those_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert chosen_device("cuda:1").index == 1
    assert chosen_device("cuda").type == "cuda"
    with pytest.raises(DeviceError, match="this machine has 2: use cuda:0 to cuda:1"):
        chosen_device("cuda:99")
