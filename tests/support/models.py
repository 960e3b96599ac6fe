"""Tiny hybrid networks with seeded weights, written and loaded through the registry itself."""

from __future__ import annotations

from pathlib import Path

import torch

from worker.nets.cards import Card, ModelFiles
from worker.nets.hybrid import Hybrid, scaled
from worker.nets.registry import save

CLASSES = ("lymphoblast", "plasma_cell", "lymphocyte", "neutrophil", "artefact")


def write_tiny_model(
    folder: Path,
    *,
    name: str = "tiny",
    classes: tuple[str, ...] = CLASSES,
    crop_px: int = 48,
    abstain_below: float = 0.0,
) -> ModelFiles:
    """Write the weights and card of a seeded, untrained network of a 32nd of the width into `folder`."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = Hybrid(scaled(1 / 32), len(classes))
    card = Card(
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
    return save(net, card, folder)
