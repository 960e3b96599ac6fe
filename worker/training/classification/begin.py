"""What a training begins with: random weights, those of other networks, or trunks trained on ImageNet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from worker.errors import BadRequestError
from worker.nets.architectures import channels_of, initial_hybrid, merged_state
from worker.nets.classifier import Classifier
from worker.nets.imagenet import IMAGENET_MEAN, IMAGENET_STD, imagenet_state
from worker.nets.registry import load
from worker.nets.widen import widened
from worker.training.classification.data import CLASSES
from worker.training.classification.recipe import Recipe

State = dict[str, Tensor]
_OF_TWO = {"hybrid": initial_hybrid, "hybrid-merged": merged_state}
_TRUNKS = ["vgg16", "vgg19"]
_MERGED = "hybrid-merged"


@dataclass(frozen=True, kw_only=True)
class Begin:
    """Where the first weights come from; random ones where nothing is named."""

    files: tuple[Path, ...] = ()  # their cards beside them: one of the same network, or a vgg16 and a vgg19 for hybrids
    imagenet: Path | None = None  # a folder with torchvision's files


def state_of(begin: Begin, recipe: Recipe) -> State | None:
    """Return the weights to begin with, None for random ones; trunks narrower than the recipe's are widened.

    Raises BadRequestError when they are not such that the recipe's network can begin with them, and ModelError when a
    file is missing or altered.
    """
    if begin.imagenet is not None:
        return _from_imagenet(begin, begin.imagenet, recipe)
    nets = [_picture_net(file) for file in begin.files]
    if len(nets) > 1:
        return _of_two(nets, recipe)
    if nets:
        return _of_one(nets[0], begin.files[0], recipe)
    if recipe.arch == _MERGED:
        raise BadRequestError(
            "hybrid-merged is VGG19 that begins with the mean of a trained VGG16 and VGG19: give both with --init, or "
            "--imagenet; without them it would be a plain VGG19"
        )
    return None


def told(begin: Begin) -> str:
    """Return how the card says what a training began with."""
    if begin.imagenet is not None:
        return "beginning with trunks trained on ImageNet"
    return f"beginning with {' and '.join(file.name for file in begin.files)}" if begin.files else "from scratch"


def digest_of(state: Mapping[str, Tensor] | None) -> str | None:
    """Return the SHA-256 of the weights to begin with, None for random ones."""
    if state is None:
        return None
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _picture_net(file: Path) -> Classifier:
    """Return the network of a weight file without what weighs measurements, which is fitted anew."""
    net = load(file.stem, file.parent, "cpu").net
    net.morphology = None
    return net


def _from_imagenet(begin: Begin, folder: Path, recipe: Recipe) -> State:
    if begin.files:
        raise BadRequestError("a training begins with --init or with --imagenet, not with both")
    if recipe.channels != channels_of(recipe.arch, 1.0):
        raise BadRequestError("ImageNet weights fit the full width only: leave --width at 1")
    if (recipe.mean, recipe.std) != (IMAGENET_MEAN, IMAGENET_STD):
        raise BadRequestError(f"ImageNet weights go with mean {IMAGENET_MEAN} and std {IMAGENET_STD} in the recipe")
    return imagenet_state(recipe.arch, folder)


def _of_one(net: Classifier, file: Path, recipe: Recipe) -> State:
    if net.arch != recipe.arch or net.head.out_features != len(CLASSES):
        raise BadRequestError(f"{file} is a {net.arch} of {net.head.out_features} classes: not what is trained")
    return _as_wide(net, recipe).state_dict()


def _of_two(nets: Sequence[Classifier], recipe: Recipe) -> State:
    by_name = sorted(nets, key=lambda net: net.arch)
    given = [net.arch for net in by_name]
    if recipe.arch not in _OF_TWO or given != _TRUNKS:
        raise BadRequestError(
            f"several weights to begin with are a vgg16 and a vgg19, for a hybrid: not {', '.join(given)} for "
            f"{recipe.arch}"
        )
    of16, of19 = (_as_wide(net, recipe).state_dict() for net in by_name)
    return _OF_TWO[recipe.arch](of16, of19)


def _as_wide(net: Classifier, recipe: Recipe) -> Classifier:
    return net if net.channels == recipe.channels else widened(net, recipe.channels, recipe.seed)
