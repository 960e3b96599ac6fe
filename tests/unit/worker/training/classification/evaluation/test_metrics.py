from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as reference

from tests.support.outcomes import outcome
from worker.training.classification.evaluation.metrics import NAMES, from_confusion, ranking, statistics
from worker.training.classification.evaluation.outcome import Outcome


def _one(judged: Outcome) -> dict[str, float]:
    return {name: float(value[0]) for name, value in statistics(judged, np.ones((1, len(judged)))).items()}


def test_of_two_classes_every_figure_is_that_of_scikit_learn() -> None:
    judged = outcome(count=200, skill=0.8)
    truth, called, score = judged.truth, judged.called, judged.probabilities[:, 1]
    assert _one(judged) == pytest.approx(
        {
            "accuracy": reference.accuracy_score(truth, called),
            "precision": reference.precision_score(truth, called),
            "recall": reference.recall_score(truth, called),
            "specificity": reference.recall_score(truth, called, pos_label=0),
            "f1": reference.f1_score(truth, called),
            "balanced_accuracy": reference.balanced_accuracy_score(truth, called),
            "auc": reference.roc_auc_score(truth, score),
            "average_precision": reference.average_precision_score(truth, score),
        }
    )


def test_without_malignant_classes_figures_are_macro_averages() -> None:
    judged = outcome(count=300, classes=("a", "b", "c"), positive=(), skill=0.8)
    truth, called, scores = judged.truth, judged.called, judged.probabilities
    found = _one(judged)
    for name, score in {"precision": reference.precision_score, "recall": reference.recall_score}.items():
        assert found[name] == pytest.approx(score(truth, called, average="macro")), name
    assert found["f1"] == pytest.approx(reference.f1_score(truth, called, average="macro"))
    assert found["auc"] == pytest.approx(reference.roc_auc_score(truth, scores, multi_class="ovr", average="macro"))
    onehot = np.eye(3)[truth]
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(onehot, scores))
    specificities = [reference.recall_score(truth == k, called == k, pos_label=0) for k in range(3)]
    assert found["specificity"] == pytest.approx(np.mean(specificities))


def test_several_malignant_classes_are_one_positive() -> None:
    judged = outcome(count=300, classes=("a", "b", "c"), positive=("b", "c"), skill=0.8)
    truth, called = judged.truth > 0, judged.called > 0
    found = _one(judged)
    assert found["recall"] == pytest.approx(reference.recall_score(truth, called))
    assert found["auc"] == pytest.approx(reference.roc_auc_score(truth, judged.probabilities[:, 1:].sum(axis=1)))
    assert found["accuracy"] == pytest.approx((judged.truth == judged.called).mean())


def test_malignant_is_positive_in_a_case_counted_by_hand() -> None:
    # 10 malignant of which 8 are called so, 20 benign of which 5 are called malignant.
    found = from_confusion(np.array([[8.0, 2.0], [5.0, 15.0]]), positive=[0])
    assert found["recall"] == pytest.approx(8 / 10)
    assert found["specificity"] == pytest.approx(15 / 20)
    assert found["precision"] == pytest.approx(8 / 13)
    assert found["f1"] == pytest.approx(16 / 23)
    assert found["balanced_accuracy"] == pytest.approx((0.8 + 0.75) / 2)


def test_a_class_that_is_never_called_has_no_precision_to_its_credit() -> None:
    found = from_confusion(np.array([[0.0, 4.0], [0.0, 4.0]]), positive=[0])
    assert [float(found[name]) for name in ("precision", "f1", "recall", "specificity")] == [0, 0, 0, 1]


def test_a_class_without_true_rows_takes_no_part_in_an_average() -> None:
    found = from_confusion(np.array([[3.0, 1.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]]))
    assert found["balanced_accuracy"] == pytest.approx((3 / 4 + 1) / 2)
    assert found["precision"] == pytest.approx((1 + 4 / 5) / 2)


def test_without_both_kinds_nothing_can_be_ranked() -> None:
    auc, precision = ranking(np.array([True, True]), np.array([0.1, 0.2]), np.ones((1, 2)))
    assert np.isnan([*auc, *precision]).all()


@settings(max_examples=25, deadline=None)
@given(
    weights=arrays(np.int64, (3, 12), elements=st.integers(0, 3)),
    scores=arrays(np.int64, 12, elements=st.integers(0, 4)),
)
def test_a_weight_counts_a_row_so_many_times(weights: np.ndarray, scores: np.ndarray) -> None:
    truth = np.arange(12) % 3 == 0
    found = ranking(truth, scores / 4, weights.astype(np.float64))
    for row, counts in enumerate(weights):
        repeated, ranked = np.repeat(truth, counts), np.repeat(scores, counts)
        if len(set(repeated.tolist())) < 2:
            assert np.isnan(found[0][row])
        else:
            assert found[0][row] == pytest.approx(reference.roc_auc_score(repeated, ranked))
            assert found[1][row] == pytest.approx(reference.average_precision_score(repeated, ranked))


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_weighted_figures_are_those_of_the_rows_repeated(classes: tuple[str, ...]) -> None:
    judged = outcome(count=60, classes=classes, skill=0.7)
    counts = np.random.default_rng(3).integers(0, 3, 60)
    repeated = np.repeat(np.arange(60), counts)
    many = judged.where(np.arange(60))  # a unit may not lie twice in a fold, so the repeats become other folds
    again = Outcome(
        **{
            **{name: getattr(many, name) for name in ("task", "protocol", "arch", "classes", "positive", "seed")},
            **{name: getattr(many, name)[repeated] for name in ("truth", "probabilities", "group", "temperature")},
            "unit": np.array([str(n) for n in range(len(repeated))]),
            "fold": np.zeros(len(repeated), np.int64),
        }
    )
    weighted = statistics(judged, counts[None].astype(np.float64))
    assert {name: float(weighted[name][0]) for name in NAMES} == pytest.approx(_one(again))
