"""ImageNet weights for the trunks, where torchvision's files lie on this machine; nothing is downloaded.

The files are those of torchvision, found by name in a folder or in torch's hub cache, or the same tensors as
safetensors. Crops must then be normalised with IMAGENET_MEAN and IMAGENET_STD, and the card says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from worker.errors import ModelError
from worker.nets.architectures import build, channels_of, initial_hybrid, merged_state
from worker.nets.merged import TRUNK
from worker.nets.torch_files import state_of

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_PUBLISHED = {  # a name ends with the start of its file's SHA-256; of several, the first one that is here is taken
    "vgg16": ("vgg16_bn-6c64b313.pth",),
    "vgg19": ("vgg19_bn-c79401a0.pth",),
    "resnet50": ("resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth", "resnet50-19c8e357.pth"),
}
_OF_TWO: dict[str, Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], dict[str, Tensor]]] = {
    "hybrid": initial_hybrid,
    "hybrid-merged": merged_state,
}
_DIGEST = re.compile(r"-([0-9a-f]{8,64})$")
_COUNTS = ".num_batches_tracked"


def imagenet_state(arch: str, folder: Path | None = None) -> dict[str, Tensor]:
    """Return the trunks of a full-width network as trained on ImageNet, to begin a training from; no head.

    The files are looked for in `folder`, by default torch's hub cache. Raises ModelError when none was published for
    the architecture, and when a file is missing, altered, or not what torchvision published.
    """
    if arch in _OF_TWO:
        return _OF_TWO[arch](imagenet_state("vgg16", folder), imagenet_state("vgg19", folder))
    if arch not in _PUBLISHED:
        raise ModelError(f"there are no ImageNet weights for {arch}: train it from scratch")
    path = _found(arch, folder or hub_cache())
    _check_digest(path)
    try:
        return _fitting(arch, _published(path))
    except (ValueError, SafetensorError) as error:
        raise ModelError(f"{path}: {error}") from error


def hub_cache() -> Path:
    """Return the folder into which torch downloads weights."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def _found(arch: str, folder: Path) -> Path:
    """Return the first file that is here; safetensors come before torch's own form."""
    name = _PUBLISHED[arch][0].partition("-")[0]
    converted = sorted(folder.glob(f"{name}.safetensors")) + sorted(folder.glob(f"{name}-*.safetensors"))
    for path in (*converted, *(folder / file for file in _PUBLISHED[arch])):
        if path.is_file():
            return path
    raise ModelError(
        f"ImageNet weights for {arch} are not here: put {_PUBLISHED[arch][0]} from download.pytorch.org/models, or the "
        f"same tensors as {name}.safetensors, into {folder}"
    )


def _check_digest(path: Path) -> None:
    """Raise ModelError when a file's name ends with a SHA-256, or the start of one, that is not the file's."""
    said = _DIGEST.search(path.stem)
    if said is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(said[1]):
        raise ModelError(
            f"{path} is altered, incomplete or renamed: by its name its SHA-256 starts {said[1]}, it is {found[:16]}…"
        )


def _published(path: Path) -> dict[str, Tensor]:
    """Return the tensors of the trunk by torchvision's names."""
    if path.suffix != ".safetensors":
        return state_of(path, _is_of_trunk)
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys() if _is_of_trunk(key)}  # noqa: SIM118


def _is_of_trunk(key: str) -> bool:
    return not key.startswith(("classifier.", "fc."))


def _fitting(arch: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors by our names; raises ValueError unless they are exactly those of the trunk."""
    state = {TRUNK + key.removeprefix("features."): value for key, value in published.items()}
    with torch.device("meta"):
        wanted = build(arch, channels_of(arch, 1.0), 1).state_dict()
    # Files from before batch norm counted its batches lack the counts.
    state |= {key: torch.tensor(0) for key in wanted if key.endswith(_COUNTS) and key not in state}
    shapes = {key: value.shape for key, value in wanted.items() if key.startswith(TRUNK)}
    if {key: value.shape for key, value in state.items()} != shapes:
        raise ValueError(f"these are not the layers of {arch}")
    return state
