"""The hybrid network: VGG16 and VGG19 side by side, their pooled features concatenated, one linear head.

After the hybrid of "Improving White Blood Cancer Diagnosis with Hybrid Deep Learning Techniques" (VGG16 + VGG19);
the paper leaves open how the two are joined. Here each trunk, with batch norm, is torchvision's own up to its last
pooling, and gives the mean over the crop and the mean over its middle, where the cell to be called lies.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.errors import ModelError
from worker.nets.guard import torchvision_vgg

FULL = (64, 128, 256, 512, 512)
"""Channels of the five stages as published."""
QUARTER = (16, 32, 64, 128, 104)
"""A quarter of them, the last stage narrower so that the half-precision file stays below 4 MB."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_IMAGENET_FILES = ("vgg16_bn-6c64b313.pth", "vgg19_bn-c79401a0.pth")  # a name ends with its SHA-256's start


class Hybrid(nn.Module):
    """(N, 3, H, W) float32 normalised crops, H and W >= 48 -> (N, classes) float32 logits."""

    def __init__(self, channels: tuple[int, ...], classes: int, *, dropout: float = 0.3) -> None:
        super().__init__()
        if len(channels) != len(FULL) or min(channels) < 1:
            raise ValueError(f"a VGG trunk has five stages, not {channels}")
        self.channels = channels
        self.vgg16 = _trunk("D", channels)
        self.vgg19 = _trunk("E", channels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * channels[-1], classes)

    def features(self, crops: Tensor) -> Tensor:
        """Return the (N, 4 * C) pooled features of both trunks, C the channels of the last stage."""
        return torch.cat([_pooled(self.vgg16(crops)), _pooled(self.vgg19(crops))], dim=1)

    def forward(self, crops: Tensor) -> Tensor:
        """Return the (N, classes) logits."""
        logits: Tensor = self.head(self.dropout(self.features(crops)))
        return logits


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


def _trunk(kind: str, channels: tuple[int, ...]) -> nn.Sequential:
    vgg = torchvision_vgg()
    plan: list[int | str] = []
    for entry in vgg.cfgs[kind][:-1]:  # without the last pooling: 80 px still give 5 x 5 features
        plan.append(entry if entry == "M" else channels[plan.count("M")])
    trunk: nn.Sequential = vgg.make_layers(plan, batch_norm=True)
    for layer in trunk:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return trunk


def _pooled(maps: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, 2 * C): the mean of each map and the mean of its middle third."""
    middle = functional.adaptive_avg_pool2d(maps, 3)[:, :, 1, 1]
    return torch.cat([maps.mean(dim=(2, 3)), middle], dim=1)


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
