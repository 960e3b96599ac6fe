"""Tiny hybrid networks with seeded weights, written and loaded through the registry itself."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import torch

from worker.nets.architectures import build, channels_of
from worker.nets.card_files import Files
from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.nets.morphology import Morphology
from worker.nets.registry import Model, save
from worker.nets.segmenter_cards import SegmenterCard
from worker.nets.segmenters import save_segmenter
from worker.nets.segnet import SegNet

CLASSES = ("lymphoblast", "plasma_cell", "lymphocyte", "neutrophil", "artefact")


def write_tiny_model(
    folder: Path,
    *,
    name: str = "tiny",
    classes: tuple[str, ...] = CLASSES,
    crop_px: int = 48,
    abstain_below: float = 0.0,
) -> Files[Card]:
    """Write the weights and card of a seeded, untrained network of a 32nd of the width into `folder`."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = build("hybrid", channels_of("hybrid", 1 / 32), len(classes))
    card = card_of(net, classes, name=name, crop_px=crop_px, abstain_below=abstain_below)
    return save(net, card, folder)


def card_of(
    net: Classifier,
    classes: tuple[str, ...] = CLASSES,
    *,
    name: str = "tiny",
    crop_px: int = 48,
    abstain_below: float = 0.0,
) -> Card:
    """Return the card of a network that was not trained."""
    return Card(
        name=name,
        channels=net.channels,
        created="2026-11-23",
        classes=classes,
        mpp_um=0.25,
        crop_px=crop_px,
        mean=(0.8, 0.7, 0.8),
        std=(0.2, 0.2, 0.2),
        abstain_below=abstain_below,
        limits="untrained: for tests of the line only",
    )


def write_tiny_segmenter(folder: Path, *, name: str = "tiny-segmenter", seed: int = 7) -> Files[SegmenterCard]:
    """Write the weights and card of a seeded, untrained segmenter below `folder`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = SegNet((8, 8, 12, 12))
    card = SegmenterCard(
        name=name,
        widths=net.widths,
        created="2026-11-23",
        mpp_um=0.25,
        mean=(0.76, 0.66, 0.72),
        std=(0.18, 0.22, 0.16),
        limits="untrained: for tests of the line only",
    )
    return save_segmenter(net, card, folder / "segmenters")


def weighing(model: Model, size_weight: float) -> Model:
    """Return the model with a network besides that calls large nuclei the first class and small ones the second.

    It weighs nothing but the area of the nucleus, about 40 µm².
    """
    classes = len(model.card.classes)
    net = copy.deepcopy(model.net)
    net.morphology = Morphology(1, classes).eval()
    with torch.no_grad():
        for weight in net.morphology.parameters():
            weight.zero_()
        net.morphology.centre.fill_(40.0)
        # Two units carry what is above and below the centre through to the first two classes.
        first, second, last = (net.morphology.layers[at].get_parameter("weight") for at in (0, 3, 6))
        first[:2, 0] = torch.tensor([1.0, -1.0])
        second[:2, :2] = last[:2, :2] = torch.eye(2)
    card = replace(model.card, measures=("nucleus_area_um2",), measures_weight=size_weight)
    return replace(model, card=card, net=net)
