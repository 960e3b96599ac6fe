"""Imports torchvision's builders on machines where the package alone would fail to import.

torchvision's wheels link against CUDA. Where torch has no CUDA build their operators cannot be loaded, and the
import ends with "operator torchvision::nms does not exist". Declaring the two operators that the import asks for is
enough: nothing here uses them. Every import of torchvision in this project goes through this module.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

_declared: list[torch.library.Library] = []  # the declarations live as long as their library object


def torchvision_vgg() -> ModuleType:
    """Return `torchvision.models.vgg`, importing it on first use.

    Raises whatever the import raises for any other reason than the missing operators.
    """
    return _imported("torchvision.models.vgg")


def torchvision_resnet() -> ModuleType:
    """Return `torchvision.models.resnet`, as torchvision_vgg does."""
    return _imported("torchvision.models.resnet")


def torchvision_densenet() -> ModuleType:
    """Return `torchvision.models.densenet`, as torchvision_vgg does."""
    return _imported("torchvision.models.densenet")


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if torch.version.cuda is not None or "torchvision::nms" not in str(error):
            raise
    _declare_operators()
    return importlib.import_module(name)


def _declare_operators() -> None:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    _declared.append(library)
