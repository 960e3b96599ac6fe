"""Puts what the judging found on a segmenter's card: `python -m worker.training.segmentation.card_figures`.

    --scores OUT/scores.json --card NAME.json

The model card for people is written anew beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker.errors import BadRequestError
from worker.nets.card_files import read_card, write_card
from worker.nets.segmenter_cards import SEGMENTER, SegmenterCard
from worker.training.segmentation.card_text import FIGURES, model_card


def with_figures(card: SegmenterCard, scores: Mapping[str, Any]) -> SegmenterCard:
    """Return the card with the figures of each source; raises BadRequestError when the scores have none of it."""
    found = {
        one["source"]: {name: one["figures"][name]["value"] for name in FIGURES if one["figures"].get(name)}
        for one in scores["scores"]
        if scores["weights"][f"{one['segmenter']} on {one['source']}"] == card.name
    }
    if not found:
        raise BadRequestError(f"these scores have none of {card.name}: judge it first")
    return replace(card, figures={**card.figures, "part": scores["part"], "cells": found})


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and rewrite the cards."""
    parser = argparse.ArgumentParser(prog="python -m worker.training.segmentation.card_figures")
    parser.add_argument("--scores", type=Path, required=True, help="scores.json of segmentation.evaluate")
    parser.add_argument("--card", type=Path, required=True, help="the card to be completed, NAME.json")
    chosen = parser.parse_args(arguments)
    card = with_figures(read_card(SEGMENTER, chosen.card), json.loads(chosen.scores.read_text(encoding="utf-8")))
    write_card(SEGMENTER, card, chosen.card)
    chosen.card.with_suffix(".md").write_text(model_card(card), encoding="utf-8")


if __name__ == "__main__":
    main()
