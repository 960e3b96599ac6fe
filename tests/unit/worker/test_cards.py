import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from db.records import Confusion
from tests.support.models import CLASSES, write_tiny_model
from worker.cells.measures import NAMES as MEASURES
from worker.errors import ModelError
from worker.nets.card_files import read_card, verified_bytes, write_card, write_files
from worker.nets.cards import INT8, MODEL, STAIN_ANCHORS, Card, describe, find, names, version_of

QUARTER_SHA256 = "21ae91e5ae6ddca006a290703f31273abb4eb7e6e8a7d3583cf6a601e8f994d0"
MEASURED_SHA256 = "9b5357abc6d301c4d676136a86a88c1cb136b84b1b4eee07ca110e3a4ec38aa5"
SEGNET_SHA256 = "14f1a41c7aae5b97c9878b79efa8e627dd811a2354dc8b6c5b0596b87ad5d9a7"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_tiny_model(path)
    return path


def _card(**changes: object) -> Card:
    plain = {
        "name": "x", "channels": (1, 1, 1, 1, 1), "created": "2026-11-23", "classes": ("platelet",),
        "mpp_um": 0.25, "crop_px": 48, "mean": (0.5, 0.5, 0.5), "std": (1.0, 1.0, 1.0),
    }  # fmt: skip
    return Card(**{**plain, **changes})  # type: ignore[arg-type]


def test_a_card_comes_back_from_its_file(tmp_path: Path) -> None:
    card = _card(figures={"recall": [0.5, 1.0]})
    write_card(MODEL, card, tmp_path / "x.json")
    assert read_card(MODEL, tmp_path / "x.json") == card


def test_a_folder_of_ones_own_comes_before_the_shipped_weights(folder: Path) -> None:
    assert find("tiny", folder).weights.parent == folder
    assert "tiny" in names(folder)
    assert "tiny" not in names()


def test_a_missing_model_is_named_with_the_way_to_get_it(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"hybrid-nowhere\.safetensors.*MARROWLINE_MODELS_DIR"):
        find("hybrid-nowhere", folder)


def test_a_name_cannot_leave_the_folder(folder: Path) -> None:
    with pytest.raises(ModelError, match="no model name"):
        find("../models/tiny", folder)


def test_a_described_model_carries_classes_and_preprocessing(folder: Path) -> None:
    version = describe("tiny", folder)
    assert version.classes == CLASSES
    assert version.preprocess["crop_px"] == 48
    assert version.weights_sha256 == find("tiny", folder).card.weights_sha256


def test_only_a_chosen_stain_normalisation_is_registered(tmp_path: Path) -> None:
    files = write_tiny_model(tmp_path)
    assert "stain_norm" not in describe("tiny", tmp_path).preprocess
    write_card(MODEL, replace(files.card, stain_norm=STAIN_ANCHORS), tmp_path / "tiny.json")
    assert describe("tiny", tmp_path).preprocess["stain_norm"] == STAIN_ANCHORS


def test_how_weights_are_stored_is_no_part_of_what_is_registered() -> None:
    assert version_of(_card(stored=INT8)) == version_of(_card())


def test_a_released_version_is_registered_as_it_always_was() -> None:
    version = version_of(find("hybrid-2026-11-quarter").card)
    assert version.weights_sha256 == QUARTER_SHA256
    assert version.preprocess == {
        "arch": "hybrid-vgg16bn-vgg19bn", "channels": [16, 32, 64, 128, 128], "mpp_um": 0.25, "crop_px": 80,
        "input_px": 64, "mean": [0.78, 0.7, 0.78], "std": [0.17, 0.2, 0.15], "turns": 4, "temperature": 0.683,
        "abstain_below": 0.51, "outlying_above": 5.8203, "segmenter": "segnet-2026-11",
        "segmenter_sha256": SEGNET_SHA256,
    }  # fmt: skip
    assert version.confusion is not None
    assert version.confusion.classes == version.classes


def test_a_card_says_nothing_of_what_earlier_versions_do_not_know_unless_it_is_asked_for(tmp_path: Path) -> None:
    write_card(MODEL, _card(), tmp_path / "plain.json")
    assert not {"measures", "measures_weight"} & json.loads((tmp_path / "plain.json").read_text()).keys()
    asked = _card(measures=("solidity",), measures_weight=0.5)
    write_card(MODEL, asked, tmp_path / "asked.json")
    assert read_card(MODEL, tmp_path / "asked.json") == asked


def test_a_version_that_weighs_measurements_is_registered_with_them() -> None:
    version = version_of(find("hybrid-2026-11-measured").card)
    assert version.weights_sha256 == MEASURED_SHA256
    assert version.preprocess == {
        "arch": "hybrid-vgg16bn-vgg19bn", "channels": [16, 32, 64, 128, 128], "mpp_um": 0.25, "crop_px": 112,
        "input_px": 112, "mean": [0.78, 0.7, 0.78], "std": [0.17, 0.2, 0.15], "turns": 2, "temperature": 0.86,
        "abstain_below": 0.51, "outlying_above": 5.903, "segmenter": "segnet-2026-11",
        "segmenter_sha256": SEGNET_SHA256, "measures": list(MEASURES), "measures_weight": 0.5,
    }  # fmt: skip


