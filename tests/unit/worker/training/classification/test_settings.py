from pathlib import Path

import pytest

from worker.errors import BadRequestError
from worker.training.classification.settings import check_settings

SETTINGS = {"data": ["a"], "drawn": True, "begins_with": None}


def test_a_folder_with_crops_is_of_one_training(tmp_path: Path) -> None:
    check_settings(tmp_path, SETTINGS)
    (tmp_path / "crops.npz").touch()
    check_settings(tmp_path, SETTINGS)
    with pytest.raises(BadRequestError, match=r"\(begins_with, drawn\)"):
        check_settings(tmp_path, {**SETTINGS, "drawn": False, "begins_with": "0" * 64})
    check_settings(tmp_path, SETTINGS)


def test_a_folder_that_holds_nothing_yet_may_become_anything(tmp_path: Path) -> None:
    check_settings(tmp_path, {**SETTINGS, "data": ["mistyped"]})
    check_settings(tmp_path, SETTINGS)


def test_a_folder_from_before_is_taken_to_be_what_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "state.json").touch()
    check_settings(tmp_path, SETTINGS)
    with pytest.raises(BadRequestError, match="data"):
        check_settings(tmp_path, {**SETTINGS, "data": ["b"]})
