"""The loss of the three planes, each over what is known of it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from worker.nets.segnet import CELL, DEPTH, NUCLEUS

_NUCLEUS_WEIGHT = 0.7
_DEPTH_WEIGHT = 0.15  # a µm of depth beside a unit of cross-entropy
_SMOOTH_PX = 20.0


def masked_loss(planes: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """Return the loss of (N, 3, H, W) planes against values where `known` is 1.

    Cross-entropy and soft Dice (Milletari et al. 2016) for cell and nucleus, smooth L1 for the depth.
    """
    body = _mask_loss(planes[:, CELL], values[:, CELL], known[:, CELL])
    nucleus = _mask_loss(planes[:, NUCLEUS], values[:, NUCLEUS], known[:, NUCLEUS])
    off = functional.smooth_l1_loss(planes[:, DEPTH], values[:, DEPTH], reduction="none", beta=0.5)
    # Outside all cells the depth is 0 nearly everywhere; what is inside decides where cells part.
    weight = known[:, DEPTH] * (0.3 + 0.7 * (values[:, DEPTH] > 0))
    depth = (off * weight).sum() / weight.sum().clamp(min=1)
    return body + _NUCLEUS_WEIGHT * nucleus + _DEPTH_WEIGHT * depth


def _mask_loss(logits: Tensor, values: Tensor, known: Tensor) -> Tensor:
    entropy = functional.binary_cross_entropy_with_logits(logits, values, reduction="none")
    entropy = (entropy * known).sum() / known.sum().clamp(min=1)
    share = torch.sigmoid(logits) * known
    shared = (share * values).sum()
    total = share.sum() + (values * known).sum()
    return entropy + 0.5 * (1 - (2 * shared + _SMOOTH_PX) / (total + _SMOOTH_PX))
