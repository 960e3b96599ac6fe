"""Models for tests of the registry: real cards beside weights that are any bytes, as nothing there loads them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from worker.nets.card_files import Files, write_files
from worker.nets.cards import MODEL, Card
from worker.nets.segmenter_cards import SEGMENTER, SegmenterCard

CARD = Card(
    name="new",
    channels=(1, 1, 1, 1, 1),
    created="2026-11-23",
    classes=("lymphoblast", "lymphocyte"),
    mpp_um=0.25,
    crop_px=48,
    mean=(0.5, 0.5, 0.5),
    std=(1.0, 1.0, 1.0),
    figures={"photographed": {"balanced_accuracy": 0.75}},
    limits="for tests only",
    terms="CC BY 4.0",
)


def write_model(folder: Path, card: Card = CARD, content: bytes = b"weights") -> Files[Card]:
    """Write weights and the card that describes them."""
    return write_files(MODEL, replace(card, weights_sha256=hashlib.sha256(content).hexdigest()), content, folder)


def write_segmenter(folder: Path, name: str = "finder", content: bytes = b"finder's") -> Files[SegmenterCard]:
    """Write a segmenter's weights and card below a folder of models."""
    card = SegmenterCard(
        name=name,
        widths=(8, 8),
        created="2026-11-23",
        weights_sha256=hashlib.sha256(content).hexdigest(),
        mpp_um=0.25,
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
    )
    return write_files(SEGMENTER, card, content, folder / SEGMENTER.folder)


def altered(path: Path) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
