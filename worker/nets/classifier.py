"""What every classifier is: a body that gives features of a crop, and one linear head upon them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.nets.morphology import Morphology


class Classifier(nn.Module):
    """(N, 3, H, W) float32 normalised crops -> (N, classes) float32 logits."""

    arch: str
    """The architecture's name, one of architectures.NETWORKS."""
    channels: tuple[int, ...]
    """All that decides its widths; architectures.build makes the same network from it."""
    dropout: nn.Dropout
    head: nn.Linear
    morphology: Morphology | None
    """Weighs a cell's measurements beside its picture where the card names some (worker/cells/classify.py)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_module("morphology", None)

    def features(self, crops: Tensor) -> Tensor:
        """Return the (N, F) pooled features that the head weighs."""
        raise NotImplementedError

    def forward(self, crops: Tensor) -> Tensor:
        """Return the (N, classes) logits."""
        logits: Tensor = self.head(self.dropout(self.features(crops)))
        return logits


class SingleTrunk(Classifier):
    """A classifier of one trunk, (N, 3, H, W) -> (N, maps, h, w), pooled as `pooled` says."""

    def __init__(self, trunk: nn.Module, *, maps: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.trunk = trunk
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * maps, classes)

    def features(self, crops: Tensor) -> Tensor:
        """Return the (N, 2 * maps) pooled features of the trunk."""
        return pooled(self.trunk(crops))


def pooled(maps: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, 2 * C): the mean of each map and the mean of its middle third, where the cell lies."""
    middle = functional.adaptive_avg_pool2d(maps, 3)[:, :, 1, 1]
    return torch.cat([maps.mean(dim=(2, 3)), middle], dim=1)
