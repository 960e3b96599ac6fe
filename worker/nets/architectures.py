"""The architectures by name: one way to build each, at the published or another width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from worker.nets import dcnn, resnet, vgg
from worker.nets.classifier import Classifier, SingleTrunk
from worker.nets.hybrid import Hybrid, initial_hybrid
from worker.nets.merged import merged_state

__all__ = ["NETWORKS", "Classifier", "build", "channels_of", "initial_hybrid", "merged_state"]

NETWORKS = ("vgg16", "vgg19", "resnet50", "hybrid", "hybrid-merged", "dcnn")
_HYBRID = "hybrid"  # the only one of two trunks


@dataclass(frozen=True, kw_only=True)
class _Trunk:
    """How a network of one trunk is built."""

    build: Callable[[tuple[int, ...]], nn.Module]
    maps: Callable[[tuple[int, ...]], int]  # that the trunk gives
    published: tuple[int, ...]


def _vgg(arch: str) -> _Trunk:
    return _Trunk(build=partial(vgg.vgg_trunk, arch), maps=lambda channels: channels[-1], published=vgg.FULL)


_TRUNKS = {
    "vgg16": _vgg("vgg16"),
    "vgg19": _vgg("vgg19"),
    "resnet50": _Trunk(
        build=resnet.resnet50_trunk, maps=lambda channels: channels[-1] * resnet.EXPANSION, published=resnet.FULL
    ),
    "hybrid-merged": _vgg("vgg19"),  # its weights alone are another's (worker/nets/merged.py)
    "dcnn": _Trunk(build=dcnn.dcnn_trunk, maps=dcnn.maps_of, published=dcnn.FULL),
}


def build(arch: str, channels: tuple[int, ...], classes: int, *, dropout: float = 0.3) -> Classifier:
    """Return a network with random weights, one of NETWORKS; `channels` as channels_of gives them.

    All take crops of 48 px and more; VGG alone and DCNN 16 px and more, ResNet50 32 px and more, sensibly.
    Raises ValueError for another name, or channels that do not fit it.
    """
    published = channels_of(arch, 1.0)
    if len(channels) != len(published) or min(channels) < 1 or classes < 1:
        raise ValueError(f"{arch} takes {len(published)} positive channels and at least one class, not {channels}")
    if arch == _HYBRID:
        return Hybrid(channels, classes, dropout=dropout)
    trunk = _TRUNKS[arch]
    net = SingleTrunk(trunk.build(channels), maps=trunk.maps(channels), classes=classes, dropout=dropout)
    net.arch, net.channels = arch, channels
    return net


def channels_of(arch: str, width: float) -> tuple[int, ...]:
    """Return an architecture's channels at a width multiplier, at least one each; 1.0 is as published.

    Raises ValueError for a name that is none of NETWORKS.
    """
    if arch not in NETWORKS:
        raise ValueError(f"no network is called {arch!r}: use one of {', '.join(NETWORKS)}")
    published = vgg.FULL if arch == _HYBRID else _TRUNKS[arch].published
    return tuple(max(1, round(count * width)) for count in published)
