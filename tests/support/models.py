"""Tiny hybrid networks with seeded weights, written and loaded through the registry itself."""

from __future__ import annotations

from pathlib import Path

import torch

from worker.nets.architectures import build, channels_of
from worker.nets.card_files import Files
from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.nets.registry import save
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
