"""Weight files and their cards, known without loading torch.

A model is two files in one folder: NAME.safetensors and NAME.json, its card. The card names the weights' SHA-256, the
class list and the preprocessing, so that inference cannot drift from training.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from db.records import CellClass, ModelVersion
from worker.errors import ModelError

SHIPPED = Path(__file__).parent / "weights"
HYBRID = "hybrid-vgg16bn-vgg19bn"
NO_STAIN_NORM, STAIN_ANCHORS = "none", "anchors-2026-11"
"""What a card may say of stain normalisation; a changed method or reference gets another name."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PREPROCESS = ("arch", "channels", "mpp_um", "crop_px", "mean", "std", "temperature", "abstain_below")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a weight file is, how it is to be fed, and how well it did where."""

    name: str
    arch: str = HYBRID
    channels: tuple[int, ...]  # of the five VGG stages
    created: str  # ISO date
    version: str = "1"
    weights_sha256: str = ""
    classes: tuple[str, ...]
    mpp_um: float  # of the working plane
    crop_px: int  # side of the square input
    mean: tuple[float, float, float]  # of RGB / 255
    std: tuple[float, float, float]
    stain_norm: str = NO_STAIN_NORM  # what brings crops to a reference stain (worker/cells/stain_norm.py)
    temperature: float = 1.0  # logits are divided by it
    abstain_below: float = 0.0  # calls with a lower highest probability are abstained
    seed: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    terms: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """A card and where the weights lie."""

    card: Card
    weights: Path


def names(models_dir: Path | None = None) -> tuple[str, ...]:
    """Return the names that have both a card and weights, sorted; those in `models_dir` and the shipped ones."""
    found = {
        card.stem
        for folder in _folders(models_dir)
        for card in folder.glob("*.json")
        if card.with_suffix(".safetensors").is_file()
    }
    return tuple(sorted(found))


def find(name: str, models_dir: Path | None = None) -> ModelFiles:
    """Return the files of a model; a folder of one's own comes before the shipped weights.

    Raises ModelError when the model is not installed or its card cannot be read.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(f"{name!r} is no model name: use letters a-z, digits, '.', '_' and '-'")
    for folder in _folders(models_dir):
        card, weights = folder / f"{name}.json", folder / f"{name}.safetensors"
        if card.is_file() and weights.is_file():
            files = ModelFiles(card=read_card(card), weights=weights)
            if files.card.name != name:
                raise ModelError(f"{card} is the card of {files.card.name!r}: rename the files back")
            return files
    searched = ", ".join(str(folder) for folder in _folders(models_dir))
    known = ", ".join(names(models_dir)) or "none"
    raise ModelError(
        f"no weights for model {name!r}: {name}.safetensors with its card {name}.json was looked for in {searched}; "
        f"installed models: {known}. Put both files into a folder and set MARROWLINE_MODELS_DIR to it, "
        "or train them with python -m worker.training.fit"
    )


def describe(name: str, models_dir: Path | None = None) -> ModelVersion:
    """Return the model version to register, after the weights' SHA-256 was checked against the card."""
    files = find(name, models_dir)
    verified_bytes(files)
    stored = asdict(files.card)
    # Versions registered before there was a choice carry no such key, and what is registered never changes.
    chosen = () if files.card.stain_norm == NO_STAIN_NORM else ("stain_norm",)
    return ModelVersion(
        name=files.card.name,
        weights_sha256=files.card.weights_sha256,
        classes=files.card.classes,
        preprocess={key: stored[key] for key in (*_PREPROCESS, *chosen)},
    )


def verified_bytes(files: ModelFiles) -> bytes:
    """Return the content of the weight file; raises ModelError unless it is the one the card describes."""
    content = files.weights.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != files.card.weights_sha256:
        raise ModelError(
            f"{files.weights} has SHA-256 {found}, its card says {files.card.weights_sha256 or 'nothing'}: "
            "the file is altered or incomplete; install it again"
        )
    return content


def read_card(path: Path) -> Card:
    """Return the card in a JSON file; raises ModelError when it is not one."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        known = {entry.name for entry in fields(Card)}
        if unknown := set(stored) - known:
            raise ModelError(f"{path}: unknown fields {', '.join(sorted(unknown))}")
        lists = {key: tuple(value) for key, value in stored.items() if isinstance(value, list)}
        card = Card(**{**stored, **lists})
        _check(card)
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a model card: {error}") from error
    return card


def write_card(card: Card, path: Path) -> None:
    """Write a card as JSON; raises ModelError when it would not be read back."""
    try:
        _check(card)
    except (ValueError, TypeError) as error:
        raise ModelError(f"card {card.name!r}: {error}") from error
    path.write_text(json.dumps(asdict(card), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _check(card: Card) -> None:
    if not _NAME.fullmatch(card.name):
        raise ValueError(f"{card.name!r} is no model name")
    unknown = set(card.classes) - set(CellClass)
    if unknown or len(set(card.classes)) != len(card.classes) or not card.classes:
        raise ValueError(f"classes must be distinct cell classes; not known: {sorted(unknown)}")
    if len(card.mean) != 3 or len(card.std) != 3 or min(card.std) <= 0:
        raise ValueError("mean and std need three values each, std above zero")
    if card.stain_norm not in (NO_STAIN_NORM, STAIN_ANCHORS):
        raise ValueError(f"stain_norm is {NO_STAIN_NORM!r} or {STAIN_ANCHORS!r}, not {card.stain_norm!r}")
    if min(card.mpp_um, card.crop_px, card.temperature) <= 0 or not 0 <= card.abstain_below <= 1:
        raise ValueError("mpp_um, crop_px and temperature must be positive, abstain_below in 0..1")


def _folders(models_dir: Path | None) -> tuple[Path, ...]:
    return (SHIPPED,) if models_dir is None else (models_dir, SHIPPED)
