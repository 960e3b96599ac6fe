from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from tests.support.outcomes import outcome
from worker.errors import BadRequestError
from worker.training.classification.evaluation.judging import Judged, judge
from worker.training.classification.evaluation.outcome import Outcome


def _system(arch: str, skill: float, draw: int, protocol: str = "grouped") -> Outcome:
    return outcome(count=200, groups=40, arch=arch, skill=skill, draw=draw, protocol=protocol)


@pytest.fixture(scope="module")
def judged() -> Judged:
    good = _system("hybrid", 2.5, 1)
    return judge(
        [
            _system("colour", 0.3, 2),
            good,
            replace(good, arch="vgg16"),  # its equal in every call
            _system("resnet50", 0.5, 3),
            _system("hybrid-merged", 2.5, 4),
            _system("hybrid", 3.5, 5, protocol="paper"),
        ]
    )


def test_systems_come_in_the_order_of_readers(judged: Judged) -> None:
    assert judged.systems == ("hybrid", "hybrid-merged", "vgg16", "resnet50", "colour")
    assert judged.tasks == ("segpc",)


def test_figures_folds_and_confusion_are_those_of_the_pooled_rows(judged: Judged) -> None:
    one = judged.judgements["segpc", "grouped", "resnet50"]
    about = one.outcome
    np.testing.assert_array_equal(one.confusion, confusion_matrix(about.truth, about.called))
    pooled = one.figures["balanced_accuracy"]
    assert pooled.value == pytest.approx(balanced_accuracy_score(about.truth, about.called))
    assert pooled.low is not None
    assert pooled.high is not None
    assert pooled.low < pooled.value < pooled.high
    for fold, value in zip(about.folds, one.by_fold["balanced_accuracy"], strict=True):
        rows = about.fold == fold
        assert value == pytest.approx(balanced_accuracy_score(about.truth[rows], about.called[rows]))


def test_the_gap_is_what_the_papers_protocol_shows_more(judged: Judged) -> None:
    values = [judged.judgements["segpc", p, "hybrid"].figures["accuracy"].value for p in ("paper", "grouped")]
    assert judged.gaps["segpc", "hybrid"]["accuracy"].value == pytest.approx(values[0] - values[1])
    assert list(judged.gaps) == [("segpc", "hybrid")]


def test_each_hybrid_is_compared_with_each_other_system_once(judged: Judged) -> None:
    pairs = [(one.first, one.second) for one in judged.comparisons]
    assert ("hybrid", "hybrid-merged") in pairs
    assert ("hybrid-merged", "hybrid") not in pairs
    assert len(pairs) == len(set(pairs)) == 4 + 3


def test_a_hybrid_that_is_no_better_than_a_single_network_is_said_not_to_beat_it(judged: Judged) -> None:
    assert [one.second for one in judged.not_beaten()] == ["vgg16"]


def test_equals_have_no_difference_and_no_significance(judged: Judged) -> None:
    one = next(one for one in judged.comparisons if (one.first, one.second) == ("hybrid", "vgg16"))
    assert (one.only_first, one.only_second, one.mcnemar, one.mcnemar_by_group) == (0, 0, 1.0, 1.0)
    assert (one.delong, one.delong_by_group) == (1.0, 1.0)
    assert one.differences["auc"].value == 0


def test_a_clear_difference_is_found_by_every_test(judged: Judged) -> None:
    one = next(one for one in judged.comparisons if (one.first, one.second) == ("hybrid", "colour"))
    assert one.only_first > one.only_second
    assert one.delong_by_group is not None
    assert max(one.mcnemar, one.mcnemar_by_group, one.delong_by_group) < 0.001
    assert one.differences["balanced_accuracy"].excludes_zero


def test_a_unit_of_several_repeats_is_counted_once_by_the_plain_tests() -> None:
    first, second = (_system(arch, skill, 1, "paper") for arch, skill in (("hybrid", 2.5), ("svm", 0.4)))
    repeated = [_repeated(one) for one in (first, second)]
    [alone], [thrice] = judge([first, second]).comparisons, judge(repeated).comparisons
    assert (thrice.only_first, thrice.only_second) == (alone.only_first, alone.only_second)
    assert thrice.mcnemar == pytest.approx(alone.mcnemar)


def _repeated(one: Outcome) -> Outcome:
    rows = np.tile(np.arange(len(one)), 3)
    arrays = {name: getattr(one, name)[rows] for name in ("truth", "probabilities", "group", "unit", "temperature")}
    return replace(one, **arrays, fold=np.repeat(np.arange(3), len(one)))


def test_rows_in_another_order_are_the_same_rows() -> None:
    one, other = _system("hybrid", 2, 1), _system("svm", 1, 2)
    mixed = other.where(np.random.default_rng(0).permutation(len(other)))
    plain, shuffled = judge([one, other]).comparisons[0], judge([one, mixed]).comparisons[0]
    assert shuffled == plain


def test_without_malignant_classes_there_is_no_area_to_test() -> None:
    pair = [outcome(arch=a, draw=d, positive=(), classes=("a", "b", "c")) for d, a in enumerate(("hybrid", "svm"))]
    assert judge(pair).comparisons[0].delong is None


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([], "no predictions"),
        ([_system("svm", 1, 1), _system("svm", 1, 2)], "twice on segpc"),
        ([_system("svm", 1, 1), replace(_system("colour", 1, 1).where(np.arange(50)))], "different units of segpc"),
    ],
)
def test_what_does_not_belong_together_is_refused(outcomes: list[Outcome], said: str) -> None:
    with pytest.raises(BadRequestError, match=said):
        judge(outcomes)
