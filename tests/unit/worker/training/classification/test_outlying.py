import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.support.crops import discs, one_of_each
from tests.support.models import card_of
from worker.nets.architectures import build, channels_of
from worker.training.classification.data import CLASSES, joined
from worker.training.classification.outlying import KEPT, can_be_fitted, fit_outliers, fitted

WIDE, TALL = np.array([1.0, 0.0, 0.0, 0.2]), np.array([0.0, 1.0, 0.0, 0.2])


def _two_classes(number: int, seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    label = np.arange(number) % 2
    seen = np.where(label[:, None] == 0, WIDE, TALL) + rng.normal(scale=0.05, size=(number, 4))
    return seen.astype(np.float32), np.eye(2, dtype=np.bool_)[label]


def test_known_cells_score_about_one_and_others_far_more() -> None:
    outliers = fitted(*_two_classes(400))
    known = outliers.scores(torch.from_numpy(_two_classes(200, seed=2)[0]))
    assert 0.9 < float(known.mean()) < 1.15
    strange = torch.tensor([[0.0, 0.0, 1.0, 0.2], [0.7, 0.7, 0.0, 0.2]])
    assert float(outliers.scores(strange).min()) > 5 * float(known.max())


def test_a_class_of_few_crops_has_no_mean() -> None:
    seen, allowed = _two_classes(40)
    third = np.pad(allowed, ((0, 0), (0, 1)))
    third[0] = [False, False, True]
    assert len(fitted(seen, third).means) == 2


def test_one_class_is_not_enough() -> None:
    seen, _ = _two_classes(40)
    with pytest.raises(ValueError, match="two classes"):
        fitted(seen, np.eye(2, dtype=np.bool_)[np.zeros(40, dtype=int)])


def test_more_features_than_crops_still_give_finite_scores() -> None:
    rng = np.random.default_rng(3)
    seen = rng.random((20, 64), dtype=np.float32)
    outliers = fitted(seen, np.eye(2, dtype=np.bool_)[np.arange(20) % 2])
    assert torch.isfinite(outliers.scores(torch.rand(5, 64))).all()


def test_the_limit_keeps_the_known_and_the_figures_say_what_a_new_source_has_to_expect() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = build("hybrid", channels_of("hybrid", 1 / 32), len(CLASSES))
    first, second, drawn = (
        discs(one_of_each(number), source=source, seed=number)
        for number, source in ((20, "first"), (19, "second"), (18, "drawn_cells"))
    )
    train = joined([first, second, drawn])
    outliers, card = fit_outliers(net, train, joined([first, second, discs([frozenset()] * 3)]), card_of(net, CLASSES))
    assert card.outlying_above > 0
    assert outliers.centre.shape == (net.head.in_features,)
    assert card.figures["outlying"]["kept"] == KEPT
    assert card.figures["outlying"]["left_out"].keys() == {"first", "second"}


def test_a_source_without_which_one_class_is_left_is_not_left_out() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = build("hybrid", channels_of("hybrid", 1 / 32), len(CLASSES))
    whole = discs(one_of_each(6), source="whole", seed=3)
    poor = discs(one_of_each(6)[:6], source="poor", seed=4)
    known = joined([whole, poor])
    assert can_be_fitted(whole)
    assert not can_be_fitted(poor)
    _, card = fit_outliers(net, known, known, card_of(net, CLASSES))
    assert card.figures["outlying"]["left_out"].keys() == {"poor"}
