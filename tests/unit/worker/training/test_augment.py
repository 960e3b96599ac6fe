import numpy as np
from numpy.typing import NDArray

from tests.support.crops import discs, one_of_each
from worker.training.augment import augmented, centred


def _variants(number: int, seed: int = 1) -> NDArray[np.uint8]:
    crops = discs(one_of_each(1))
    rng = np.random.default_rng(seed)
    return np.stack([augmented(crops.pixels[0], crops.pixels[1], 80, rng) for _ in range(number)])


def test_the_same_seed_gives_the_same_variants() -> None:
    assert (_variants(5) == _variants(5)).all()
    assert (_variants(5) != _variants(5, seed=2)).any()


def test_variants_have_the_inputs_size_and_type() -> None:
    assert _variants(3).shape == (3, 80, 80, 3)
    assert _variants(3).dtype == np.uint8


def test_the_cell_stays_in_the_middle() -> None:
    for variant in _variants(40):
        grey = variant.mean(axis=2)
        ring = np.concatenate([grey[:4].ravel(), grey[-4:].ravel()])
        assert grey[34:46, 34:46].mean() < np.percentile(ring, 60)


def test_hues_vary_so_that_colour_is_no_clue() -> None:
    middles = _variants(60)[:, 36:44, 36:44].reshape(60, -1, 3).mean(axis=1)
    assert middles.std(axis=0).min() > 8


def test_the_centred_crop_is_what_inference_would_cut() -> None:
    crop = np.arange(112 * 112 * 3, dtype=np.uint32).astype(np.uint8).reshape(112, 112, 3)
    assert (centred(crop, 80)[40, 40] == crop[56, 56]).all()
    assert centred(crop, 64).shape == (64, 64, 3)
