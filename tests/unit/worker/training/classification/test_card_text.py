from dataclasses import replace
from pathlib import Path

import pytest

from worker.nets import card_files
from worker.nets.card_files import read_card
from worker.nets.cards import MODEL, STAIN_ANCHORS
from worker.training.classification.card_text import model_card

WEIGHTS = Path(card_files.__file__).parent / "weights"


@pytest.mark.parametrize("name", ["hybrid-2026-11", "hybrid-2026-11-quarter", "hybrid-2026-11-measured"])
def test_the_cards_that_are_shipped_read_as_they_did(name: str) -> None:
    card = read_card(MODEL, WEIGHTS / f"{name}.json")
    assert model_card(card) == (WEIGHTS / f"{name}.md").read_text(encoding="utf-8")


def test_an_evaluation_without_stain_normalisation_is_said_to_be_one() -> None:
    card = read_card(MODEL, WEIGHTS / "hybrid-2026-11-quarter.json")
    told = "for the evaluation without stain normalisation, not of these weights."
    assert told in model_card(replace(card, stain_norm=STAIN_ANCHORS))
    assert told not in model_card(card)


def test_the_questions_that_a_card_answers_are_told_with_their_part_and_interval() -> None:
    card = read_card(MODEL, WEIGHTS / "hybrid-2026-11-quarter.json")
    row = {
        "cells": 413,
        "groups": 7,
        "balanced_accuracy": {"value": 0.9, "low": None, "high": None},
        "auc": {"value": 0.9512, "low": 0.93, "high": 0.97},
    }
    figures = {**card.figures, "questions": {"val": {"segpc": row}}}
    assert "| segpc | val | 413 | 7 | 0.900 | 0.951 (0.930 to 0.970) |" in model_card(replace(card, figures=figures))
