"""The cards of classifiers: class list, preprocessing and segmenter, so that inference cannot drift from training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from db.records import CellClass, Confusion, ModelVersion
from worker.errors import ModelError
from worker.nets import card_files, segmenter_cards
from worker.nets.card_files import LATER, Files, Kind, verified_bytes
from worker.nets.segmenter_cards import SegmenterCard

HYBRID = "hybrid-vgg16bn-vgg19bn"
"""How cards call the parallel hybrid; other networks go by their name in worker/nets/architectures.py."""
FLOAT16, INT8 = "float16", "int8"
"""How a weight file may hold its convolutions (worker/nets/packing.py)."""
NO_STAIN_NORM, STAIN_ANCHORS = "none", "anchors-2026-11"
STAIN_NORMS = NO_STAIN_NORM, STAIN_ANCHORS
"""What a card may say of stain normalisation; a changed method or reference gets another name."""
_PREPROCESS = ("arch", "channels", "mpp_um", "crop_px", "mean", "std", "temperature", "abstain_below")


class Colour(StrEnum):
    """The colour space that a network sees."""

    RGB = "rgb"
    LAB = "lab"  # CIE L*a*b*, D65, as OpenCV scales it to 8 bits
    HSV = "hsv"  # hue in 0..179


class Denoise(StrEnum):
    """The noise filter before the colour conversion."""

    NONE = "none"
    MEDIAN = "median"  # 3 x 3
    GAUSSIAN = "gaussian"  # 3 x 3


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a weight file is, how it is to be fed, and how well it did where."""

    name: str
    arch: str = HYBRID
    channels: tuple[int, ...]  # as the architecture takes them (worker/nets/architectures.py)
    stored: str = FLOAT16
    created: str  # ISO date
    version: str = "1"
    weights_of: str = ""  # the model whose weight file this one uses; its own when empty
    weights_sha256: str = ""
    segmenter: str = ""  # by which cells are found (worker/nets/segmenters.py); the classical one when empty
    segmenter_sha256: str = ""
    classes: tuple[str, ...]
    mpp_um: float  # of the working plane
    crop_px: int  # side of the square that is cut out around a nucleus
    input_px: int = 0  # side that it is brought to for the network; crop_px when 0
    colour: str = Colour.RGB  # what the network sees crops in
    denoise: str = Denoise.NONE  # the filter before that
    mean: tuple[float, float, float]  # of the three channels / 255
    std: tuple[float, float, float]
    stain_norm: str = NO_STAIN_NORM  # what brings crops to a reference stain (worker/cells/stain_norm.py)
    # Measured of each cell and weighed beside its picture (worker/cells/measures.py), and so many times their
    # log-probabilities are added to the picture's.
    measures: tuple[str, ...] = field(default=(), metadata={LATER: True})
    measures_weight: float = field(default=0.0, metadata={LATER: True})
    turns: int = 1  # turned and mirrored copies of a crop whose probabilities are averaged
    temperature: float = 1.0  # logits are divided by it
    abstain_below: float = 0.0  # calls with a lower highest probability are abstained
    outlying_above: float = 0.0  # and those with a higher score (worker/nets/outliers.py); 0: there is none
    confusion: Mapping[str, Any] = field(default_factory=dict)  # `classes` and `counts` of a db.records.Confusion
    seed: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    terms: str = ""


def names(models_dir: Path | None = None) -> tuple[str, ...]:
    """Return the names of the installed models, sorted; those in `models_dir` and the shipped ones."""
    return card_files.names(MODEL, models_dir)


def find(name: str, models_dir: Path | None = None) -> Files[Card]:
    """Return the files of a model; raises ModelError when it is not installed or its card cannot be read."""
    return card_files.find(MODEL, name, models_dir)


def segmenter_of(card: Card, models_dir: Path | None = None) -> Files[SegmenterCard] | None:
    """Return the files of the segmenter that a card names, None when it names none.

    Raises ModelError when it is not installed, or is another one than the card was made for.
    """
    if not card.segmenter:
        return None
    files = segmenter_cards.find(card.segmenter, models_dir)
    if files.card.weights_sha256 != card.segmenter_sha256:
        raise ModelError(
            f"{card.name} goes with the segmenter {card.segmenter} of SHA-256 {card.segmenter_sha256[:12]}, the one "
            f"installed has {files.card.weights_sha256[:12]}: install the one that the card names"
        )
    if files.card.mpp_um != card.mpp_um:
        raise ModelError(f"{card.name} works at {card.mpp_um} µm/px, its segmenter at {files.card.mpp_um}")
    return files


