"""Trains a segmenter: AdamW, warm-up and cosine decay, an average of the weights, the best state by validation.

The state after each round is kept as safetensors and JSON; a run that is started again goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from worker.nets.segnet import WIDTHS, SegNet
from worker.training.segmentation.canvas import draw
from worker.training.segmentation.data import DRAWN, Field
from worker.training.segmentation.loss import masked_loss
from worker.training.segmentation.sets import SETS
from worker.training.segmentation.targets import targets
from worker.training.segmentation.validate import score, to_tensor, validate

Tell = Callable[[str], None]

_OTHER = {
    "recipe": "another recipe",
    "train": "other fields to train on",
    "val": "other fields to validate on",
    "initial": "other initial weights",
}
"""What a training is of, and how it is said that a folder holds one of something else."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides a training besides its data."""

    widths: tuple[int, ...] = WIDTHS
    rounds: int = 30
    steps: int = 200  # of a round
    batch: int = 16
    peak_lr: float = 2.5e-3
    weight_decay: float = 1e-4
    average: float = 0.997  # decay of the moving average of the weights
    nearly_own: float = 0.45  # share of training pictures whose colours change little
    shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "wbcseg_d1_jiangxi": 0.14,
            "wbcseg_d2_cellavision": 0.18,
            "bccd_fields": 0.24,
            "segpc_mm_512": 0.2,
            "segpc_mm_native": 0.05,
            "drawn": 0.19,
        }
    )
    seed: int = 20261123

    def __post_init__(self) -> None:
        if min(self.rounds, self.steps, self.batch) < 1 or self.peak_lr < 0 or self.weight_decay < 0:
            raise ValueError("rounds, steps and batch are 1 or more, peak_lr and weight_decay not negative")
        if not (0 <= self.average < 1 and 0 <= self.nearly_own <= 1):
            raise ValueError("average and nearly_own lie between 0 and 1")
        known = (*(one.folder for one in SETS), DRAWN)
        if set(self.shares) - set(known) or min(self.shares.values(), default=0) < 0 or not sum(self.shares.values()):
            raise ValueError(f"shares are numbers from 0 by the names of sets: {', '.join(known)}")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a training keeps its state and where it runs."""

    folder: Path
    device: torch.device
    initial: Mapping[str, Tensor] | None = None  # weights to begin with, of a network of the recipe's widths


@dataclass(kw_only=True)
class _State:
    """What changes from step to step."""

    net: SegNet
    mean_net: AveragedModel
    adam: torch.optim.AdamW
    history: list[dict[str, Any]]
    origin: Mapping[str, Any]  # what the training is of, by the keys of _OTHER


def fit(train: Sequence[Field], val: Sequence[Field], recipe: Recipe, place: Place, tell: Tell) -> SegNet:
    """Return the averaged network of the best round on `val`; keep state in the folder, tell of each round.

    Raises ValueError when the folder holds a training with another recipe, of other fields or from other weights.
    """
    folder, where = place.folder, place.device
    folder.mkdir(parents=True, exist_ok=True)
    state = _resumed(recipe, place, _origin(train, val, recipe, place))
    by_source = {name: [f for f in train if f.source == name] for name in sorted({f.source for f in train})}
    while len(state.history) < recipe.rounds:
        started = time.monotonic()
        loss = _train_round(state, by_source, recipe, where)
        mean_net = _on_cpu(state, recipe)
        dice = validate(mean_net, val)
        best_before = max((h["score"] for h in state.history), default=0.0)
        state.history.append({"loss": round(loss, 4), "score": round(score(dice), 5), "dice": dice})
        if state.history[-1]["score"] >= best_before:
            _save(mean_net.state_dict(), folder / "best.safetensors")
        _keep(state, folder)
        shown = "  ".join(f"{name} {value:.3f}" for name, value in dice.items())
        tell(f"{len(state.history)}/{recipe.rounds}  loss {loss:.3f}  {time.monotonic() - started:.0f} s  {shown}")
    net = SegNet(recipe.widths)
    net.load_state_dict(load_file(folder / "best.safetensors"))
    return net.eval()


def _train_round(state: _State, fields: Mapping[str, Sequence[Field]], recipe: Recipe, device: torch.device) -> float:
    number = len(state.history)
    rng = np.random.default_rng([recipe.seed, number])
    state.net.train()
    losses = []
    for step in range(recipe.steps):
        for group in state.adam.param_groups:
            group["lr"] = _learning_rate(recipe, (number + step / recipe.steps) / recipe.rounds)
        pixels, values, known = (part.to(device) for part in _batch(fields, recipe, rng))
        with torch.autocast(device.type, torch.bfloat16):
            planes = state.net(pixels.contiguous(memory_format=torch.channels_last))
        loss = masked_loss(planes.float(), values, known)
        state.adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), 2.0)
        state.adam.step()
        state.mean_net.update_parameters(state.net)
        losses.append(loss.item())
    return float(np.mean(losses))


def _batch(
    fields: Mapping[str, Sequence[Field]], recipe: Recipe, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    canvases = [draw(fields, recipe.shares, rng, nearly_own=recipe.nearly_own) for _ in range(recipe.batch)]
    wanted = [targets(canvas) for canvas in canvases]
    return (
        to_tensor(np.stack([canvas.rgb for canvas in canvases])),
        torch.from_numpy(np.stack([t.values for t in wanted])),
        torch.from_numpy(np.stack([t.known for t in wanted])),
    )


def _learning_rate(recipe: Recipe, done: float) -> float:
    warm = 0.03
    if done < warm:
        return recipe.peak_lr * (0.05 + 0.95 * done / warm)
    return recipe.peak_lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm))))


def _on_cpu(state: _State, recipe: Recipe) -> SegNet:
    """Return a copy of the averaged network for validation."""
    net = SegNet(recipe.widths)
    net.load_state_dict({k: v.detach().cpu().contiguous() for k, v in state.mean_net.module.state_dict().items()})
    return net.eval()


def _origin(train: Sequence[Field], val: Sequence[Field], recipe: Recipe, place: Place) -> dict[str, Any]:
    """Return, as JSON keeps it, what a training is of: a state may only be gone on with where all of it is the same."""
    initial = save(dict(place.initial)) if place.initial is not None else b""
    parts = {"train": _names_digest(train), "val": _names_digest(val), "initial": hashlib.sha256(initial).hexdigest()}
    return {"recipe": json.loads(json.dumps(asdict(recipe))), **parts}


def _names_digest(fields: Sequence[Field]) -> str:
    """Return the SHA-256 of the fields' names in their order, by which training pictures are drawn."""
    names = [f"{one.source}/{one.group}/{one.name}" for one in fields]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _resumed(recipe: Recipe, place: Place, origin: Mapping[str, Any]) -> _State:
    folder = place.folder
    torch.manual_seed(recipe.seed)
    net = SegNet(recipe.widths)
    if place.initial is not None:
        net.load_state_dict(dict(place.initial))
    net = net.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(net.parameters(), lr=recipe.peak_lr, weight_decay=recipe.weight_decay)
    mean_net = AveragedModel(net, use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))  # type: ignore[no-untyped-call]
    state = _State(net=net, mean_net=mean_net, adam=adam, history=[], origin=origin)
    if not (folder / "state.json").is_file():
        return state
    kept = json.loads((folder / "state.json").read_text())
    if other := [words for key, words in _OTHER.items() if kept.get(key) != origin[key]]:
        raise ValueError(f"{folder} holds a training with {', '.join(other)}: name another folder, or remove it")
    tensors = load_file(folder / f"state-{len(kept['history'])}.safetensors")
    net.load_state_dict(_under(tensors, "net."))
    mean_net.load_state_dict(_under(tensors, "mean."))
    restore(adam, _under(tensors, "adam."))
    state.history = kept["history"]
    return state


