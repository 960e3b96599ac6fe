"""The merged hybrid: one network of VGG19's layers that starts from the parameters of VGG16 and VGG19 together.

After "Parameters Integration" of the paper, which averages "the weight matrices from corresponding layers in both
models" and leaves open which correspond. Here those do that stand at the same place of the same stage: both networks
have five stages, and stages three to five have three convolutions in VGG16 and four in VGG19. A convolution's and its
batch norm's parameters are averaged, running mean and variance too; VGG19's fourth ones have no partner and are kept.

The average of two trained networks is a place to start from, not a network that classifies: it has to be trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from worker.nets.vgg import vgg_trunk

TRUNK = "trunk."
"""Begins the names of the trunk's tensors in networks of one trunk."""
_UNIT = (1, 1, 1, 1, 1)


def merged_state(vgg16_state: Mapping[str, Tensor], vgg19_state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the trunk of a `hybrid-merged` from the states of a `vgg16` and a `vgg19` of the same channels.

    Heads are left out, those of the sources and the result's own. Raises ValueError when the shapes do not correspond.
    """
    merged = {key: value.clone() for key, value in vgg19_state.items() if key.startswith(TRUNK)}
    for of16, of19 in corresponding_layers():
        for key in [key for key in merged if key.startswith(f"{TRUNK}{of19}.")]:
            partner = vgg16_state[f"{TRUNK}{of16}.{key.rpartition('.')[2]}"]
            if partner.shape != merged[key].shape:
                raise ValueError(f"{key}: {tuple(merged[key].shape)} in VGG19, {tuple(partner.shape)} in VGG16")
            if merged[key].is_floating_point():  # not the number of batches seen
                merged[key] = (partner + merged[key]) / 2
    return merged


def corresponding_layers() -> tuple[tuple[int, int], ...]:
    """Return the places of corresponding layers, convolutions and batch norms, in the trunks of VGG16 and VGG19."""
    with torch.device("meta"):
        of16, of19 = (_places(vgg_trunk(arch, _UNIT)) for arch in ("vgg16", "vgg19"))
    return tuple((place, of19[what]) for what, place in of16.items() if what in of19)


def _places(trunk: Iterable[nn.Module]) -> dict[tuple[int, str, int], int]:
    """Return where a trunk has what: (stage, kind of layer, how many of its kind stand before it in the stage)."""
    places: dict[tuple[int, str, int], int] = {}
    stage, before = 0, {"Conv2d": 0, "BatchNorm2d": 0}
    for place, layer in enumerate(trunk):
        kind = type(layer).__name__
        if isinstance(layer, nn.MaxPool2d):
            stage, before = stage + 1, dict.fromkeys(before, 0)
        elif kind in before:
            places[stage, kind, before[kind]] = place
            before[kind] += 1
    return places