def describe(name: str, models_dir: Path | None = None) -> ModelVersion:
    """Return the model version to register, after its weights and its segmenter's were checked against the cards."""
    files = find(name, models_dir)
    verified_bytes(files)
    if (segmenter := segmenter_of(files.card, models_dir)) is not None:
        verified_bytes(segmenter)
    return version_of(files.card)


def version_of(card: Card) -> ModelVersion:
    """Return the model version that a card describes, its preprocessing as JSON would give it back."""
    stored = json.loads(json.dumps(asdict(card)))
    # Versions registered before there was a choice carry no such key, and what is registered never changes.
    chosen = [] if card.stain_norm == NO_STAIN_NORM else ["stain_norm"]
    chosen += ["input_px"] if card.input_px else []
    chosen += ["colour"] if card.colour != Colour.RGB else []
    chosen += ["denoise"] if card.denoise != Denoise.NONE else []
    chosen += ["turns"] if card.turns != 1 else []
    chosen += ["outlying_above"] if card.outlying_above else []
    chosen += ["measures", "measures_weight"] if card.measures else []
    chosen += ["segmenter", "segmenter_sha256"] if card.segmenter else []
    return ModelVersion(
        name=card.name,
        weights_sha256=card.weights_sha256,
        classes=card.classes,
        preprocess={key: stored[key] for key in (*_PREPROCESS, *chosen)},
        confusion=confusion_of(card),
    )


def confusion_of(card: Card) -> Confusion | None:
    """Return the confusion that a card states, None when it states none; raises ValueError when it is not one."""
    if not card.confusion:
        return None
    try:
        counts = tuple(tuple(int(count) for count in row) for row in card.confusion["counts"])
        confusion = Confusion(classes=tuple(card.confusion["classes"]), counts=counts)
    except KeyError as error:
        raise ValueError(f"a confusion has {error}") from error
    if confusion.classes != card.classes:
        raise ValueError("the confusion is of the card's classes, in their order")
    return confusion


def _check(card: Card) -> None:
    if bool(card.segmenter) != bool(card.segmenter_sha256):
        raise ValueError("a segmenter is named with its weights' SHA-256, or neither")
    unknown = set(card.classes) - set(CellClass)
    if unknown or len(set(card.classes)) != len(card.classes) or not card.classes:
        raise ValueError(f"classes must be distinct cell classes; not known: {sorted(unknown)}")
    if len(card.mean) != 3 or len(card.std) != 3 or min(card.std) <= 0:
        raise ValueError("mean and std need three values each, std above zero")
    if card.stored not in (FLOAT16, INT8):
        raise ValueError(f"stored is {FLOAT16!r} or {INT8!r}, not {card.stored!r}")
    if min(card.mpp_um, card.crop_px, card.temperature) <= 0 or not 0 <= card.abstain_below <= 1:
        raise ValueError("mpp_um, crop_px and temperature must be positive, abstain_below in 0..1")
    if bool(card.measures) != (card.measures_weight > 0) or len(set(card.measures)) != len(card.measures):
        raise ValueError("measures are distinct names with a weight above zero, or there are none and it is 0")
    if card.outlying_above < 0:
        raise ValueError("outlying_above is a score above zero, or 0 for none")
    _check_finite(card)
    _check_look(card)
    confusion_of(card)


def _check_look(card: Card) -> None:
    """Check what crops are made into before the network sees them."""
    if card.colour not in set(Colour) or card.denoise not in set(Denoise):
        raise ValueError(f"colour is one of {', '.join(Colour)}, denoise one of {', '.join(Denoise)}")
    if card.stain_norm not in STAIN_NORMS:
        raise ValueError(f"stain_norm is one of {', '.join(STAIN_NORMS)}, not {card.stain_norm!r}")
    if card.input_px < 0:
        raise ValueError("input_px is a side in pixels, or 0 for crop_px")
    if not 1 <= card.turns <= 8:
        raise ValueError("turns is the number of copies of a crop, 1 to 8")


def _check_finite(card: Card) -> None:
    limits = card.abstain_below, card.outlying_above
    numbers = (*card.mean, *card.std, card.mpp_um, card.temperature, card.measures_weight, *limits)
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("mean, std, mpp_um, temperature, weights and limits are finite")


MODEL = Kind(what="model", card=Card, check=_check, folder="", trained_by="marrowline train classifier")
