from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from worker.cli_train import train
from worker.errors import BadRequestError
from worker.nets.cards import NO_STAIN_NORM, STAIN_ANCHORS
from worker.nets.imagenet import IMAGENET_MEAN, IMAGENET_STD, hub_cache
from worker.training.classification import fit as classifier_fit
from worker.training.segmentation import fit


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
        ("[]", "is not a recipe: it is no JSON object"),
        ('{"rounds": "three"}', "rounds: Input should be a valid integer"),
        ('{"shares": {"bccd": 0.5}}', "shares are numbers from 0 by the names of sets: wbcseg_d1_jiangxi"),
        ('{"peak_lr": -1}', "peak_lr and weight_decay not negative"),
        ('{"nearly_own": 7}', "average and nearly_own lie between 0 and 1"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(tmp_path: Path, recipe: str, what: str) -> None:
    (tmp_path / "recipe.json").write_text(recipe)
    with pytest.raises(BadRequestError, match=what):
        run("--data", tmp_path, "--out", tmp_path / "x.safetensors", "--recipe", tmp_path / "recipe.json")


def test_wrong_calls_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"NAME\.safetensors"):
        run("--data", tmp_path, "--out", tmp_path / "x.pth")
    out = tmp_path / "x.safetensors"
    with pytest.raises(BadRequestError, match="no set is called nothing: known are wbcseg_d1_jiangxi"):
        run("--data", tmp_path, "--out", out, "--leave-out", "nothing")
    with pytest.raises(BadRequestError, match="holds none of"):
        run("--data", tmp_path, "--out", out, "--rounds", 1)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("My Net.safetensors", "'My Net' is no name for weights"),
        (f"{'x' * 65}.safetensors", "is no name for weights"),
        ("classical.safetensors", "'classical' is the segmenter without weights"),
    ],
)
def test_a_name_that_weights_cannot_have_is_refused_before_the_training(tmp_path: Path, name: str, what: str) -> None:
    """The folder holds no data, which is found right after."""
    with pytest.raises(BadRequestError, match=what):
        run("--data", tmp_path, "--out", tmp_path / name)


def test_the_command_line_has_the_last_word_on_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[fit.Training] = []

    def remember(training: fit.Training, _: object) -> None:
        asked.append(training)
        raise typer.Exit

    monkeypatch.setattr(fit, "train_segmenter", remember)
    (tmp_path / "recipe.json").write_text('{"seed": 1, "rounds": 2, "batch": 3}')
    run("--data", tmp_path, "--out", tmp_path / "x.safetensors", "--recipe", tmp_path / "recipe.json", "--seed", 0)
    recipe = asked[0].recipe
    assert (recipe.seed, recipe.rounds, recipe.batch) == (0, 2, 3)


def asked_of_classifier(monkeypatch: pytest.MonkeyPatch, *args: object) -> classifier_fit.Training:
    """Return the training that a call asks for, which is not done."""
    asked: list[classifier_fit.Training] = []

    def remember(training: classifier_fit.Training, *_: object) -> None:
        asked.append(training)
        raise typer.Exit

    monkeypatch.setattr(classifier_fit, "train_classifier", remember)
    answer = CliRunner().invoke(train, ["classifier", *(str(arg) for arg in args)])
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    assert answer.exit_code == 0, answer.output
    return asked[0]


def test_a_classifier_begins_with_several_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = ("--arch", "hybrid-merged", "--data", tmp_path, "--out", tmp_path / "x.safetensors")
    asked = asked_of_classifier(monkeypatch, *call, "--init", "a.safetensors", "--init", "b.safetensors")
    assert asked.begin.files == (Path("a.safetensors"), Path("b.safetensors"))


@pytest.mark.parametrize("folder", ["cache", "here"])
def test_imagenet_weights_bring_their_normalisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    call = ("--arch", "vgg16", "--data", tmp_path, "--out", tmp_path / "x.safetensors")
    asked = asked_of_classifier(monkeypatch, *call, "--imagenet", folder)
    assert (asked.recipe.mean, asked.recipe.std) == (IMAGENET_MEAN, IMAGENET_STD)
    assert asked.begin.imagenet == (hub_cache() if folder == "cache" else Path("here"))


def test_a_recipe_out_of_range_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipe.json").write_text('{"batch": 0}')
    call = ("--arch", "vgg16", "--data", tmp_path, "--out", tmp_path / "x.safetensors")
    with pytest.raises(BadRequestError, match=r"recipe\.json.*batch and patience are 1 or more"):
        asked_of_classifier(monkeypatch, *call, "--recipe", tmp_path / "recipe.json")


def test_a_stain_normalisation_is_chosen_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = ("--arch", "vgg16", "--data", tmp_path, "--out", tmp_path / "x.safetensors")
    assert asked_of_classifier(monkeypatch, *call).stain_norm == NO_STAIN_NORM
    assert asked_of_classifier(monkeypatch, *call, "--stain-norm", STAIN_ANCHORS).stain_norm == STAIN_ANCHORS
    with pytest.raises(BadRequestError, match="called 'macenko': use one of none, anchors-2026-11"):
        asked_of_classifier(monkeypatch, *call, "--stain-norm", "macenko")
