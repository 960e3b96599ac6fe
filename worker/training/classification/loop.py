"""Trains a hybrid network: Adam, one warm-up and cosine decay, an average of the weights, early stop by validation.

The state after each epoch is kept as safetensors and JSON; a run that is started again goes on from there.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from worker.nets.hybrid import QUARTER, Hybrid
from worker.training.classification import sampling
from worker.training.classification.data import CLASSES, CropSet
from worker.training.classification.evaluate import balanced_accuracy, probabilities


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides a training besides its data."""

    channels: tuple[int, ...] = QUARTER
    input_px: int = 80
    early_px: int = 64  # input of the first epochs, for speed; the µm/px stay
    early_share: float = 0.85  # of the epochs
    epochs: int = 34
    draws: int = 3000  # crops an epoch
    batch: int = 32
    peak_lr: float = 1.5e-3
    weight_decay: float = 2e-5
    smoothing: float = 0.05
    average: float = 0.995  # decay of the moving average of the weights
    patience: int = 12  # epochs without a better validation
    seed: int = 20261123


@dataclass(kw_only=True)
class _State:
    """What changes from step to step."""

    net: Hybrid
    mean_net: AveragedModel
    adam: torch.optim.Adam
    epoch: int
    history: list[dict[str, float]]


def fit(train: CropSet, val: CropSet, recipe: Recipe, folder: Path) -> Hybrid:
    """Return the averaged network of the best epoch by balanced accuracy on `val`; keep state in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = _resumed(recipe, folder)
    while state.epoch < recipe.epochs and not _is_stale(state.history, recipe.patience):
        started = time.monotonic()
        loss = _train_epoch(state, train, recipe)
        mean_net = state.mean_net.module
        score = balanced_accuracy(probabilities(mean_net, val, recipe.input_px), val)
        best_before = max((h["score"] for h in state.history), default=0.0)
        state.history.append({"loss": loss, "score": score})
        state.epoch += 1
        if score >= best_before:
            save_file({k: v.contiguous() for k, v in mean_net.state_dict().items()}, folder / "best.safetensors")
        _keep(state, recipe, folder)
        seconds = time.monotonic() - started
        print(f"epoch {state.epoch}/{recipe.epochs}  loss {loss:.3f}  val {score:.3f}  {seconds:.0f} s", flush=True)
    net = Hybrid(recipe.channels, len(CLASSES))
    net.load_state_dict(load_file(folder / "best.safetensors"))
    return net.eval()


def partial_loss(logits: Tensor, allowed: Tensor, smoothing: float) -> Tensor:
    """Return the mean of -log of the probability of all allowed classes, a little of it spread over every class.

    (N, K) float logits, (N, K) bool labels. A row that allows no class, an outlier, is pulled to even probabilities.
    """
    logs = torch.log_softmax(logits, dim=1)
    inside = torch.logsumexp(logs.masked_fill(~allowed, -math.inf), dim=1)
    evenly = logs.mean(dim=1)
    smoothed = (1 - smoothing) * inside + smoothing * evenly
    return -torch.where(allowed.any(dim=1), smoothed, evenly).mean()


def _train_epoch(state: _State, train: CropSet, recipe: Recipe) -> float:
    rng = np.random.default_rng([recipe.seed, state.epoch])
    torch.manual_seed(recipe.seed + state.epoch)
    state.net.train()
    losses = []
    batches = sampling.epoch(train, draws=recipe.draws, batch=recipe.batch, input_px=recipe.input_px, rng=rng)
    steps = math.ceil(recipe.draws / recipe.batch)
    for step, (pixels, allowed) in enumerate(batches):
        for group in state.adam.param_groups:
            group["lr"] = _learning_rate(recipe, state.epoch + step / steps)
        crops = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
        loss = partial_loss(state.net(crops), torch.from_numpy(allowed), recipe.smoothing)
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


def _resumed(recipe: Recipe, folder: Path) -> _State:
    torch.manual_seed(recipe.seed)
    net = Hybrid(recipe.channels, len(CLASSES))
    average = get_ema_multi_avg_fn(recipe.average)  # type: ignore[no-untyped-call]
    mean_net = AveragedModel(net, multi_avg_fn=average, use_buffers=True)
    adam = torch.optim.Adam(net.parameters(), lr=recipe.peak_lr, weight_decay=recipe.weight_decay)
    state = _State(net=net, mean_net=mean_net, adam=adam, epoch=0, history=[])
    notes = folder / "state.json"
    if notes.is_file():
        _restore(state, json.loads(notes.read_text(encoding="utf-8")), recipe, folder)
        print(f"going on after epoch {state.epoch}", flush=True)
    return state


def _restore(state: _State, notes: dict[str, Any], recipe: Recipe, folder: Path) -> None:
    if notes["recipe"] != json.loads(json.dumps(asdict(recipe))):
        raise ValueError(f"{folder} holds a training with another recipe: choose another folder")
    tensors = load_file(folder / f"state-{notes['epoch']}.safetensors")
    state.net.load_state_dict(_below("net.", tensors))
    state.mean_net.load_state_dict(_below("mean.", tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _below("adam.", tensors).items():
        number, _, what = name.partition(".")
        moments.setdefault(int(number), {})[what] = value
    state.adam.load_state_dict({**state.adam.state_dict(), "state": moments})
    state.epoch, state.history = notes["epoch"], notes["history"]


def _keep(state: _State, recipe: Recipe, folder: Path) -> None:
    """Write the tensors under a new name first, then the notes that name them, then drop the older tensors."""
    tensors = {f"net.{k}": v for k, v in state.net.state_dict().items()}
    tensors |= {f"mean.{k}": v for k, v in state.mean_net.state_dict().items()}
    for number, moments in state.adam.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{what}": value for what, value in moments.items()}
    current = folder / f"state-{state.epoch}.safetensors"
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, current)
    notes = {"epoch": state.epoch, "history": state.history, "recipe": asdict(recipe)}
    staged = folder / "state.json.part"
    staged.write_text(json.dumps(notes, indent=1), encoding="utf-8")
    staged.replace(folder / "state.json")
    for older in folder.glob("state-*.safetensors"):
        if older != current:
            older.unlink()


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
