"""The command on photographs, with the model that is installed: whichever that is, it has to be sensible."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from worker.cli_predict import predict

DATA = os.environ.get("MARROWLINE_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="MARROWLINE_DATA names no folder of photographs")
APP = typer.Typer()
APP.command()(predict)


def told(*args: object) -> tuple[int, Any]:
    answer = CliRunner().invoke(APP, [*(str(arg) for arg in args), "--json"])
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer.exit_code, json.loads(answer.stdout)


def _fields(name: str, label: str, number: int) -> list[Path]:
    """Return fields of one label, from all over the set."""
    folder = Path(str(DATA)) / name
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        files = [folder / row["file"] for row in csv.DictReader(file) if row["label"] == label]
    return files[:: max(1, len(files) // number)][:number]


@pytest.mark.parametrize(
    ("name", "label", "mpp_um", "disease"),
    [("segpc_mm_512", "MM", 0.163, "MM"), ("taleqani_all", "ALL", 0.37, "ALL")],
)
def test_most_fields_of_a_disease_are_told_and_none_is_called_absent(
    name: str, label: str, mpp_um: float, disease: str
) -> None:
    code, answers = told(*_fields(name, label, 8), "--mpp", mpp_um)
    assert code == 0
    assert sum(answer["type"] == disease for answer in answers) >= 5
    assert sum(answer["cancer"] is False for answer in answers) <= 1


@pytest.mark.parametrize(
    ("name", "label", "mpp_um"), [("taleqani_all", "normal", 0.37), ("bccd_fields", "normal_field", 0.073)]
)
def test_normal_fields_are_not_called_cancer(name: str, label: str, mpp_um: float) -> None:
    _, answers = told(*_fields(name, label, 8), "--mpp", mpp_um)
    assert sum(answer["cancer"] is True for answer in answers) <= 1
    assert sum(answer["cancer"] is False for answer in answers) >= 4


def test_a_tissue_section_gets_no_answer() -> None:
    folder = Path(str(DATA)) / "bm_graz_HE_ood"
    code, answers = told(folder, "--mpp", 0.25)
    assert code == 3
    assert {answer["cancer"] for answer in answers} == {None}
    assert {answer["error_code"] for answer in answers} == {"not_a_smear_histology"}
