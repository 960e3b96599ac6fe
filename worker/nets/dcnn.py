"""The compact dense network that the paper compares with: the "DCNN" of Kumar et al. 2020 (IEEE Access 8:142521).

What its abstract states: cells of bone marrow are pre-processed, features are extracted, and an "optimized Dense
Convolutional neural network" tells ALL from multiple myeloma on the SN-AM set with an accuracy of 97.2 %, near the
established networks "with far fewer parameters". What it leaves open: number, kind and width of the layers, the size
of the input, and whether "dense" means dense connections or dense layers. Nothing here claims to be its exact network:
this is the field's small densely connected one, torchvision's DenseNet with bottlenecks and compression (Huang et al.
2017), three blocks, about 0.3 million weights where VGG16 has 14.7.
"""

from __future__ import annotations

from torch import nn

from worker.nets.guard import torchvision_densenet

FULL = (32, 16)
"""Channels of the stem, and channels that each layer adds."""
_LAYERS = (4, 6, 8)  # of the three dense blocks
_BOTTLENECK = 4  # the 1 x 1 convolution before each 3 x 3 gives so many times the channels added


def dcnn_trunk(channels: tuple[int, ...]) -> nn.Sequential:
    """Return the network before its pooling: (N, 3, H, W) -> (N, maps_of(channels), H / 16, W / 16).

    Raises ValueError unless `channels` has two positive entries.
    """
    if len(channels) != len(FULL) or min(channels) < 1:
        raise ValueError(f"a DCNN has a stem and a growth, not {channels}")
    stem, growth = channels
    whole = torchvision_densenet().DenseNet(growth, _LAYERS, stem, bn_size=_BOTTLENECK, num_classes=1)
    trunk: nn.Sequential = whole.features
    trunk.add_module("relu5", nn.ReLU(inplace=True))
    return trunk


def maps_of(channels: tuple[int, ...]) -> int:
    """Return the number of maps that the last block gives."""
    maps, growth = channels
    for number, layers in enumerate(_LAYERS, start=1):
        maps += layers * growth
        if number < len(_LAYERS):
            maps //= 2  # the transition between two blocks
    return maps
