from __future__ import annotations

import pytest
import torch

from worker.errors import ModelError
from worker.nets.device import chosen_device, is_broken_by


def test_only_an_error_of_the_accelerator_ends_the_use_of_the_device() -> None:
    assert is_broken_by(torch.AcceleratorError("CUDA error: device-side assert triggered"))
    assert not is_broken_by(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_broken_by(RuntimeError("a bug"))


def test_a_name_that_is_no_device_is_refused() -> None:
    with pytest.raises(ModelError, match="gpu-of-mine"):
        chosen_device("gpu-of-mine")
