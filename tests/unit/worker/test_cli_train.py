from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from worker.cli_train import train
from worker.errors import BadRequestError


def run(*args: object) -> None:
    answer = CliRunner().invoke(train, ["segmenter", *(str(arg) for arg in args)])
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    assert answer.exit_code == 0


@pytest.mark.parametrize(
    ("recipe", "what"),
    [
        ('{"round": 3}', "a recipe has no round; it has average, batch"),
        ("[", "is not a recipe"),
        ("3", "is not a recipe"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(tmp_path: Path, recipe: str, what: str) -> None:
    (tmp_path / "recipe.json").write_text(recipe)
    with pytest.raises(BadRequestError, match=what):
        run("--data", tmp_path, "--out", tmp_path / "x.safetensors", "--recipe", tmp_path / "recipe.json")


def test_wrong_calls_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="NAME.safetensors"):
        run("--data", tmp_path, "--out", tmp_path / "x.pth")
    out = tmp_path / "x.safetensors"
    with pytest.raises(BadRequestError, match="no set is called nothing: known are wbcseg_d1_jiangxi"):
        run("--data", tmp_path, "--out", out, "--leave-out", "nothing")
    with pytest.raises(BadRequestError, match="holds none of"):
        run("--data", tmp_path, "--out", out, "--rounds", 1)
