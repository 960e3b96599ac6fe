"""Trunks that know cells before they are asked about a set, and have never seen that set or a copy of it."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from worker.nets.architectures import initial_hybrid, merged_state
from worker.nets.imagenet import imagenet_state
from worker.training.classification import loop
from worker.training.classification.data import CropSet, capped, joined, split
from worker.training.classification.recipe import Recipe

_VAL_PER_LABEL = 12
_OF_TWO = {"hybrid": initial_hybrid, "hybrid-merged": merged_state}


def trunks_of(arch: str) -> tuple[str, ...]:
    """Return the networks of one trunk from whose weights a network starts: the hybrids from VGG16 and VGG19."""
    return ("vgg16", "vgg19") if arch in _OF_TWO else (arch,)


def pretrain(others: CropSet, recipe: Recipe, out: Path, *, device: str, say: loop.Say) -> None:
    """Train one trunk on the crops of other sets and write its weights, without the head, as `out`."""
    parts = split(others, recipe.seed)
    # What is judged is another set, so that nothing but a few crops to watch the training is held back.
    train, val = joined([parts["train"], parts["test"]]), capped(parts["val"], _VAL_PER_LABEL, recipe.seed)
    net = loop.fit(train, val, recipe, loop.Place(folder=out.with_suffix(".training"), device=device), say=say)
    part = out.with_suffix(".part")
    save_file({k: v.contiguous() for k, v in net.state_dict().items() if not k.startswith("head.")}, part)
    part.replace(out)


def initial(arch: str, folder: Path) -> dict[str, Tensor]:
    """Return what a network starts from: the trunk of its own kind in `folder`, or those of VGG16 and VGG19."""
    trunks = [load_file(trunk_file(folder, trunk)) for trunk in trunks_of(arch)]
    return dict(_OF_TWO[arch](*trunks)) if arch in _OF_TWO else trunks[0]


def trunk_file(folder: Path, trunk: str) -> Path:
    """Return where a pretrained trunk is kept."""
    return folder / f"{trunk}.safetensors"


def has_imagenet(arch: str) -> bool:
    """Tell whether ImageNet weights were published for a network's trunks."""
    return arch != "dcnn"


def from_imagenet(arch: str, folder: Path) -> dict[str, Tensor]:
    """Return a full-width network's trunks as published; raises ModelError when the files are missing or altered."""
    return imagenet_state(arch, folder)
