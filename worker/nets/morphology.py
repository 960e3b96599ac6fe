"""What the measurements of a cell say of its class, weighed beside what its picture says.

A network sees a crop as a texture at a fixed size of input; how large a nucleus is, which part of the cell it fills and
how round it is are measured more exactly on the outlines. Both judge on their own and their log-probabilities are
added, a logarithmic opinion pool (Genest and Zidek, Statist Sci 1986;1:114): neither can outvote the other where it
has nothing to say. The measured features and the networks are those of the paper, which keeps them apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

HIDDEN = 64
_MOST = 5.0
"""Standard deviations from the mean beyond which a measurement counts as just as far."""


class Morphology(nn.Module):
    """(N, M) float32 measurements, NaN where a cell has none -> (N, classes) log-probabilities."""

    centre: Tensor  # (M,) mean over the training cells
    scale: Tensor  # (M,) their standard deviation

    def __init__(self, measures: int, classes: int, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(measures))
        self.register_buffer("scale", torch.ones(measures))
        self.layers = nn.Sequential(
            nn.Linear(measures, HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, classes),
        )

    def forward(self, measured: Tensor) -> Tensor:
        """Return the log-probabilities; every class alike for a cell that could not be measured."""
        known = measured.isfinite().all(dim=1, keepdim=True)
        logs = torch.log_softmax(self.layers(self.placed(measured)), dim=1)
        return torch.where(known, logs, torch.zeros_like(logs))

    def placed(self, measured: Tensor) -> Tensor:
        """Return the measurements in standard deviations from the mean, 0 where there are none."""
        return ((measured - self.centre) / self.scale).nan_to_num(0.0).clamp(-_MOST, _MOST)
