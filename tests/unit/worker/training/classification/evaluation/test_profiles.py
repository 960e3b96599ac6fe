from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.nets.architectures import NETWORKS, channels_of
from worker.training.classification.evaluation.profiles import (
    CPU,
    GPU,
    PROFILES,
    Norm,
    Profile,
    pretraining,
    tuning,
    tuning_draws,
)


@given(st.integers(1, 100_000), st.sampled_from([CPU, GPU]))
def test_a_fold_costs_no_more_than_the_profile_allows(crops: int, chosen: Profile) -> None:
    assert chosen.least_draws <= tuning_draws(chosen, crops) <= chosen.most_draws
    recipe = tuning(chosen, "vgg16", Norm(), crops=crops, seed=1)
    assert recipe.draws * recipe.epochs <= chosen.most_draws


def test_every_network_of_a_fold_gets_the_same_but_its_channels() -> None:
    recipes = [tuning(CPU, arch, Norm(), crops=300, seed=4) for arch in NETWORKS]
    assert len({(r.draws, r.epochs, r.input_px, r.peak_lr, r.seed) for r in recipes}) == 1
    assert [r.channels for r in recipes] == [channels_of(arch, CPU.width) for arch in NETWORKS]


def test_the_gpu_profile_trains_published_widths() -> None:
    assert pretraining(GPU, "vgg19", Norm(), 1).channels == channels_of("vgg19", 1.0)
    assert 128 <= GPU.early_px <= GPU.input_px <= 224


def test_a_profile_is_found_by_its_name() -> None:
    assert {name: profile.name for name, profile in PROFILES.items()} == {"cpu": "cpu", "gpu": "gpu"}
