"""The trunk of ResNet50 (He et al. 2016), put together of torchvision's bottlenecks, at any width.

torchvision's own builder narrows only the inside of a bottleneck. Here all widths follow `channels`, so that networks
of one width multiplier can be compared; at full width layers, names and shapes are torchvision's.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from worker.nets.guard import torchvision_resnet

FULL = (64, 64, 128, 256, 512)
"""Channels of the stem and of the inside of the four stages' bottlenecks, as published."""
EXPANSION = 4
"""A bottleneck gives so many times the channels of its inside."""
_BLOCKS = (3, 4, 6, 3)


def resnet50_trunk(channels: tuple[int, ...]) -> nn.Sequential:
    """Return all of ResNet50 before its pooling: (N, 3, H, W) -> (N, 4 * C, H / 32, W / 32), C the last of `channels`.

    32 px give one position. Raises ValueError unless `channels` has five positive entries.
    """
    if len(channels) != len(FULL) or min(channels) < 1:
        raise ValueError(f"a ResNet50 has a stem and four stages, not {channels}")
    stem, *stages = channels
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(stem),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    inputs = stem
    for number, (planes, blocks) in enumerate(zip(stages, _BLOCKS, strict=True), start=1):
        layers[f"layer{number}"] = _stage(inputs, planes, blocks, stride=1 if number == 1 else 2)
        inputs = planes * EXPANSION
    trunk = nn.Sequential(OrderedDict(layers))
    for layer in trunk.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return trunk


def _stage(inputs: int, planes: int, blocks: int, *, stride: int) -> nn.Sequential:
    bottleneck = torchvision_resnet().Bottleneck
    outputs = planes * EXPANSION
    shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
    first = bottleneck(inputs, planes, stride, shortcut)
    return nn.Sequential(first, *(bottleneck(outputs, planes) for _ in range(1, blocks)))
