"""The command on drawn fields, with a tiny network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.commands import drawn_field, runner, write_field
from tests.support.models import write_tiny_model
from worker.cli_predict import predict
from worker.drawing.smear import DrawnSmear
from worker.errors import BadRequestError, ModelError

run = runner(predict)


def told(*args: object) -> tuple[int, Any]:
    code, said = run(*args, "--json")
    return code, json.loads(said)


@pytest.fixture(scope="module")
def smear() -> DrawnSmear:
    return drawn_field()


@pytest.fixture(scope="module")
def field(smear: DrawnSmear, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_field(smear, tmp_path_factory.mktemp("fields") / "drawn.png")


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("MARROWLINE_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("MARROWLINE_MODEL", "tiny")


def test_one_image_gets_one_answer_with_its_cells_and_rules(smear: DrawnSmear, field: Path) -> None:
    code, answer = told(field, "--mpp", 0.25)
    assert (code, answer["file"], answer["error_code"]) == (0, str(field), None)
    assert {"cancer", "type", "probability", "fuzzy", "cells"} <= set(answer)
    assert len(answer["cells"]) == pytest.approx(len(smear.truth), abs=1)
    assert answer["fuzzy"]["rules"][0]["strength"] >= 0.5
    assert 0 <= answer["probability"] <= 1


def test_a_cell_lies_where_it_was_drawn(smear: DrawnSmear, field: Path) -> None:
    _, answer = told(field, "--mpp", 0.25)
    drawn = [smear.cells[round(cell["y_l0"]), round(cell["x_l0"])] for cell in answer["cells"]]
    assert len(set(drawn)) == len(drawn)
    assert 0 not in drawn
    for cell in answer["cells"]:
        (left, top), (right, bottom) = np.min(cell["outline_l0"], axis=0), np.max(cell["outline_l0"], axis=0)
        assert left <= cell["x_l0"] <= right
        assert top <= cell["y_l0"] <= bottom


def test_a_folder_gets_a_list_and_a_bad_file_in_it_its_reason(field: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no picture")
    (folder / "b.png").write_bytes(field.read_bytes())
    code, answers = told(folder, "--mpp", 0.25, "--out", tmp_path / "out")
    assert code == 3
    assert [answer["error_code"] is None for answer in answers] == [False, True]
    assert (answers[0]["cancer"], answers[0]["cells"], answers[0]["picture"]) == (None, [], None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.cells.png"]


def test_the_picture_shows_the_field_beside_its_legend(field: Path, tmp_path: Path) -> None:
    run(field, "--mpp", 0.25, "--out", tmp_path / "out")
    drawn = cv2.imread(str(tmp_path / "out" / "drawn.cells.png"))
    assert drawn is not None
    assert drawn.shape[1] > 1200


def test_a_scale_is_not_guessed(field: Path, tmp_path: Path) -> None:
    blank = tmp_path / "few.png"
    picture = cv2.imread(str(field))
    assert picture is not None
    cv2.imwrite(str(blank), picture[:120, :120])
    code, answer = told(blank)
    assert (code, answer["error_code"]) == (3, "scale_unknown")
    assert answer["remedy"] == "Run it again with --mpp."


def test_empty_glass_gets_no_answer_but_a_picture_that_says_why(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "glass.png"), np.full((300, 300, 3), 235, np.uint8))
    code, answer = told(tmp_path / "glass.png", "--mpp", 0.25, "--out", tmp_path / "out")
    assert (code, answer["cancer"], answer["error_code"]) == (3, None, "empty_slide")
    assert Path(answer["picture"]).is_file()


def test_people_read_one_line_and_the_notice(field: Path) -> None:
    code, said = run(field, "--mpp", 0.25)
    assert code == 0
    assert said.startswith("drawn.png: ")
    assert said.rstrip().endswith("research use only, not for diagnostic procedures")


def test_an_unknown_model_is_said_before_anything_is_read(field: Path) -> None:
    with pytest.raises(ModelError, match="absent"):
        run(field, "--mpp", 0.25, "--model", "absent")
    with pytest.raises(BadRequestError, match="no such file"):
        run(field.with_name("gone.png"))


def test_a_whole_slide_is_not_one_field(field: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.predict.MOST_PX", 1000)
    code, answer = told(field, "--mpp", 0.25)
    assert (code, answer["error_code"]) == (3, "too_large")
