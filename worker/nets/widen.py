"""A wider VGG that computes what a narrower one does, to go on training from: the narrow one is quick to train.

After Net2WiderNet (Chen, Goodfellow and Shlens, "Net2Net", ICLR 2016): every channel is repeated, and what reads the
copies shares its weight out among them. Here the shares are unequal and drawn, so that the copies, which are equal at
first, learn different things; the article adds noise for that, which changes the function.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from worker.errors import BadRequestError
from worker.nets.architectures import build
from worker.nets.classifier import Classifier, SingleTrunk
from worker.nets.hybrid import Hybrid

_OF_ONE_TRUNK = ("vgg16", "vgg19", "hybrid-merged")
_SPREAD = 0.5
"""Standard deviation of a share around the equal one, as a part of it."""


def widened(narrow: Classifier, channels: tuple[int, ...], seed: int) -> Classifier:
    """Return a network of more channels, in evaluation mode, whose logits equal the narrow one's up to rounding.

    Channels are repeated in order: the wide channel j is a copy of the narrow channel j mod n. Raises BadRequestError
    for a network that is not made of VGG trunks, and for channels that are fewer than the narrow one's.
    """
    trunks = _trunks(narrow)
    if any(wide < before for wide, before in zip(channels, narrow.channels, strict=True)):
        raise BadRequestError(f"{narrow.arch} of channels {narrow.channels} cannot be widened to {channels}")
    draw = torch.Generator().manual_seed(seed)
    wide = build(narrow.arch, channels, narrow.head.out_features)
    for old, new in zip(trunks, _trunks(wide), strict=True):
        _widen_trunk(old, new, draw)
    blocks = torch.split(narrow.head.weight.detach(), narrow.channels[-1], dim=1)
    with torch.no_grad():
        wide.head.weight.copy_(torch.cat([_shared(block, channels[-1], draw) for block in blocks], dim=1))
        wide.head.bias.copy_(narrow.head.bias)
    return wide.eval()


def _trunks(net: Classifier) -> Sequence[nn.Sequential]:
    if isinstance(net, Hybrid):
        return net.vgg16, net.vgg19
    if isinstance(net, SingleTrunk) and net.arch in _OF_ONE_TRUNK:
        return (net.trunk,)  # type: ignore[return-value]  # nn.Sequential, as vgg_trunk makes it
    raise BadRequestError(f"{net.arch} cannot be widened: only networks of VGG trunks can")


@torch.no_grad()
def _widen_trunk(old: nn.Sequential, new: nn.Sequential, draw: torch.Generator) -> None:
    for narrow, wide in zip(old, new, strict=True):
        if isinstance(narrow, nn.Conv2d) and isinstance(wide, nn.Conv2d):
            shared = _shared(narrow.weight, wide.in_channels, draw)
            wide.weight.copy_(_repeated(shared, wide.out_channels))
            if narrow.bias is not None and wide.bias is not None:
                wide.bias.copy_(_repeated(narrow.bias, wide.out_channels))
        elif isinstance(narrow, nn.BatchNorm2d) and isinstance(wide, nn.BatchNorm2d):
            state = narrow.state_dict()
            wide.load_state_dict(
                {key: _repeated(value, wide.num_features) if value.dim() else value for key, value in state.items()}
            )


def _repeated(values: Tensor, number: int) -> Tensor:
    """Return (number, …) of (n, …): row j is row j mod n."""
    return values[torch.arange(number) % len(values)]


def _shared(weight: Tensor, number: int, draw: torch.Generator) -> Tensor:
    """Return (O, number, …) of (O, I, …): column j is a share of column j mod I, the shares of one adding up to it."""
    own = torch.arange(number) % weight.shape[1]
    copies = torch.bincount(own, minlength=weight.shape[1])
    noise = torch.randn((weight.shape[0], number, *weight.shape[2:]), generator=draw) * _SPREAD
    mean = torch.zeros(weight.shape).index_add_(1, own, noise) / _along(copies, weight)
    shares = (1 + noise - mean[:, own]) / _along(copies[own], weight)
    return weight[:, own] * shares


def _along(values: Tensor, weight: Tensor) -> Tensor:
    """Return (1, I, 1, …) of (I,)."""
    return values.view(1, -1, *[1] * (weight.dim() - 2))
