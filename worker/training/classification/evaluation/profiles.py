"""How much is spent on an evaluation: what fits two CPU cores in an hour, and what a GPU is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from worker.nets.architectures import channels_of
from worker.training.classification.data import MEAN, STD
from worker.training.classification.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Widths, sizes and budgets; a draw is one augmented crop seen in training."""

    name: str
    width: float  # of the published channels
    crop_px: int  # of the stored crop, at 0.25 µm/px
    input_px: int
    early_px: int  # input of the first half of the epochs
    trunk_draws: int  # to pretrain one trunk
    trunk_epochs: int
    draws_per_crop: int  # of the training part, to fine-tune on it
    least_draws: int
    most_draws: int
    epochs: int
    batch: int
    trunk_lr: float
    peak_lr: float
    patience: int
    colour: float  # how far colours change in fine-tuning, where training and test share a laboratory
    turns: int  # copies of a crop, turned and mirrored, whose probabilities are averaged
    folds: int = 3  # of the grouped protocol, and repeats of the paper's split
    precision: Literal["float32", "bfloat16"] = "bfloat16"


CPU = Profile(
    name="cpu",
    width=0.25,
    crop_px=80,
    input_px=64,
    early_px=48,
    trunk_draws=12_000,
    trunk_epochs=6,
    draws_per_crop=24,
    least_draws=800,
    most_draws=8_000,
    epochs=16,
    batch=24,
    trunk_lr=2e-3,
    peak_lr=2e-3,
    patience=8,
    colour=0.4,
    turns=4,
)
GPU = Profile(
    name="gpu",
    width=1.0,
    crop_px=80,
    input_px=160,
    early_px=128,
    trunk_draws=120_000,
    trunk_epochs=20,
    draws_per_crop=60,
    least_draws=4_000,
    most_draws=40_000,
    epochs=20,
    batch=64,
    trunk_lr=5e-4,
    peak_lr=3e-4,
    patience=10,
    colour=0.4,
    turns=8,
)
PROFILES = {profile.name: profile for profile in (CPU, GPU)}


@dataclass(frozen=True, kw_only=True)
class Norm:
    """What the pixels of RGB / 255 are normalised with."""

    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD


def pretraining(profile: Profile, arch: str, norm: Norm, seed: int) -> Recipe:
    """Return how one trunk is pretrained on the other sets."""
    return Recipe(
        arch=arch,
        channels=channels_of(arch, profile.width),
        crop_px=profile.crop_px,
        input_px=profile.input_px,
        early_px=profile.early_px,
        early_share=0.67,
        mean=norm.mean,
        std=norm.std,
        epochs=profile.trunk_epochs,
        draws=profile.trunk_draws // profile.trunk_epochs,
        batch=profile.batch,
        peak_lr=profile.trunk_lr,
        average=0.99,
        patience=profile.trunk_epochs,
        precision=profile.precision,
        seed=seed,
    )


def tuning(profile: Profile, arch: str, norm: Norm, *, crops: int, seed: int) -> Recipe:
    """Return how a network is trained on one fold whose training part has so many crops."""
    return Recipe(
        arch=arch,
        channels=channels_of(arch, profile.width),
        crop_px=profile.crop_px,
        input_px=profile.input_px,
        early_px=profile.early_px,
        early_share=0.5,
        mean=norm.mean,
        std=norm.std,
        epochs=profile.epochs,
        draws=tuning_draws(profile, crops) // profile.epochs,
        batch=profile.batch,
        colour_change=profile.colour,
        peak_lr=profile.peak_lr,
        average=0.98,
        patience=profile.patience,
        precision=profile.precision,
        seed=seed,
    )


def tuning_draws(profile: Profile, crops: int) -> int:
    """Return the budget of one fold."""
    return min(profile.most_draws, max(profile.least_draws, profile.draws_per_crop * crops))
