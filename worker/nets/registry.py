"""Loads a network from its verified weight file, and writes one.

Weights are safetensors only; a file is read once, its SHA-256 is compared with the card, and those same bytes are
loaded. There is no way to a network with random weights here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors

from worker.errors import ModelError
from worker.nets.architectures import NETWORKS, Classifier, build
from worker.nets.card_files import Files, verified_bytes, write_files
from worker.nets.cards import HYBRID, MODEL, Card, find, segmenter_of
from worker.nets.device import chosen_device
from worker.nets.morphology import Morphology
from worker.nets.outliers import Outliers, named, parted
from worker.nets.packing import packed, unpacked
from worker.nets.segmenters import Segmenter, load_segmenter

_ARCHS = {HYBRID if name == "hybrid" else name: name for name in NETWORKS}
"""Names on cards, and of the networks that they mean."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network in evaluation mode on its device, with its card and with what finds the cells for it."""

    card: Card
    net: Classifier
    device: torch.device
    segmenter: Segmenter | None = None  # None: the classical one
    outliers: Outliers | None = None  # None: the card has no limit for its scores


def load(name: str, models_dir: Path | None = None, device: str = "auto") -> Model:
    """Return a model ready to call cells; `device` is `cpu`, `cuda:0`, … or `auto`.

    Raises ModelError when the weights are missing (and says where they go), altered, or do not fit their card.
    """
    files = find(name, models_dir)
    card = files.card
    net, outliers = _network(files)
    where = chosen_device(device)
    net.eval().requires_grad_(requires_grad=False)
    for weight in net.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return Model(
        card=card,
        net=net.to(where),
        device=where,
        segmenter=_segmenter(card, models_dir, device),
        outliers=outliers.to(where) if outliers is not None and card.outlying_above else None,
    )


def _segmenter(card: Card, models_dir: Path | None, device: str) -> Segmenter | None:
    files = segmenter_of(card, models_dir)
    return None if files is None else load_segmenter(files.card.name, models_dir, device)


def _network(files: Files[Card]) -> tuple[Classifier, Outliers | None]:
    """Return the network that a card describes with the weights of its file, and where its known cells lie."""
    card = files.card
    if card.arch not in _ARCHS:
        raise ModelError(
            f"{card.name}: no network called {card.arch!r} in this version; it knows {', '.join(sorted(_ARCHS))}"
        )
    try:
        net = build(_ARCHS[card.arch], card.channels, len(card.classes))
        if card.measures:
            net.morphology = Morphology(len(card.measures), len(card.classes))
        tensors, outliers = parted(load_tensors(verified_bytes(files)))
        net.load_state_dict(unpacked(tensors, card.stored))
        _check_outliers(outliers, net, card)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ModelError(f"{files.weights} does not fit its card: {error}") from error
    return net, outliers


def _check_outliers(outliers: Outliers | None, net: Classifier, card: Card) -> None:
    """Raise ValueError for a limit without the statistics that it is a limit of, or for those of another network."""
    if outliers is None and card.outlying_above:
        raise ValueError("the card has a limit for outlying cells, and the file no statistics for it")
    if outliers is not None and len(outliers.centre) != net.head.in_features:
        raise ValueError(f"outlier statistics of {len(outliers.centre)} features, not {net.head.in_features}")


def save(net: Classifier, card: Card, folder: Path, outliers: Outliers | None = None) -> Files[Card]:
    """Write NAME.safetensors and NAME.json; the card's `stored` says how the weights are held.

    The card written carries the network's architecture and channels and the weights' SHA-256. The weights land before
    the card, each whole or not at all. Raises ModelError for a card that would not be read back, ValueError for one
    that names measures which the network does not weigh.
    """
    if (net.morphology is not None) != bool(card.measures):
        raise ValueError("the card names measures when the network weighs them, and none otherwise")
    statistics = {} if outliers is None else named(outliers)
    content = dump_tensors({**packed(net.state_dict(), card.stored), **statistics})
    arch = next(on_card for on_card, name in _ARCHS.items() if name == net.arch)
    digest = hashlib.sha256(content).hexdigest()
    return write_files(MODEL, replace(card, arch=arch, channels=net.channels, weights_sha256=digest), content, folder)
