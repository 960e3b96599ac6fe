"""How well a network does on whole fields at the working resolution, while it is trained: pixels only, and fast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from worker.nets.reach import STRIDE_PX
from worker.nets.segnet import CELL, NUCLEUS, SegNet
from worker.training.segmentation.data import Field, Pixels

MEAN, STD = (0.76, 0.66, 0.72), (0.18, 0.22, 0.16)
_MARGIN_PX = 96


def validate(net: SegNet, fields: Sequence[Field]) -> dict[str, float]:
    """Return the Dice of each source's cells and nuclei, over all known pixels of its fields together."""
    counts: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(3))
    for field in fields:
        planes = predict(net, field.rgb)
        for plane, known, name in ((CELL, field.cell, "cell"), (NUCLEUS, field.nucleus, "nucleus")):
            sure, truth, found = known >= 0, known == 1, planes[plane] > 0
            if (truth & sure).any() and not (name == "nucleus" and field.source.startswith("segpc")):
                counts[f"{field.source} {name}"] += [
                    np.count_nonzero(found & truth),
                    np.count_nonzero(found & sure),
                    np.count_nonzero(truth),
                ]
    return {name: round(float(2 * hit / (found + truth)), 4) for name, (hit, found, truth) in sorted(counts.items())}


def score(dice: Mapping[str, float]) -> float:
    """Return the one figure by which the best state is chosen: the mean of all."""
    return float(np.mean(list(dice.values())))


def predict(net: SegNet, rgb: Pixels) -> NDArray[np.float32]:
    """Return (3, H, W) float32 planes of one picture, which is mirrored around its edges."""
    height, width = rgb.shape[:2]
    below = _MARGIN_PX + -(height + 2 * _MARGIN_PX) % STRIDE_PX
    right = _MARGIN_PX + -(width + 2 * _MARGIN_PX) % STRIDE_PX
    padded = cv2.copyMakeBorder(rgb, _MARGIN_PX, below, _MARGIN_PX, right, cv2.BORDER_REFLECT_101)
    pixels = to_tensor(np.asarray(padded, np.uint8)[None])
    with torch.inference_mode():
        planes = net(pixels)[0].float().numpy()
    return np.asarray(planes[:, _MARGIN_PX : _MARGIN_PX + height, _MARGIN_PX : _MARGIN_PX + width])


def to_tensor(pixels: Pixels) -> torch.Tensor:
    """Return (N, H, W, 3) uint8 as the (N, 3, H, W) float32 that the network is fed."""
    scaled = (pixels.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(scaled).permute(0, 3, 1, 2)
