from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.annotated import write_sets
from worker.errors import BadRequestError
from worker.nets.card_files import Files
from worker.nets.segmenter_cards import SegmenterCard
from worker.nets.segmenters import load_segmenter
from worker.training.segmentation import fit
from worker.training.segmentation.fit import Training, train_segmenter
from worker.training.segmentation.loop import Recipe

RECIPE = Recipe(widths=(4, 6, 8, 8), rounds=2, steps=2, batch=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder / "data", fields=4)
    return folder


@pytest.fixture(autouse=True)
def _few_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "_DRAWN_SMEARS", 1)


def _training(folder: Path, place: str, **changes: object) -> Training:
    plain = Training(
        data=folder / "data",
        out=folder / place / "segmenters" / "mine.safetensors",
        work=folder / place / "work",
        device="cpu",
        recipe=RECIPE,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(folder: Path) -> tuple[Files[SegmenterCard], list[str]]:
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "_DRAWN_SMEARS", 1)
        return train_segmenter(_training(folder, "trained"), told.append), told


def test_a_training_writes_weights_that_load_and_says_what_they_are(
    folder: Path, trained: tuple[Files[SegmenterCard], list[str]]
) -> None:
    files, told = trained
    assert load_segmenter("mine", folder / "trained", "cpu").card == files.card
    assert files.card.data["train"]["bccd_fields"] > 0
    assert "CC BY-NC-SA" in files.card.terms
    assert [line.split()[0] for line in told[2:]] == ["1/2", "2/2"]
    card = (folder / "trained" / "segmenters" / "mine.md").read_text()
    assert "not for diagnostic procedures" in card
    assert files.card.weights_sha256 in card


def test_weights_made_without_the_non_commercial_set_say_so(folder: Path) -> None:
    recipe, left_out = replace(RECIPE, rounds=1), ("segpc_mm_512",)
    files = train_segmenter(_training(folder, "open", leave_out=left_out, recipe=recipe), lambda _: None)
    assert "segpc_mm_512" not in files.card.data["train"]
    assert "CC BY-NC-SA" not in files.card.terms


def test_a_training_that_was_stopped_ends_as_one_that_was_not(
    folder: Path, trained: tuple[Files[SegmenterCard], list[str]]
) -> None:
    class Stopped(Exception):  # noqa: N818 - no error of the product
        pass

    def stop_after_one(line: str) -> None:
        if line.startswith("1/"):
            raise Stopped

    with pytest.raises(Stopped):
        train_segmenter(_training(folder, "again"), stop_after_one)
    resumed = train_segmenter(_training(folder, "again"), lambda _: None)
    assert resumed.card.weights_sha256 == trained[0].card.weights_sha256


def test_a_work_folder_of_another_recipe_is_refused(
    folder: Path, trained: tuple[Files[SegmenterCard], list[str]]
) -> None:
    assert trained
    with pytest.raises(BadRequestError, match="another recipe"):
        train_segmenter(_training(folder, "trained", recipe=replace(RECIPE, seed=1)), lambda _: None)


def test_a_work_folder_of_other_data_is_refused(folder: Path, trained: tuple[Files[SegmenterCard], list[str]]) -> None:
    """Weights made with the non-commercial set must not be written with a card that says they were made without."""
    assert trained
    with pytest.raises(BadRequestError, match="other fields to train on"):
        train_segmenter(_training(folder, "trained", leave_out=("segpc_mm_512",)), lambda _: None)


def test_training_begins_with_the_weights_that_are_given(
    folder: Path, trained: tuple[Files[SegmenterCard], list[str]]
) -> None:
    """At a learning rate of 0 what was begun with comes out again, which random weights of another seed are not."""
    still = replace(RECIPE, rounds=1, steps=1, peak_lr=0.0, seed=RECIPE.seed + 1)
    again = _training(folder, "further", initial=trained[0].weights, recipe=still)
    train_segmenter(again, lambda _: None)
    before, after = (load_file(training.out) for training in (_training(folder, "trained"), again))
    convolutions = [key for key, value in before.items() if value.dim() == 4]
    assert convolutions
    assert all(torch.equal(before[key], after[key]) for key in convolutions)
    with pytest.raises(BadRequestError, match="holds no weights of a segmenter of widths"):
        train_segmenter(replace(again, recipe=replace(still, widths=(4, 6, 8)), work=folder / "w"), lambda _: None)
