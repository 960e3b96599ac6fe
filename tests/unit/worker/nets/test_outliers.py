import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.nets.outliers import Outliers, named, parted


def _outliers(features: int = 6, axes: int = 3, classes: int = 2) -> Outliers:
    made = torch.Generator().manual_seed(1)
    return Outliers(
        centre=torch.rand(features, generator=made) / features,
        projection=torch.randn(features, axes, generator=made),
        means=torch.randn(classes, axes, generator=made),
    )


def test_a_score_is_the_mean_squared_distance_to_the_nearest_class() -> None:
    outliers = Outliers(centre=torch.zeros(2), projection=torch.eye(2), means=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    scores = outliers.scores(torch.tensor([[3.0, 0.0], [0.0, 5.0], [-2.0, 0.0]]))
    assert scores.tolist() == pytest.approx([0.0, 0.0, 1.0])  # (1 + 1) / 2 axes from (0, 1), 4 / 2 from (1, 0)


@given(times=st.floats(0.01, 100))
def test_the_length_of_the_features_says_nothing(times: float) -> None:
    outliers, features = _outliers(), torch.rand(4, 6, generator=torch.Generator().manual_seed(2)) + 0.1
    assert torch.allclose(outliers.scores(features * times), outliers.scores(features), rtol=1e-3)


def test_a_crop_is_scored_alike_alone_and_among_others() -> None:
    outliers, features = _outliers(), torch.rand(5, 6)
    alone = torch.cat([outliers.scores(row[None]) for row in features])
    assert torch.allclose(outliers.scores(features), alone, rtol=1e-5)


def test_statistics_come_back_from_among_the_weights() -> None:
    weights, outliers = {"head.weight": torch.rand(2, 6)}, _outliers()
    own, found = parted({**weights, **named(outliers)})
    assert own.keys() == weights.keys()
    assert found is not None
    assert torch.equal(found.projection, outliers.projection)
    assert torch.equal(found.means, outliers.means)


def test_weights_without_statistics_have_none() -> None:
    assert parted({"head.weight": torch.rand(2, 6)})[1] is None


def test_half_of_the_statistics_is_refused() -> None:
    tensors = named(_outliers())
    del tensors["outliers.means"]
    with pytest.raises(ValueError, match="means"):
        parted(tensors)


def test_statistics_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        Outliers(centre=torch.zeros(4), projection=torch.zeros(4, 3), means=torch.zeros(2, 2))
