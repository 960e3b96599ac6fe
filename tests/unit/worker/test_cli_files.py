from __future__ import annotations

import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from worker.cli_files import made, outputs, printable, write_png
from worker.errors import BadRequestError

GREY = np.full((3, 4), 40_000, np.uint16)


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a picture")
    return path


def _names(tmp_path: Path, *images: str) -> list[str]:
    return [path.name for path in outputs([tmp_path / image for image in images], tmp_path / "out", ".png")]


def test_no_two_images_get_one_name(tmp_path: Path) -> None:
    assert _names(tmp_path, "a.png", "b/a.png", "a-2.png") == ["a.png", "a-2.png", "a-2-2.png"]
    assert _names(tmp_path, "a-2.png", "a.png", "b/a.png", "c/a.png") == ["a-2.png", "a.png", "a-3.png", "a-4.png"]


def test_a_folder_is_not_written_into_over_its_own_pictures(tmp_path: Path) -> None:
    image = _file(tmp_path / "a.png")
    with pytest.raises(BadRequestError, match=re.escape(str(image))):
        outputs([image], tmp_path, ".png")
    assert outputs([image], tmp_path, ".areas.png") == [tmp_path / "a.areas.png"]


def test_one_image_is_not_replaced_by_the_mask_of_another(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"replace the image .*a\.png"):
        outputs([_file(tmp_path / "a.jpg"), _file(tmp_path / "a.png")], tmp_path, ".png")


def test_an_image_is_known_by_any_spelling_and_link(tmp_path: Path) -> None:
    image = _file(tmp_path / "in" / "a.png")
    (tmp_path / "folder").symlink_to(tmp_path / "in")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").symlink_to(image)
    for folder in (tmp_path / "folder", tmp_path / "other", tmp_path / "other" / ".." / "in"):
        with pytest.raises(BadRequestError, match="would replace"):
            outputs([image], folder, ".png")


def test_an_older_result_may_be_replaced(tmp_path: Path) -> None:
    older = _file(tmp_path / "out" / "a.png")
    assert outputs([_file(tmp_path / "a.png")], tmp_path / "out", ".png") == [older]


def test_a_png_comes_back_whatever_its_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"gr\xfcn.png")
    write_png(path, GREY)
    found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(found, GREY)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_named_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(BadRequestError, match=r"taken\.png cannot be written: Is a directory"):
        write_png(tmp_path / "taken.png", GREY)
    with pytest.raises(BadRequestError, match=r"a\.png cannot be written: No such file"):
        write_png(tmp_path / "absent" / "a.png", GREY)
    with pytest.raises(BadRequestError, match="cannot be written: File name too long"):
        write_png(tmp_path / f"{'long' * 80}.png", GREY)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"a\.png: this folder cannot be made: File exists"):
        made(_file(tmp_path / "a.png"))
    made(tmp_path / "one" / "two")
    made(tmp_path / "one" / "two")


def test_a_name_that_is_not_utf_8_can_be_printed_and_read_back_from_json() -> None:
    name = os.fsdecode(b"gr\xfcn ") + "µ"
    assert printable(name) == "gr\\udcfcn µ"
    assert json.loads(printable(json.dumps(name, ensure_ascii=False))) == name
