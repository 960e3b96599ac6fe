from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from worker.training.segmentation.fields import TrueField
from worker.training.segmentation.metrics import Counts
from worker.training.segmentation.overlays import FOUND, TRUTH, Shown, caption, chosen, outlined, panel, write_panel
from worker.training.segmentation.partial import PartialCounts
from worker.training.segmentation.scores import FieldScore, Masks, SourceScore
from worker.training.segmentation.sets import Known


def scored(name: str, dice: float) -> FieldScore:
    counts = Counts(truth=2, found=2, hits=1, iou_sum=0.8, dice_sum=0.9)
    return FieldScore(
        name=name, group="g", whole=Masks(dice=dice, jaccard=dice, aggregated_jaccard=dice, counts=counts)
    )


def source(*marks: float) -> SourceScore:
    fields = tuple(scored(f"f{n}", mark) for n, mark in enumerate(marks))
    return SourceScore(source="smears", segmenter="mine", known=Known.EVERY_CELL, fields=fields)


def disc(x: int, y: int) -> NDArray[np.int32]:
    image = np.zeros((80, 100), np.int32)
    cv2.circle(image, (x, y), 20, 3, cv2.FILLED)
    return image


def shown(score: FieldScore, word: str = "best") -> Shown:
    truth = TrueField(rgb=np.full((80, 100, 3), 200, np.uint8), mpp_um=0.25, cells=disc(40, 40))
    return Shown(word=word, score=score, truth=truth, found=disc(50, 40))


def of_colour(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((np.abs(picture.astype(int) - colour) <= 12).all(axis=2))


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ((0.5, 0.9, 0.7, 0.2, 0.8), {"best": "f1", "median": "f2", "worst": "f3"}),
        ((0.5, 0.9), {"best": "f1", "worst": "f0"}),
        ((0.5,), {"best": "f0"}),
        ((0.5, 0.5, 0.5), {"best": "f0", "median": "f1", "worst": "f2"}),
    ],
)
def test_best_median_and_worst_are_chosen_once_each(marks: tuple[float, ...], expected: dict[str, str]) -> None:
    assert {word: one.name for word, one in chosen(source(*marks)).items()} == expected


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.6])
def test_lines_lie_on_the_outline_at_every_size(scale: float) -> None:
    picture = outlined(np.full((80, 100, 3), 200, np.uint8), disc(40, 40), TRUTH, scale)
    assert picture.shape == (round(80 * scale), round(100 * scale), 3)
    rows, columns = np.nonzero((picture != 200).any(axis=2))
    away = np.hypot((columns + 0.5) / scale - 40.5, (rows + 0.5) / scale - 40.5)
    assert float(away.mean()) == pytest.approx(20, abs=0.6)
    assert float(np.abs(away - 20).max()) < 3.5 / scale + 1.1  # lines are of the same width at every size


def test_lines_about_small_cells_are_thinner() -> None:
    glass = np.full((80, 100, 3), 200, np.uint8)
    small, large = (outlined(glass, disc(40, 40), TRUTH, scale) for scale in (1.0, 2.0))
    changed = [np.count_nonzero((picture != 200).any(axis=2)) for picture in (small, large)]
    assert changed[1] > 2.5 * changed[0]  # the outline is twice as long


def test_a_panel_shows_truth_on_the_left_and_found_on_the_right() -> None:
    picture = panel(source(0.9, 0.8), [shown(scored("f0", 0.9)), shown(scored("f1", 0.8), "worst")])
    middle = picture.shape[1] // 2
    rows = slice(100, picture.shape[0] - 40)  # less the head, whose words have the same colours
    assert of_colour(picture[rows, :middle], TRUTH).any()
    assert not of_colour(picture[rows, middle:], TRUTH).any()
    assert of_colour(picture[rows, middle:], FOUND).any()
    assert not of_colour(picture[rows, :middle], FOUND).any()


def test_captions_tell_what_was_judged() -> None:
    assert caption(shown(scored("f0", 0.91234))).split() == ["best:", "f0", "Dice", "0.912", "F1", "0.500"]
    strict = Counts(truth=4, found=3, hits=3, iou_sum=2.4, dice_sum=2.7)
    counts = PartialCounts(strict=strict, joined=strict, single=strict, merged=0, crumbs=0)
    partial = FieldScore(name="s", group="g", partial=counts)
    assert caption(shown(partial, "worst")).endswith("Dice of matched 0.900    3 of 4 matched")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_panels_are_written_as_their_name_says(tmp_path: Path, name: str) -> None:
    picture = panel(source(0.9), [shown(scored("f0", 0.9))])
    write_panel(tmp_path / name, picture)
    with Image.open(tmp_path / name) as image:
        assert (image.height, image.width) == picture.shape[:2]
        assert image.format == {"a.png": "PNG", "a.jpg": "JPEG"}[name]
