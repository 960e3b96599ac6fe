"""The hybrid network: VGG16 and VGG19 side by side, their pooled features concatenated, one linear head.

After the hybrid of "Improving White Blood Cancer Diagnosis with Hybrid Deep Learning Techniques" (VGG16 + VGG19);
the paper leaves open how the two are joined, and worker/nets/merged.py is the other way that it names. Here each trunk,
with batch norm, is torchvision's own up to its last pooling, and gives the mean over the crop and the mean over its
middle, where the cell to be called lies.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from worker.nets.classifier import Classifier, pooled
from worker.nets.merged import TRUNK
from worker.nets.vgg import FULL, vgg_trunk

__all__ = ["FULL", "QUARTER", "Hybrid", "initial_hybrid"]

QUARTER = (16, 32, 64, 128, 104)
"""A quarter of the published channels, the last stage narrower: the half-precision file stays below 4 MB."""


class Hybrid(Classifier):
    """(N, 3, H, W) float32 normalised crops, H and W >= 48 -> (N, classes) float32 logits."""

    def __init__(self, channels: tuple[int, ...], classes: int, *, dropout: float = 0.3) -> None:
        super().__init__()
        self.arch, self.channels = "hybrid", channels
        self.vgg16 = vgg_trunk("vgg16", channels)
        self.vgg19 = vgg_trunk("vgg19", channels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * channels[-1], classes)

    def features(self, crops: Tensor) -> Tensor:
        """Return the (N, 4 * C) pooled features of both trunks, C the channels of the last stage."""
        return torch.cat([pooled(self.vgg16(crops)), pooled(self.vgg19(crops))], dim=1)


def initial_hybrid(vgg16_state: Mapping[str, Tensor], vgg19_state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return both trunks of a hybrid from the states of a `vgg16` and a `vgg19`; the heads are left out."""
    sources = {"vgg16.": vgg16_state, "vgg19.": vgg19_state}
    return {
        prefix + key.removeprefix(TRUNK): value.clone()
        for prefix, state in sources.items()
        for key, value in state.items()
        if key.startswith(TRUNK)
    }
