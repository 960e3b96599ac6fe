from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.models import write_tiny_segmenter
from worker.errors import BadRequestError
from worker.nets.card_files import read_card
from worker.nets.segmenter_cards import SEGMENTER
from worker.training.segmentation.card_figures import main

SCORES = {
    "part": "val",
    "weights": {"learned on a_set": "tiny-segmenter", "classical on a_set": "classical"},
    "scores": [
        {"source": "a_set", "segmenter": "learned", "figures": {"dice": {"value": 0.91}, "nucleus_dice": None}},
        {"source": "a_set", "segmenter": "classical", "figures": {"dice": {"value": 0.5}}},
    ],
}


def test_a_card_takes_its_own_figures_from_the_scores(tmp_path: Path) -> None:
    files = write_tiny_segmenter(tmp_path)
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    card = files.weights.with_suffix(".json")
    main(["--scores", str(tmp_path / "scores.json"), "--card", str(card)])
    found = read_card(SEGMENTER, card)
    assert found.figures["cells"] == {"a_set": {"dice": 0.91}}
    assert found.weights_sha256 == files.card.weights_sha256
    assert "| a_set | 0.910 |" in card.with_suffix(".md").read_text()


def test_scores_of_other_weights_are_refused(tmp_path: Path) -> None:
    files = write_tiny_segmenter(tmp_path, name="other")
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    with pytest.raises(BadRequestError, match="none of other"):
        main(["--scores", str(tmp_path / "scores.json"), "--card", str(files.weights.with_suffix(".json"))])
