from __future__ import annotations

import json

import numpy as np

from tests.support.outcomes import outcome
from worker.training.classification.evaluation.document import FORMAT, to_json
from worker.training.classification.evaluation.judging import judge


def test_the_document_says_every_figure_and_null_where_there_is_none() -> None:
    lacking = outcome(count=12, groups=1, fold=np.zeros(12, np.int64), truth=np.zeros(12, np.int64))
    found = json.loads(to_json(judge([lacking]), ["a note"]))
    assert found["format"] == FORMAT
    assert found["notes"] == ["a note"]
    [system] = found["systems"]
    assert system["figures"]["auc"] == {"value": None, "low": None, "high": None}
    assert system["figures"]["accuracy"]["low"] is None  # one group has no interval
    assert (system["groups"], system["units"], system["folds"]) == (1, 12, [0])
    assert found["reported"]["data_sets"]["hybrid"][0]["accuracy"] == 99.99


def test_comparisons_and_gaps_are_told() -> None:
    both = [outcome(arch="hybrid", protocol=p) for p in ("paper", "grouped")]
    found = json.loads(to_json(judge([*both, outcome(arch="svm", draw=3)]), []))
    assert found["comparisons"][0]["second"] == "svm"
    assert found["gaps"][0]["figures"]["accuracy"]["value"] == 0
