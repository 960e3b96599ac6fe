from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.commands import drawn_field, runner, write_field
from tests.support.models import write_tiny_segmenter
from worker import cli_segment
from worker.cli_segment import Chosen, segment
from worker.drawing.smear import DrawnSmear
from worker.errors import BadRequestError

run = runner(segment)


@pytest.fixture(scope="module")
def smear() -> DrawnSmear:
    return drawn_field()


@pytest.fixture(scope="module")
def field(smear: DrawnSmear, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_field(smear, tmp_path_factory.mktemp("fields") / "drawn.png")


def mask(path: Path) -> NDArray[np.uint16]:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None
    assert found.dtype == np.uint16
    return np.asarray(found, np.uint16)


@pytest.mark.parametrize("segmenter", [[], ["--segmenter", "classical"]])
def test_a_mask_numbers_the_cells_of_the_picture(
    smear: DrawnSmear, field: Path, tmp_path: Path, segmenter: list[str]
) -> None:
    code, said = run(field, "--out", tmp_path, "--mpp", 0.25, "--json", *segmenter)
    (answer,) = json.loads(said)
    found = mask(tmp_path / "drawn.png")
    assert (code, answer["error_code"], answer["mpp_source"]) == (0, None, "declared")
    assert found.shape == smear.rgb.shape[:2]
    assert set(np.unique(found)) == set(range(answer["cells"] + 1))
    assert answer["cells"] == pytest.approx(len(smear.truth), abs=1)
    shared = np.count_nonzero((found > 0) & (smear.cells > 0))
    assert 2 * shared / (np.count_nonzero(found) + np.count_nonzero(smear.cells)) > 0.9


def test_a_nucleus_has_the_number_of_its_cell(field: Path, tmp_path: Path) -> None:
    run(field, "--out", tmp_path / "cells", "--mpp", 0.25)
    run(field, "--out", tmp_path / "nuclei", "--mpp", 0.25, "--nuclei")
    cells, nuclei = (mask(tmp_path / name / "drawn.png") for name in ("cells", "nuclei"))
    assert set(np.unique(nuclei)) == set(np.unique(cells))
    inside = nuclei > 0
    assert np.mean(cells[inside] == nuclei[inside]) > 0.99
    assert np.count_nonzero(inside) < np.count_nonzero(cells)


def test_a_folder_is_read_and_a_bad_file_in_it_holds_up_no_other(field: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no picture")
    (folder / "b.png").write_bytes(field.read_bytes())
    (folder / "notes.txt").write_text("not a picture")
    code, said = run(folder, "--out", tmp_path / "out", "--mpp", 0.25, "--segmenter", "classical")
    assert code == 3
    assert "a.png: " in said.splitlines()[0]
    assert "b.png: " in said.splitlines()[1]
    assert "research use only" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]


def test_a_picture_without_a_scale_is_not_guessed_at(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((300, 300, 3), 200, np.uint8))
    code, said = run(tmp_path / "grey.png", "--out", tmp_path / "out", "--segmenter", "classical", "--json")
    (answer,) = json.loads(said)
    assert (code, answer["error_code"]) == (3, "scale_unknown")
    assert "--mpp" in answer["remedy"]


@pytest.mark.parametrize(
    ("side_px", "mpp_um", "code"),
    [(300, 5.0, "too_coarse"), (20, 0.25, "too_small"), (2600, 1.0, "too_large")],
)
def test_a_picture_of_a_scale_that_cannot_be_worked_at_is_refused(
    tmp_path: Path, side_px: int, mpp_um: float, code: str
) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((side_px, side_px, 3), 200, np.uint8))
    exit_code, said = run(
        tmp_path / "grey.png", "--out", tmp_path / "out", "--mpp", mpp_um, "--segmenter", "classical", "--json"
    )
    (answer,) = json.loads(said)
    assert (exit_code, answer["error_code"], answer["mask"]) == (3, code, None)
    assert not list((tmp_path / "out").iterdir())


def test_a_picture_that_is_itself_too_large_is_refused(
    field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_segment, "_MOST_PX", 480 * 400 - 1)
    code, said = run(field, "--out", tmp_path, "--mpp", 0.05, "--segmenter", "classical")
    assert code == 3
    assert "too_large: it measures 480 x 400 px" in said


def test_masks_are_not_written_over_the_pictures(field: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(field.read_bytes())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").symlink_to(tmp_path / "b.png")
    for out in (tmp_path, tmp_path / "out"):
        with pytest.raises(BadRequestError, match=r"would replace the image .*\.png"):
            run(tmp_path, "--out", out, "--mpp", 0.25, "--segmenter", "classical")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes() == field.read_bytes()


def test_a_mask_that_cannot_be_written_is_not_passed_over(field: Path, tmp_path: Path) -> None:
    (tmp_path / "drawn.png").mkdir()
    with pytest.raises(BadRequestError, match=r"drawn\.png cannot be written"):
        run(field, "--out", tmp_path, "--mpp", 0.25, "--segmenter", "classical")


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_name_that_is_not_utf_8_is_segmented_like_any_other(field: Path, tmp_path: Path, as_json: list[str]) -> None:
    name = os.fsdecode(b"gr\xfcn.png")
    (tmp_path / name).write_bytes(field.read_bytes())
    code, said = run(tmp_path, "--out", tmp_path / "out", "--mpp", 0.25, "--segmenter", "classical", *as_json)
    assert code == 0
    assert "gr\\udcfcn.png" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_the_cells_that_are_told_are_those_in_the_mask(
    field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = np.zeros((400, 480), np.int32)
    cells[:10], cells[20:30], cells[40:50] = 1, 2, 3
    nuclei = np.where(cells == 2, 0, cells)
    chosen = Chosen(segment=lambda _rgb, _mpp_um: (cells, nuclei), mpp_um=0.25)
    monkeypatch.setattr(cli_segment, "_chosen", lambda _name, _device: chosen)
    told = {}
    for flags in ((), ("--nuclei",)):
        _, said = run(field, "--out", tmp_path, "--mpp", 0.25, "--json", *flags)
        told[flags] = json.loads(said)[0]["cells"], len(np.unique(mask(tmp_path / "drawn.png"))) - 1
    assert told == {(): (3, 3), ("--nuclei",): (2, 2)}


def test_ones_own_weights_are_used_by_name(field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_segmenter(tmp_path / "models")
    monkeypatch.setenv("MARROWLINE_MODELS_DIR", str(tmp_path / "models"))
    code, _ = run(field, "--out", tmp_path / "out", "--mpp", 0.25, "--segmenter", "tiny-segmenter")
    assert code == 0
    assert mask(tmp_path / "out" / "drawn.png").shape == (400, 480)


def test_wrong_calls_are_said_to_be_wrong(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="no such file"):
        run(tmp_path / "absent.png", "--out", tmp_path / "out")
    with pytest.raises(BadRequestError, match="no pictures"):
        run(tmp_path, "--out", tmp_path / "out")
