"""How weights lie in their file: convolutions in half precision, or as bytes with one scale per output channel.

Bytes are symmetric: weight = byte x scale, -127..127, the scale being that of the channel's largest weight (Jacob et
al. 2018, section 2.1, weights only). They are turned back when a file is loaded; all computing is in float32. Batch
norm and biases stay float32 in both forms, and the head, which is small and nearest to the call, half precision.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from worker.nets.cards import FLOAT16, INT8

_SCALE = "_scale"  # the scales of `conv.weight` are called `conv.weight_scale`
_MOST = 127


def packed(state: Mapping[str, Tensor], stored: str) -> dict[str, Tensor]:
    """Return the tensors to write for a network's state, on the CPU; `stored` is FLOAT16 or INT8."""
    if stored not in (FLOAT16, INT8):
        raise ValueError(f"weights are stored as {FLOAT16} or {INT8}, not {stored!r}")
    tensors: dict[str, Tensor] = {}
    for key, value in state.items():
        weight = value.detach().cpu()
        if stored == INT8 and weight.dim() == 4:
            tensors[key], tensors[key + _SCALE] = _bytes_of(weight)
        else:
            tensors[key] = (weight.half() if weight.dim() > 1 else weight).contiguous()
    return tensors


def unpacked(tensors: Mapping[str, Tensor], stored: str) -> dict[str, Tensor]:
    """Return the state that was packed; raises ValueError when the tensors are not stored in this form."""
    as_bytes = {key for key, value in tensors.items() if value.dtype == torch.int8}
    if bool(as_bytes) != (stored == INT8):
        raise ValueError(f"the weights are not stored as {stored}")
    if lacking := [key for key in as_bytes if key + _SCALE not in tensors]:
        raise ValueError(f"{min(lacking)} has no scales")
    scales = {key + _SCALE for key in as_bytes}
    return {
        key: _weight_of(value, tensors[key + _SCALE]) if key in as_bytes else value
        for key, value in tensors.items()
        if key not in scales
    }


def round_as_stored(net: nn.Module, stored: str) -> None:
    """Round a network's weights to those that the file will hold, so that all figures are the file's."""
    net.load_state_dict(unpacked(packed(net.state_dict(), stored), stored))


def _bytes_of(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in, h, w) float -> the same int8 and (out,) float32 scales."""
    largest = weight.float().abs().amax(dim=(1, 2, 3)) / _MOST
    scale = torch.where(largest > 0, largest, 1.0)
    whole = (weight.float() / scale[:, None, None, None]).round().clamp(-_MOST, _MOST)
    return whole.to(torch.int8).contiguous(), scale


def _weight_of(whole: Tensor, scale: Tensor) -> Tensor:
    return whole.float() * scale[:, None, None, None]
