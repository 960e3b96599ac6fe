"""How far the features of a crop lie from those of the cells that a network was trained on.

Features are brought to length one first (Müller and Hein, "Mahalanobis++", ICML 2025); the score is the squared
Mahalanobis distance to the nearest class mean, with one covariance for all classes (Lee et al., NeurIPS 2018), over the
axes along which the features vary most. Measured against the distance without that first step, against the relative
one of Ren et al. 2021, the residual of ViM (Wang et al., CVPR 2022), nearest neighbours and the probabilities alone,
it finds the most tissue sections and fluorescence while it takes the fewest cells of a laboratory left out for
something else (docs/uncertainty.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

_PREFIX = "outliers."
"""Begins the names of these tensors in a weight file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outliers:
    """Where the features of known cells lie; float32."""

    centre: Tensor  # (F,) mean of features of length one
    projection: Tensor  # (F, D) onto axes along which a class scatters by one
    means: Tensor  # (C, D) of the classes, on those axes

    def __post_init__(self) -> None:
        """Raise ValueError for tensors that do not belong together."""
        if self.projection.shape != (*self.centre.shape, self.means.shape[-1]) or self.means.dim() != 2:
            shapes = ", ".join(str(tuple(t.shape)) for t in (self.centre, self.projection, self.means))
            raise ValueError(f"outlier statistics of shapes {shapes} do not belong together")

    def to(self, device: torch.device) -> Outliers:
        """Return the same on another device."""
        return Outliers(
            centre=self.centre.to(device), projection=self.projection.to(device), means=self.means.to(device)
        )

    def scores(self, features: Tensor) -> Tensor:
        """Return (N,) squared distances per axis of (N, F) features; about 1 for a cell of a known class."""
        placed = (functional.normalize(features.float(), dim=1) - self.centre) @ self.projection
        apart = placed[:, None] - self.means  # (N, C, D)
        nearest: Tensor = apart.square().mean(dim=2).amin(dim=1)
        return nearest


def named(outliers: Outliers) -> dict[str, Tensor]:
    """Return the tensors as they are called in a weight file."""
    return {_PREFIX + f.name: getattr(outliers, f.name).detach().float().cpu().contiguous() for f in fields(outliers)}


def parted(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Outliers | None]:
    """Return the network's tensors of a weight file, and the outlier statistics where it has them.

    Raises ValueError when some of the statistics are missing or do not fit each other.
    """
    own = {key: value for key, value in tensors.items() if not key.startswith(_PREFIX)}
    found = {key.removeprefix(_PREFIX): value for key, value in tensors.items() if key.startswith(_PREFIX)}
    if not found:
        return own, None
    if found.keys() != {f.name for f in fields(Outliers)}:
        raise ValueError(f"outlier statistics are {', '.join(f.name for f in fields(Outliers))}, not {sorted(found)}")
    return own, Outliers(**found)
