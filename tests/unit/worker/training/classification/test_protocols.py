from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.evaluations import begun
from tests.support.registry import CARD, altered, write_model
from worker.errors import BadRequestError, ModelError
from worker.nets.cards import find
from worker.training.classification.evaluation import running, tasks
from worker.training.classification.protocols import protocols_of, state_protocols

_PHOTOGRAPHED = {
    "crops": 0,
    "balanced_accuracy": 0.8,
    "coverage": 0.9,
    "accuracy_of_called": 0.9,
    "recall": {},
    "sources": {},
    "confusion": {},
}
_CERTAINTY = {
    "crops": 0,
    "calibration_error": 0.01,
    "calibration_error_of_perfect_95": 0.02,
    "error": 0.1,
    "coverage": 0.9,
    "error_at_coverage": 0.05,
}
_FIGURES = {"photographed": _PHOTOGRAPHED, "certainty": _CERTAINTY, "colour_only_baseline_balanced_accuracy": 0.5}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated")
    request = running.Request(
        data=(out,),
        whole=begun(out),
        tasks=tasks.chosen(("pbc", "taleqani")),
        protocols=("paper", "grouped"),
        archs=("svm", "colour"),
        at_once=1,
    )
    running.evaluate(request, lambda _: None)
    return out


def test_both_protocols_stand_beside_colour_alone(evaluated: Path) -> None:
    stated = protocols_of(evaluated, "svm")
    assert stated["tasks"].keys() == {"pbc", "taleqani"}
    grouped = stated["tasks"]["taleqani"]["grouped"]
    assert grouped["svm"]["balanced_accuracy"]["value"] > 0
    assert grouped["colour"]["balanced_accuracy"]["value"] == 1  # the made-up classes are told by colour


def test_they_come_onto_both_cards_and_the_weights_stay(evaluated: Path, tmp_path: Path) -> None:
    files = write_model(tmp_path, replace(CARD, name="made", arch="svm", figures=_FIGURES))
    weights = files.weights
    before = weights.read_bytes()
    state_protocols(weights, evaluated)
    assert weights.read_bytes() == before
    stated = find("made", tmp_path).card.figures["protocols"]
    assert stated == protocols_of(evaluated, "svm")
    row = next(line for line in weights.with_suffix(".md").read_text().splitlines() if line.startswith("| taleqani"))
    assert row.count("1.000 (") == 5  # the made-up classes are told by colour


def test_an_evaluation_of_something_else_is_refused(evaluated: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="no figures of hybrid: evaluate with --arch hybrid"):
        protocols_of(evaluated, "hybrid")
    with pytest.raises(BadRequestError, match="is no evaluation"):
        protocols_of(tmp_path, "hybrid")


def test_a_card_of_altered_weights_is_left_as_it_is(evaluated: Path, tmp_path: Path) -> None:
    files = write_model(tmp_path, replace(CARD, arch="svm", figures=_FIGURES))
    altered(files.weights)
    before = files.weights.with_suffix(".json").read_bytes()
    with pytest.raises(ModelError, match="is altered or incomplete"):
        state_protocols(files.weights, evaluated)
    assert files.weights.with_suffix(".json").read_bytes() == before
