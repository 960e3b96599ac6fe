"""Trains a network: Adam, one warm-up and cosine decay, an average of the weights, early stop by validation.

Adam: Kingma and Ba, ICLR 2015. The average, an exponential one (Polyak and Juditsky, SIAM J Control Optim 1992;30:838),
is what is validated and kept. The state after each epoch is kept; a run that is started again goes on from there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worker.nets.classifier import Classifier
from worker.training.classification import sampling
from worker.training.classification.data import CropSet
from worker.training.classification.evaluate import balanced_accuracy, probabilities
from worker.training.classification.recipe import Recipe
from worker.training.classification.state import State, begun, best, keep, keep_best, restore
from worker.workshop import Tell

Say = Callable[[str], None]
Batches = Callable[[int], Iterator[sampling.TrainingBatch]]
"""Makes the batches of an epoch by its number."""


def untold(_what: str, _done: int, _total: int) -> None:
    """Take progress that nobody asked for."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a training keeps its state and where it runs."""

    folder: Path
    device: str = "cpu"
    initial: Mapping[str, Tensor] | None = None  # weights to begin with, of some or all layers


def fit(
    train: CropSet,
    val: CropSet,
    recipe: Recipe,
    place: Place,
    *,
    say: Say = print,
    tell: Tell = untold,
) -> Classifier:
    """Return the averaged network of the best epoch by balanced accuracy on `val`, on the CPU; keep state in its place.

    `tell` takes how many crops of an epoch were learnt.
    Raises BadRequestError when the weights do not fit, or when the folder holds a training with another recipe.
    """
    folder, classes = place.folder, train.allowed.shape[1]
    folder.mkdir(parents=True, exist_ok=True)
    state = begun(recipe, classes, torch.device(place.device), place.initial)
    if restore(state, recipe, folder):
        say(f"going on after epoch {state.epoch}")
    batches = partial(_batches, train, recipe, tell)
    while state.epoch < recipe.epochs and not _is_stale(state.history, recipe.patience):
        _epoch(state, batches, val, recipe, folder)
        done = state.history[-1]
        left = (recipe.epochs - state.epoch) * done["seconds"] / 60
        say(
            f"epoch {state.epoch}/{recipe.epochs}  loss {done['loss']:.3f}  validation {done['score']:.3f}  "
            f"{done['seconds']:.0f} s, about {left:.0f} min left"
        )
    return best(recipe, classes, folder)


def partial_loss(logits: Tensor, allowed: Tensor, smoothing: float) -> Tensor:
    """Return the mean of -log of the probability of all allowed classes, a little of it spread over every class.

    (N, K) float logits, (N, K) bool labels. A row that allows no class, an outlier, is pulled to even probabilities
    (outlier exposure: Hendrycks, Mazeika and Dietterich, ICLR 2019).
    """
    logs = torch.log_softmax(logits, dim=1)
    inside = torch.logsumexp(logs.masked_fill(~allowed, -math.inf), dim=1)
    evenly = logs.mean(dim=1)
    smoothed = (1 - smoothing) * inside + smoothing * evenly
    return -torch.where(allowed.any(dim=1), smoothed, evenly).mean()


def _batches(train: CropSet, recipe: Recipe, tell: Tell, epoch: int) -> Iterator[sampling.TrainingBatch]:
    """Yield the batches of an epoch, and tell how far it is whenever one was learnt."""
    rng = np.random.default_rng([recipe.seed, epoch])
    early = epoch < round(recipe.early_share * recipe.epochs)
    made = sampling.epoch(train, recipe, recipe.early_px if early else recipe.input_px, rng)
    for number, batch in enumerate(made, start=1):
        yield batch
        tell("crops of the epoch", min(number * recipe.batch, recipe.draws), recipe.draws)


def _epoch(state: State, batches: Batches, val: CropSet, recipe: Recipe, folder: Path) -> None:
    """Train one epoch, judge the average of the weights on `val`, keep both."""
    started = time.monotonic()
    loss = _train_epoch(state, batches, recipe)
    found = probabilities(state.mean_net.module, val, recipe)
    score = balanced_accuracy(found, val)
    best_before = max((h["score"] for h in state.history), default=0.0)
    state.history.append({"loss": loss, "score": score, "seconds": time.monotonic() - started})
    state.epoch += 1
    if score >= best_before:
        keep_best(state, folder)
    keep(state, recipe, folder)


def _train_epoch(state: State, batches: Batches, recipe: Recipe) -> float:
    torch.manual_seed(recipe.seed + state.epoch)
    state.net.train()
    device = next(state.net.parameters()).device
    steps = math.ceil(recipe.draws / recipe.batch)
    losses = []
    for step, (pixels, allowed) in enumerate(batches(state.epoch)):
        for group in state.adam.param_groups:
            group["lr"] = _learning_rate(recipe, state.epoch + step / steps)
        crops = torch.from_numpy(pixels).to(device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            logits = state.net(crops)
        loss = partial_loss(logits.float(), torch.from_numpy(allowed).to(device), recipe.smoothing)
        state.adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        state.adam.step()
        state.mean_net.update_parameters(state.net)
        losses.append(loss.item())
    return float(np.mean(losses))


def _learning_rate(recipe: Recipe, epoch: float) -> float:
    warm = min(2.0, recipe.epochs / 4)
    if epoch < warm:
        return recipe.peak_lr * (0.05 + 0.95 * epoch / warm)
    done = (epoch - warm) / (recipe.epochs - warm)
    return recipe.peak_lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def _is_stale(history: list[dict[str, float]], patience: int) -> bool:
    scores = [entry["score"] for entry in history]
    return bool(scores) and len(scores) - 1 - int(np.argmax(scores)) >= patience
