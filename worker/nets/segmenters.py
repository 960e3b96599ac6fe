"""Loads a segmenter from its verified weight file, and writes one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import nn

from worker.errors import ModelError
from worker.nets.card_files import Files, verified_bytes, write_files
from worker.nets.device import chosen_device
from worker.nets.segmenter_cards import SEGMENTER, SEGNET, SegmenterCard, find
from worker.nets.segnet import SegNet, fold


@dataclass(frozen=True, kw_only=True)
class Segmenter:
    """A network ready to be called, its normalisations folded in, with its card."""

    card: SegmenterCard
    net: SegNet
    device: torch.device


def load_segmenter(name: str, models_dir: Path | None = None, device: str = "auto") -> Segmenter:
    """Return a segmenter; `device` is `cpu`, `cuda:0`, … or `auto`.

    Raises ModelError when the weights are missing (and says where they go), altered, or do not fit their card.
    """
    files = find(name, models_dir)
    card = files.card
    if card.arch != SEGNET:
        raise ModelError(f"{card.name}: no network called {card.arch!r} in this version; it knows {SEGNET}")
    net = SegNet(card.widths)
    try:
        net.load_state_dict(load_tensors(verified_bytes(files)))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{files.weights} does not fit its card: {error}") from error
    return ready(net, card, chosen_device(device))


def ready(net: SegNet, card: SegmenterCard, device: torch.device) -> Segmenter:
    """Return a trained network as it is used: folded, fixed, laid out for its device."""
    folded = fold(net.eval()).requires_grad_(requires_grad=False)
    for weight in folded.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return Segmenter(card=card, net=folded.to(device), device=device)


def halve(net: nn.Module) -> None:
    """Round the convolutions to half precision, as the file will hold them, so that all figures are the file's."""
    with torch.no_grad():
        for weight in net.parameters():
            if weight.dim() > 1:
                weight.copy_(weight.half())


def save_segmenter(net: SegNet, card: SegmenterCard, folder: Path) -> Files[SegmenterCard]:
    """Write NAME.safetensors and NAME.json; convolutions in half precision, all else in single.

    The card written carries the weights' SHA-256.
    """
    tensors = {
        key: value.detach().to("cpu", torch.float16 if value.dim() > 1 else value.dtype).contiguous()
        for key, value in net.state_dict().items()
    }
    content = dump_tensors(tensors)
    card = replace(card, widths=net.widths, weights_sha256=hashlib.sha256(content).hexdigest())
    return write_files(SEGMENTER, card, content, folder)
