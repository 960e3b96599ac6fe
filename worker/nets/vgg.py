"""The trunks of VGG16 and VGG19 (Simonyan and Zisserman 2015) with batch norm: torchvision's, at any width."""

from __future__ import annotations

from torch import nn

from worker.nets.guard import torchvision_vgg

FULL = (64, 128, 256, 512, 512)
"""Channels of the five stages as published."""
_PLANS = {"vgg16": "D", "vgg19": "E"}  # torchvision's, and the article's, letters


def vgg_trunk(arch: str, channels: tuple[int, ...]) -> nn.Sequential:
    """Return the convolutions of `vgg16` or `vgg19`: (N, 3, H, W) -> (N, C, H / 16, W / 16), C the last of `channels`.

    The layers and their names are torchvision's up to its last pooling, without which 80 px still give 5 x 5 features.
    Raises ValueError unless `channels` has five positive entries.
    """
    if len(channels) != len(FULL) or min(channels) < 1:
        raise ValueError(f"a VGG trunk has five stages, not {channels}")
    builders = torchvision_vgg()
    plan: list[int | str] = []
    for entry in builders.cfgs[_PLANS[arch]][:-1]:
        plan.append(entry if entry == "M" else channels[plan.count("M")])
    trunk: nn.Sequential = builders.make_layers(plan, batch_norm=True)
    for layer in trunk:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return trunk