def test_altered_weights_are_not_described(tmp_path: Path) -> None:
    files = write_tiny_model(tmp_path)
    content = bytearray(files.weights.read_bytes())
    content[-1] ^= 1
    files.weights.write_bytes(content)
    with pytest.raises(ModelError, match="altered or incomplete"):
        describe("tiny", tmp_path)
    with pytest.raises(ModelError, match="SHA-256"):
        verified_bytes(files)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ["granulocyte"]}, "granulocyte"),
        ({"classes": ["platelet", "platelet"]}, "distinct"),
        ({"std": [0.0, 1.0, 1.0]}, "std"),
        ({"abstain_below": 2.0}, "abstain_below"),
        ({"stain_norm": "macenko"}, "stain_norm"),
        ({"stored": "float8"}, "float16"),
        ({"crop_px": "wide"}, "not a model card"),
        ({"hue": "red"}, "unknown fields hue"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    stored = json.loads((folder / "tiny.json").read_text())
    (tmp_path / "tiny.json").write_text(json.dumps({**stored, **change}))
    with pytest.raises(ModelError, match=said):
        read_card(MODEL, tmp_path / "tiny.json")


def test_a_renamed_model_is_refused(tmp_path: Path) -> None:
    files = write_tiny_model(tmp_path)
    files.weights.rename(tmp_path / "other.safetensors")
    (tmp_path / "tiny.json").rename(tmp_path / "other.json")
    with pytest.raises(ModelError, match="rename"):
        find("other", tmp_path)


def test_a_model_is_described_without_torch(folder: Path) -> None:
    program = (
        "import sys, pathlib; from worker.nets.cards import describe; "
        f"describe('tiny', pathlib.Path({str(folder)!r})); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_a_model_may_use_the_weight_file_of_another(tmp_path: Path) -> None:
    files = write_tiny_model(tmp_path)
    other = replace(files.card, name="tiny-again", weights_of="tiny", abstain_below=0.3)
    write_card(MODEL, other, tmp_path / "tiny-again.json")
    found = find("tiny-again", tmp_path)
    assert (found.card, found.weights) == (other, files.weights)
    assert "tiny-again" in names(tmp_path)
    files.weights.unlink()
    assert "tiny-again" not in names(tmp_path)


def test_a_segmenter_is_named_with_the_hash_of_its_weights(tmp_path: Path) -> None:
    card = replace(write_tiny_model(tmp_path).card, segmenter="segnet")
    with pytest.raises(ModelError, match="SHA-256"):
        write_card(MODEL, card, tmp_path / "tiny.json")


@pytest.mark.parametrize("change", [{"std": (0.0, 1.0, 1.0)}, {"figures": {"recall": object()}}])
def test_weights_with_a_card_that_is_refused_leave_nothing_behind(tmp_path: Path, change: dict[str, object]) -> None:
    before = write_tiny_model(tmp_path)
    content = before.weights.read_bytes()
    with pytest.raises(ModelError, match="card 'tiny'"):
        write_files(MODEL, replace(before.card, **change), b"other weights", tmp_path)  # type: ignore[arg-type]
    assert before.weights.read_bytes() == content
    with pytest.raises(ModelError, match="card 'x'"):
        write_files(MODEL, _card(**change), b"weights", tmp_path / "new")
    assert not (tmp_path / "new").exists()


MATRIX = {"classes": ["platelet"], "counts": [[7, 2]]}


def test_a_confusion_goes_from_the_card_to_the_model_version(tmp_path: Path) -> None:
    write_card(MODEL, _card(confusion=MATRIX), tmp_path / "x.json")
    confusion = version_of(read_card(MODEL, tmp_path / "x.json")).confusion
    assert confusion == Confusion(classes=("platelet",), counts=((7, 2),))
    assert version_of(_card()).confusion is None


@pytest.mark.parametrize(
    "changes",
    [
        {"confusion": {"classes": ["platelet"]}},
        {"confusion": {"classes": ["platelet"], "counts": [[7]]}},
        {"confusion": {"classes": ["smudge"], "counts": [[7, 2]]}},
        {"confusion": {"classes": ["platelet"], "counts": [[-7, 2]]}},
        {"outlying_above": -1.0},
        {"outlying_above": float("inf")},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"abstain_below": float("nan")},
        {"mean": (float("nan"), 0.5, 0.5)},
        {"turns": 0},
        {"colour": "cmyk"},
        {"denoise": "bilateral"},
        {"turns": 9},
    ],
)
def test_a_card_with_a_confusion_or_limit_that_cannot_be_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        write_card(MODEL, _card(**changes), tmp_path / "x.json")


def test_a_limit_for_outlying_cells_decides_calls_and_is_registered() -> None:
    assert version_of(_card(outlying_above=2.5)).preprocess["outlying_above"] == 2.5
    assert "outlying_above" not in version_of(_card()).preprocess
    assert version_of(_card(turns=4)).preprocess["turns"] == 4
    assert "turns" not in version_of(_card()).preprocess


def test_colour_and_filter_are_registered_where_a_model_asks_for_them() -> None:
    preprocess = version_of(_card(colour="lab", denoise="median")).preprocess
    assert (preprocess["colour"], preprocess["denoise"]) == ("lab", "median")
    assert not {"colour", "denoise"} & version_of(_card()).preprocess.keys()
