"""The segmenter's network: a small U-Net (Ronneberger et al. 2015) with added skips and three heads.

Pixels are folded four to one before the first convolution and unfolded behind the last (Shi et al. 2016), so that it
works at half the resolution and still draws outlines at the full one. Its receptive field is bounded, which the
counting rests on: a pixel's result is decided by what lies within RECEPTIVE_PX (worker/nets/reach.py) of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (24, 48, 80, 112)
"""Channels at 2, 4, 8 and 16 times the input's pixel."""
CELL, NUCLEUS, DEPTH = 0, 1, 2
"""Planes of the result: logit of a nucleated cell's whole body, logit of its nucleus, depth in µm."""
_HEADS = 3


class SegNet(nn.Module):
    """(N, 3, H, W) float RGB, normalised, H and W multiples of 16 -> (N, 3, H, W) float: CELL, NUCLEUS, DEPTH."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        first, *others = widths
        self.stem = nn.Sequential(_conv(12, first), _conv(first, first))
        self.down = nn.ModuleList(
            nn.Sequential(_conv(before, after, stride=2), _conv(after, after))
            for before, after in zip(widths, others, strict=False)
        )
        self.deep = _conv(widths[-1], widths[-1])
        self.narrow = nn.ModuleList(nn.Conv2d(after, before, 1) for before, after in zip(widths, others, strict=False))
        self.up = nn.ModuleList(_conv(width, width) for width in widths[:-1])
        self.head = nn.Conv2d(first, 4 * _HEADS, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the three planes for each picture."""
        out = self.stem(functional.pixel_unshuffle(pixels, 2))
        kept = [out]
        for step in self.down:
            out = step(out)
            kept.append(out)
        out = out + self.deep(out)
        for narrow, up, skip in reversed(list(zip(self.narrow, self.up, kept, strict=False))):
            out = up(skip + functional.interpolate(narrow(out), scale_factor=2, mode="nearest"))
        return functional.pixel_shuffle(self.head(out), 2)


def fold(net: SegNet) -> SegNet:
    """Return the network for inference, each normalisation multiplied into its convolution."""
    folded = SegNet(net.widths).eval()
    folded.load_state_dict(net.state_dict())
    for module in list(folded.modules()):
        if isinstance(module, nn.Sequential) and len(module) == 3 and isinstance(module[1], nn.BatchNorm2d):
            convolution = module[0]
            module[0] = torch.nn.utils.fuse_conv_bn_eval(convolution, module[1])  # type: ignore[type-var]
            module[1] = nn.Identity()
    return folded


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
