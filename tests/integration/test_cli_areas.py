from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from db.records import CellClass
from worker.cli_areas import areas
from worker.drawing.smear import SmearSpec, draw_smear
from worker.drawing.tiff import write_pyramid
from worker.errors import BadRequestError

APP = typer.Typer()
APP.command()(areas)


@pytest.fixture(scope="module")
def smear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a slide of 2048 px a side with a few cells in its middle."""
    spec = SmearSpec(width_px=512, height_px=512, seed=5, composition={CellClass.NEUTROPHIL: 8})
    rgb = np.full((2048, 2048, 3), 235, np.uint8)
    rgb[700:1212, 700:1212] = draw_smear(spec).rgb
    path = tmp_path_factory.mktemp("slides") / "drawn.tif"
    write_pyramid(path, rgb, 0.25)
    return path


def run(*args: object) -> tuple[int, str]:
    answer = CliRunner().invoke(APP, [str(arg) for arg in args])
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer.exit_code, answer.stdout


def test_a_smear_gets_a_picture_and_its_shares(smear: Path, tmp_path: Path) -> None:
    code, said = run(smear, "--out", tmp_path / "out", "--json")
    (answer,) = json.loads(said)
    assert code == 0
    assert answer["error_code"] is None
    assert sum(answer["shares"].values()) == pytest.approx(1.0)
    assert sum(area["mm2"] for area in answer["areas"]) == pytest.approx(answer["countable_mm2"])
    picture = cv2.imread(answer["picture"])
    assert picture is not None
    assert picture.shape[1] > 1000


def test_a_bad_file_beside_a_good_one_gets_its_code_and_the_exit_code_is_three(smear: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.svs").write_bytes(b"not a slide")
    code, said = run(tmp_path / "bad.svs", smear, "--out", tmp_path / "out")
    assert code == 3
    assert "bad.svs: unsupported_format: " in said
    assert "drawn.tif: " in said
    assert "research use only" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["drawn.areas.png"]


def test_a_refused_slide_gets_a_picture_that_says_so_and_can_be_overruled(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((400, 500, 3), 240, np.uint8))
    code, said = run(tmp_path / "empty.png", "--out", tmp_path / "out", "--mpp", 0.25, "--json")
    (answer,) = json.loads(said)
    assert (code, answer["error_code"]) == (3, "empty_slide")
    assert Path(answer["picture"]).is_file()
    assert run(tmp_path / "empty.png", "--out", tmp_path / "out", "--mpp", 0.25, "--smear")[0] == 0


def test_images_of_one_name_do_not_take_each_others_place(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "one.png"), np.full((400, 500, 3), 240, np.uint8))
    run(tmp_path / "a" / "one.png", tmp_path / "b" / "one.png", "--out", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one-2.areas.png", "one.areas.png"]


def test_a_file_that_is_not_there_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="no such file"):
        run(tmp_path / "absent.svs", "--out", tmp_path)


def test_a_picture_is_not_replaced_by_the_drawing_of_another(tmp_path: Path) -> None:
    for name in ("one.png", "one.areas.png"):
        cv2.imwrite(str(tmp_path / name), np.full((400, 500, 3), 240, np.uint8))
    before = (tmp_path / "one.areas.png").read_bytes()
    with pytest.raises(BadRequestError, match=r"would replace the image .*one\.areas\.png"):
        run(tmp_path, "--out", tmp_path, "--mpp", 0.25)
    assert (tmp_path / "one.areas.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_drawing_that_cannot_be_written_is_not_passed_over(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), np.full((400, 500, 3), 240, np.uint8))
    (tmp_path / "out" / "one.areas.png").mkdir(parents=True)
    with pytest.raises(BadRequestError, match=r"one\.areas\.png cannot be written"):
        run(tmp_path / "one.png", "--out", tmp_path / "out", "--mpp", 0.25)


def test_a_name_that_is_not_utf_8_is_drawn_like_any_other(tmp_path: Path) -> None:
    name = os.fsdecode(b"gr\xfcn")
    shown, content = cv2.imencode(".png", np.full((400, 500, 3), 240, np.uint8))
    assert shown
    (tmp_path / f"{name}.png").write_bytes(content.tobytes())
    code, said = run(tmp_path, "--out", tmp_path / "out", "--mpp", 0.25, "--json")
    (answer,) = json.loads(said)
    assert (code, Path(answer["picture"])) == (3, tmp_path / "out" / f"{name}.areas.png")
    assert Path(answer["picture"]).is_file()
