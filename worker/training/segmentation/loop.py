"""Trains a segmenter: AdamW, warm-up and cosine decay, an average of the weights, the best state by validation.

The state after each round is kept as safetensors and JSON; a run that is started again goes on from there.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from worker.nets.segnet import WIDTHS, SegNet
from worker.training.segmentation.canvas import draw
from worker.training.segmentation.data import Field
from worker.training.segmentation.loss import masked_loss
from worker.training.segmentation.targets import targets
from worker.training.segmentation.validate import score, to_tensor, validate

Tell = Callable[[str], None]


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


def fit(train: Sequence[Field], val: Sequence[Field], recipe: Recipe, place: Place, tell: Tell) -> SegNet:
    """Return the averaged network of the best round on `val`; keep state in the folder, tell of each round.

    Raises ValueError when the folder holds a training with another recipe.
    """
    folder, where = place.folder, place.device
    folder.mkdir(parents=True, exist_ok=True)
    state = _resumed(recipe, place)
    by_source = {name: [f for f in train if f.source == name] for name in sorted({f.source for f in train})}
    while len(state.history) < recipe.rounds:
        started = time.monotonic()
        loss = _train_round(state, by_source, recipe, where)
        mean_net = _on_cpu(state, recipe)
        dice = validate(mean_net, val)
        best_before = max((h["score"] for h in state.history), default=0.0)
        state.history.append({"loss": round(loss, 4), "score": round(score(dice), 5), "dice": dice})
        if state.history[-1]["score"] >= best_before:
            save_file(mean_net.state_dict(), folder / "best.safetensors")
        _keep(state, recipe, folder)
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


def _resumed(recipe: Recipe, place: Place) -> _State:
    folder = place.folder
    torch.manual_seed(recipe.seed)
    net = SegNet(recipe.widths)
    if place.initial is not None:
        net.load_state_dict(dict(place.initial))
    net = net.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(net.parameters(), lr=recipe.peak_lr, weight_decay=recipe.weight_decay)
    mean_net = AveragedModel(net, use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))  # type: ignore[no-untyped-call]
    state = _State(net=net, mean_net=mean_net, adam=adam, history=[])
    if not (folder / "state.json").is_file():
        return state
    kept = json.loads((folder / "state.json").read_text())
    if kept["recipe"] != json.loads(json.dumps(asdict(recipe))):
        raise ValueError(f"{folder} holds a training with another recipe: name another folder, or remove it")
    tensors = load_file(folder / f"state-{len(kept['history'])}.safetensors")
    net.load_state_dict(_under(tensors, "net."))
    mean_net.load_state_dict(_under(tensors, "mean."))
    moments = _under(tensors, "adam.")
    for index, parameter in enumerate(net.parameters()):
        adam.state[parameter] = {key: moments[f"{index}.{key}"].clone() for key in ("step", "exp_avg", "exp_avg_sq")}
    state.history = kept["history"]
    return state


def _keep(state: _State, recipe: Recipe, folder: Path) -> None:
    """Write the state; the JSON names the round whose tensors belong to it, so that a kill leaves a whole state."""
    tensors = {f"net.{k}": v for k, v in state.net.state_dict().items()}
    tensors |= {f"mean.{k}": v for k, v in state.mean_net.state_dict().items()}
    for index, parameter in enumerate(state.net.parameters()):
        tensors |= {f"adam.{index}.{k}": v for k, v in state.adam.state[parameter].items()}
    number = len(state.history)
    save_file(
        {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, folder / f"state-{number}.safetensors"
    )
    staged = folder / "state.part"
    staged.write_text(json.dumps({"recipe": asdict(recipe), "history": state.history}))
    staged.replace(folder / "state.json")
    (folder / f"state-{number - 1}.safetensors").unlink(missing_ok=True)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
