from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.commands import runner
from tests.support.models import CLASSES, write_tiny_model
from worker.cli_classify import classify
from worker.errors import BadRequestError

run = runner(classify)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_model(tmp_path / "models", abstain_below=0.5)
    monkeypatch.setenv("MARROWLINE_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("MARROWLINE_MODEL", "tiny")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A folder of three cells of 12 µm, one of them photographed twice as large."""
    folder = tmp_path / "cells"
    folder.mkdir()
    for name, side in (("a.png", 120), ("b.png", 120), ("large.png", 240)):
        rgb = np.full((side, side, 3), 232, np.uint8)
        cv2.circle(rgb, (side // 2, side // 2), side // 5, (150, 60, 120), -1, cv2.LINE_AA)
        cv2.imwrite(str(folder / name), rgb)
    return folder


def test_each_cell_gets_a_row_with_the_probability_of_every_class(cells: Path, tmp_path: Path) -> None:
    code, said = run(cells, "--out", tmp_path / "out" / "calls.csv", "--mpp", 0.25)
    found = rows(tmp_path / "out" / "calls.csv")
    assert code == 0
    assert list(found[0]) == ["file", "class", "probability", "abstained", *(f"p_{name}" for name in CLASSES)]
    assert [Path(row["file"]).name for row in found] == ["a.png", "b.png", "large.png"]
    for row in found:
        shares = {name: float(row[f"p_{name}"]) for name in CLASSES}
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-4)
        assert (row["class"], float(row["probability"])) == max(shares.items(), key=lambda share: share[1])
        assert row["abstained"] == str(float(row["probability"]) < 0.5).lower()
    assert said.rstrip().endswith("research use only, not for diagnostic procedures")


def test_a_cell_is_called_alike_at_any_scale(cells: Path, tmp_path: Path) -> None:
    for image, mpp in (("a.png", 0.25), ("large.png", 0.125)):
        run(cells / image, "--out", tmp_path / f"{image}.csv", "--mpp", mpp)
    (small,), (large,) = (rows(tmp_path / f"{image}.csv") for image in ("a.png", "large.png"))
    assert small["class"] == large["class"]
    assert all(float(small[f"p_{name}"]) == pytest.approx(float(large[f"p_{name}"]), abs=0.02) for name in CLASSES)


def test_what_cannot_be_read_is_left_out_and_holds_up_no_other(cells: Path, tmp_path: Path) -> None:
    (cells / "bad.png").write_bytes(b"no picture")
    cv2.imwrite(str(cells / "wide.png"), np.full((10, 5000, 3), 230, np.uint8))
    code, said = run(cells, "--out", tmp_path / "calls.csv", "--mpp", 0.25, "--json")
    refused = {Path(one["file"]).name: one["error_code"] for one in json.loads(said) if one["error_code"]}
    assert code == 3
    assert set(refused) == {"bad.png", "wide.png"}
    assert refused["wide.png"] == "too_large"
    assert len(rows(tmp_path / "calls.csv")) == 3


def test_a_scale_is_not_guessed(cells: Path, tmp_path: Path) -> None:
    code, said = run(cells / "a.png", "--out", tmp_path / "calls.csv", "--json")
    assert code == 3
    assert json.loads(said)[0]["remedy"] == "Run it again with --mpp."
    assert rows(tmp_path / "calls.csv") == []


def test_no_picture_is_replaced_by_the_table(cells: Path) -> None:
    before = (cells / "a.png").read_bytes()
    with pytest.raises(BadRequestError, match="would replace"):
        run(cells, "--out", cells / "a.png", "--mpp", 0.25)
    with pytest.raises(BadRequestError, match="would replace"):
        run(cells, "--out", cells, "--mpp", 0.25)
    assert (cells / "a.png").read_bytes() == before
