"""What a training is at the end of an epoch: kept as safetensors and JSON, so that a killed one goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from worker.errors import BadRequestError
from worker.nets.architectures import build
from worker.nets.classifier import Classifier
from worker.training.classification.recipe import Recipe

BEST = "best.safetensors"


@dataclass(kw_only=True)
class State:
    """What changes from step to step."""

    net: Classifier
    mean_net: AveragedModel
    adam: torch.optim.Adam
    epoch: int
    history: list[dict[str, float]]


def begun(recipe: Recipe, classes: int, device: torch.device, initial: Mapping[str, Tensor] | None) -> State:
    """Return the state before the first epoch; `initial` holds weights to begin with, of as many layers as fit.

    Raises BadRequestError when a tensor of `initial` does not fit the network.
    """
    torch.manual_seed(recipe.seed)
    net = build(recipe.arch, recipe.channels, classes)
    if initial:
        _begin_with(net, initial)
    net = net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = get_ema_multi_avg_fn(recipe.average)  # type: ignore[no-untyped-call]
    return State(
        net=net,
        mean_net=AveragedModel(net, multi_avg_fn=average, use_buffers=True),
        adam=torch.optim.Adam(net.parameters(), lr=recipe.peak_lr, weight_decay=recipe.weight_decay),
        epoch=0,
        history=[],
    )


def restore(state: State, recipe: Recipe, folder: Path) -> bool:
    """Put what `keep` left in `folder` into a state that was just begun; say whether there was anything.

    A field that recipes got since then counts as its default.
    Raises BadRequestError when the folder holds a training with another recipe.
    """
    path = folder / "state.json"
    if not path.is_file():
        return False
    notes = json.loads(path.read_text(encoding="utf-8"))
    if _written(Recipe()) | notes["recipe"] != _written(recipe):
        raise BadRequestError(f"{folder} holds a training with another recipe: choose another folder, or remove it")
    tensors = load_file(folder / f"state-{notes['epoch']}.safetensors")
    state.net.load_state_dict(_below("net.", tensors))
    state.mean_net.load_state_dict(_below("mean.", tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _below("adam.", tensors).items():
        number, _, what = name.partition(".")
        moments.setdefault(int(number), {})[what] = value
    state.adam.load_state_dict({**state.adam.state_dict(), "state": moments})
    state.epoch, state.history = notes["epoch"], notes["history"]
    return True


def keep(state: State, recipe: Recipe, folder: Path) -> None:
    """Write the tensors under a new name first, then the notes that name them, then drop the older tensors."""
    tensors = {f"net.{k}": v for k, v in state.net.state_dict().items()}
    tensors |= {f"mean.{k}": v for k, v in state.mean_net.state_dict().items()}
    for number, moments in state.adam.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{what}": value for what, value in moments.items()}
    current = folder / f"state-{state.epoch}.safetensors"
    save_file(_plain(tensors), current)
    notes = {"epoch": state.epoch, "history": state.history, "recipe": _written(recipe)}
    _write_whole(folder / "state.json", json.dumps(notes, indent=1))
    _write_whole(folder / "log.csv", _log(state.history))
    for older in folder.glob("state-*.safetensors"):
        if older != current:
            older.unlink()


def keep_best(state: State, folder: Path) -> None:
    """Write the averaged network, the best so far."""
    part = folder / f"{BEST}.part"
    save_file(_plain(state.mean_net.module.state_dict()), part)
    part.replace(folder / BEST)


def best(recipe: Recipe, classes: int, folder: Path) -> Classifier:
    """Return the network that `keep_best` wrote, in evaluation mode on the CPU."""
    net = build(recipe.arch, recipe.channels, classes)
    net.load_state_dict(load_file(folder / BEST))
    return net.eval()


def _written(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as it comes back from JSON."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return document


def _begin_with(net: Classifier, initial: Mapping[str, Tensor]) -> None:
    own = net.state_dict()
    if bad := [k for k, v in initial.items() if k not in own or own[k].shape != v.shape]:
        raise BadRequestError(
            f"the initial weights do not fit {net.arch} of {net.channels}: {', '.join(sorted(bad)[:3])}"
        )
    net.load_state_dict(own | dict(initial))


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _log(history: list[dict[str, float]]) -> str:
    names = list(history[0])
    rows = [",".join(["epoch", *names])]
    rows += [",".join([str(n), *(f"{entry[name]:.6g}" for name in names)]) for n, entry in enumerate(history, 1)]
    return "\n".join(rows) + "\n"


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