def restore(adam: torch.optim.Optimizer, kept: Mapping[str, Tensor]) -> None:
    """Give an optimizer its state, kept under INDEX.KEY: moments go where their parameter lies, counts stay."""
    state: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in kept.items():
        index, name = key.split(".")
        state[int(index)][name] = value.clone()
    adam.load_state_dict(adam.state_dict() | {"state": state})


def _keep(state: _State, folder: Path) -> None:
    """Write the state; the JSON names the round whose tensors belong to it, so that a kill leaves a whole state."""
    tensors = {f"net.{k}": v for k, v in state.net.state_dict().items()}
    tensors |= {f"mean.{k}": v for k, v in state.mean_net.state_dict().items()}
    for index, parameter in enumerate(state.net.parameters()):
        tensors |= {f"adam.{index}.{k}": v for k, v in state.adam.state[parameter].items()}
    number = len(state.history)
    _save(
        {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, folder / f"state-{number}.safetensors"
    )
    staged = folder / "state.part"
    staged.write_text(json.dumps({**state.origin, "history": state.history}))
    staged.replace(folder / "state.json")
    (folder / f"state-{number - 1}.safetensors").unlink(missing_ok=True)


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors whole or not at all."""
    staged = path.with_suffix(".part")
    save_file(dict(tensors), staged)
    staged.replace(path)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
