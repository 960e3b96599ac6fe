"""What an evaluation says of a card's network under both protocols, to be stated beside the figures of its weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker.errors import BadRequestError, ModelError
from worker.nets.card_files import Files, read_card, verified_bytes, write_card
from worker.nets.cards import HYBRID, MODEL, Card
from worker.training.classification.card_text import model_card

_FIGURES = ("balanced_accuracy", "auc")
_COLOUR = "colour"


def state_protocols(weights: Path, evaluation: Path) -> Card:
    """Write the figures of an evaluation onto both cards of a weight file, and return the card.

    Raises BadRequestError when the evaluation has no figures of the weights' architecture, ModelError when the weights
    or their card are missing or altered.
    """
    if not weights.is_file():
        raise ModelError(f"{weights} is not there")
    file = weights.with_suffix(".json")
    card = read_card(MODEL, file)
    verified_bytes(Files(card=card, weights=weights))
    arch = "hybrid" if card.arch == HYBRID else card.arch
    card = replace(card, figures={**card.figures, "protocols": protocols_of(evaluation, arch)})
    write_card(MODEL, card, file)
    weights.with_suffix(".md").write_text(model_card(card), encoding="utf-8")
    return card


def protocols_of(evaluation: Path, arch: str) -> dict[str, Any]:
    """Return by task and protocol the figures of `arch` and of colour alone, read from an evaluation's figures.json.

    They are of networks trained for the evaluation, fold by fold, not of the weights on whose card they stand. Raises
    BadRequestError when the folder holds no evaluation of `arch`.
    """
    file = evaluation / "figures.json"
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        systems = [one for one in document["systems"] if one["arch"] in (arch, _COLOUR)]
        out: dict[str, Any] = {}
        for one in systems:
            place = out.setdefault(one["task"], {}).setdefault(one["protocol"], {})
            place[one["arch"]] = {name: one["figures"][name] for name in _FIGURES}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadRequestError(f"{file} is no evaluation: {error}; give the --out of `marrowline evaluate`") from error
    if not any(one["arch"] == arch for one in systems):
        raise BadRequestError(f"{evaluation} has no figures of {arch}: evaluate with --arch {arch}")
    return {"arch": arch, "tasks": out}
