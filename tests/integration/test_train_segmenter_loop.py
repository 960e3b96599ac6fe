from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from worker.nets.segnet import SegNet
from worker.training.segmentation import loop
from worker.training.segmentation.data import DRAWN, Field
from worker.training.segmentation.loop import Place, Recipe, fit, restore

RECIPE = Recipe(widths=(4, 6, 8, 8), rounds=1, steps=1, batch=1)


def _field(name: str) -> Field:
    rows, columns = np.ogrid[:160, :160]
    cell = (np.hypot(rows - 80, columns - 80) < 24).astype(np.int8)
    rgb = np.where(cell[..., None] == 1, (120, 60, 150), (235, 225, 230)).astype(np.uint8)
    return Field(name=name, source=DRAWN, group=name, rgb=rgb, cell=cell, nucleus=cell, instance=cell.astype(np.int32))


def _weights(seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return SegNet(RECIPE.widths).state_dict()


def _train(folder: Path, *, train: str = "a", val: str = "b", recipe: Recipe = RECIPE, seed: int | None = None) -> None:
    initial = None if seed is None else _weights(seed)
    place = Place(folder=folder, device=torch.device("cpu"), initial=initial)
    fit([_field(train)], [_field(val)], recipe, place, lambda _: None)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("used")
    _train(folder, seed=1)
    return folder


def test_a_training_of_the_same_is_gone_on_with(used: Path) -> None:
    _train(used, seed=1)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"train": "c"}, "other fields to train on"),
        ({"val": "c"}, "other fields to validate on"),
        ({"seed": 2}, "other initial weights"),
        ({"seed": None}, "other initial weights"),
        ({"recipe": replace(RECIPE, batch=2)}, "another recipe"),
        ({"train": "c", "seed": 2}, "other fields to train on, other initial weights"),
    ],
)
def test_a_folder_with_a_training_of_something_else_is_refused(
    used: Path, changes: Mapping[str, object], what: str
) -> None:
    with pytest.raises(ValueError, match=f"{used} holds a training with {what}:"):
        _train(used, **{"seed": 1, **changes})  # type: ignore[arg-type]


def test_moments_go_where_their_parameter_lies() -> None:
    """Kept on the CPU, they are of no use to a parameter elsewhere; the count of steps is wanted on the CPU."""
    weight = torch.zeros(3, requires_grad=True)
    adam = torch.optim.AdamW([weight])
    weight.grad = torch.ones(3)
    adam.step()
    kept = {f"0.{key}": value for key, value in adam.state[weight].items()}
    elsewhere = torch.zeros(3, device="meta", requires_grad=True)
    other = torch.optim.AdamW([elsewhere])
    restore(other, kept)
    devices = {key: value.device.type for key, value in other.state[elsewhere].items()}
    assert devices == {"step": "cpu", "exp_avg": "meta", "exp_avg_sq": "meta"}


def test_a_kill_while_weights_are_written_leaves_the_ones_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):  # noqa: N818 - no error of the product
        pass

    def half(_: Mapping[str, Tensor], path: Path) -> None:
        path.write_bytes(b"half of it")
        raise Killed

    def stop(_: str) -> None:
        raise Killed

    place = Place(folder=tmp_path, device=torch.device("cpu"))
    two = replace(RECIPE, rounds=2)
    monkeypatch.setattr(loop, "score", lambda _: 0.5)  # so that the second round is no worse than the first
    with pytest.raises(Killed):
        fit([_field("a")], [_field("b")], two, place, stop)
    before = load_file(tmp_path / "best.safetensors")
    monkeypatch.setattr(loop, "save_file", half)
    with pytest.raises(Killed):
        fit([_field("a")], [_field("b")], two, place, lambda _: None)
    after = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(value, after[key]) for key, value in before.items())
