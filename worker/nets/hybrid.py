"""The hybrid network: VGG16 and VGG19 side by side, their pooled features concatenated, one linear head.

After the hybrid of "Improving White Blood Cancer Diagnosis with Hybrid Deep Learning Techniques" (VGG16 + VGG19);
the paper leaves open how the two are joined, and worker/nets/merged.py is the other way that it names. Here each trunk,
with batch norm, is torchvision's own up to its last pooling, and gives the mean over the crop and the mean over its
middle, where the cell to be called lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from worker.errors import ModelError
from worker.nets.classifier import Classifier, pooled
from worker.nets.merged import TRUNK
from worker.nets.vgg import FULL, vgg_trunk

__all__ = ["FULL", "IMAGENET_MEAN", "IMAGENET_STD", "QUARTER", "Hybrid", "initial_hybrid", "load_imagenet", "scaled"]

QUARTER = (16, 32, 64, 128, 104)
"""A quarter of the published channels, the last stage narrower: the half-precision file stays below 4 MB."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_IMAGENET_FILES = ("vgg16_bn-6c64b313.pth", "vgg19_bn-c79401a0.pth")  # a name ends with its SHA-256's start


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


def scaled(width: float) -> tuple[int, ...]:
    """Return the channels of the five stages at a width multiplier, at least one each."""
    return tuple(max(1, round(count * width)) for count in FULL)


def load_imagenet(net: Hybrid, folder: Path | None = None) -> None:
    """Load torchvision's ImageNet weights into both trunks of a full-width network.

    The files are looked for in `folder`, by default torch's own hub cache; nothing is downloaded. Crops must then be
    normalised with IMAGENET_MEAN and IMAGENET_STD. Raises ModelError when a file is missing, altered or does not fit.
    """
    if net.channels != FULL:
        raise ModelError(f"ImageNet weights fit the full width {FULL} only, not {net.channels}")
    folder = folder or Path(torch.hub.get_dir()) / "checkpoints"
    for trunk, file in zip((net.vgg16, net.vgg19), _IMAGENET_FILES, strict=True):
        trunk.load_state_dict(_imagenet_trunk(folder / file, trunk.state_dict().keys()))


def _imagenet_trunk(path: Path, keys: object) -> dict[str, Tensor]:
    wanted = path.stem.rpartition("-")[2]
    if not path.is_file():
        raise ModelError(f"ImageNet weights are not here: put {path.name} from download.pytorch.org into {path.parent}")
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(wanted):
        raise ModelError(f"{path} is not the file that torchvision published: its SHA-256 must start {wanted}")
    stored: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    prefix = "features."
    trunk = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
    if trunk.keys() != keys:
        raise ModelError(f"{path} does not hold the layers of this trunk")
    return trunk
