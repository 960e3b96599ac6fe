from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.model_files import install, is_file, opened, verified
from tests.support.registry import CARD, altered, write_model, write_segmenter
from worker.errors import BadRequestError, ModelError
from worker.nets import cards, segmenter_cards


def take_in(source: Path, models_dir: Path, name: str = "new") -> Path | None:
    return install(verified(source, name, models_dir), models_dir)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("new", False), ("hybrid-1.0", False), ("./new", True), ("new.json", True), ("a/new.safetensors", True)],
)
def test_a_file_is_told_from_an_installed_name(source: str, expected: bool) -> None:
    assert is_file(source) is expected


@pytest.mark.parametrize("ending", ["", ".json", ".safetensors"])
def test_a_pair_is_named_by_either_of_its_files(tmp_path: Path, ending: str) -> None:
    with opened(f"{tmp_path}/v1.2{ending}", tmp_path) as found:
        assert found == (tmp_path, "v1.2")


def test_a_verified_model_is_copied_with_its_card(tmp_path: Path) -> None:
    card = write_model(tmp_path / "made").card
    assert take_in(tmp_path / "made", tmp_path / "models") == tmp_path / "models" / "new.safetensors"
    assert cards.find("new", tmp_path / "models").card == card
    assert cards.describe("new", tmp_path / "models").weights_sha256 == card.weights_sha256


def test_altered_weights_are_not_taken_in(tmp_path: Path) -> None:
    altered(write_model(tmp_path / "made").weights)
    with pytest.raises(ModelError, match="altered or incomplete"):
        take_in(tmp_path / "made", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_card_without_its_weights_is_not_taken_in(tmp_path: Path) -> None:
    write_model(tmp_path / "made").weights.unlink()
    with pytest.raises(ModelError, match=r"new\.safetensors"):
        take_in(tmp_path / "made", tmp_path / "models")
    (tmp_path / "made" / "hybrid-2026-11-quarter.json").write_text(
        "{}"
    )  # the package's own of that name must not stand in
    with pytest.raises(ModelError, match="not both in"):
        take_in(tmp_path / "made", tmp_path / "models", "hybrid-2026-11-quarter")


def test_a_name_is_never_given_to_other_contents(tmp_path: Path) -> None:
    write_model(tmp_path / "models")
    for other in (
        write_model(tmp_path / "b", content=b"other"),
        write_model(tmp_path / "c", replace(CARD, crop_px=96)),
    ):
        with pytest.raises(ModelError, match=r"other contents \((weights|crop_px)\): give the new weights a new name"):
            take_in(other.weights.parent, tmp_path / "models")
    assert cards.describe("new", tmp_path / "models") == cards.version_of(write_model(tmp_path / "models").card)


def test_a_name_of_the_package_is_never_given_away(tmp_path: Path) -> None:
    write_model(tmp_path / "made", replace(CARD, name="hybrid-2026-11-quarter"))
    with pytest.raises(ModelError, match="other contents"):
        take_in(tmp_path / "made", tmp_path / "models", "hybrid-2026-11-quarter")


def test_what_is_part_of_the_package_is_not_copied(tmp_path: Path) -> None:
    shipped = cards.find("hybrid-2026-11-quarter")
    assert take_in(shipped.weights.parent, tmp_path / "models", "hybrid-2026-11-quarter") is None
    assert not (tmp_path / "models").exists()


def test_taking_in_again_mends_a_damaged_copy(tmp_path: Path) -> None:
    write_model(tmp_path / "made")
    altered(write_model(tmp_path / "models").weights)
    take_in(tmp_path / "made", tmp_path / "models")
    assert cards.describe("new", tmp_path / "models").name == "new"


def test_a_segmenter_comes_along_unless_it_is_installed(tmp_path: Path) -> None:
    finder = write_segmenter(tmp_path / "made")
    card = replace(CARD, segmenter="finder", segmenter_sha256=finder.card.weights_sha256)
    write_model(tmp_path / "made", card)
    assert verified(tmp_path / "made", "new", tmp_path / "made").segmenter is None
    take_in(tmp_path / "made", tmp_path / "models")
    assert segmenter_cards.find("finder", tmp_path / "models").card == finder.card
    assert cards.describe("new", tmp_path / "models").preprocess["segmenter"] == "finder"


def test_a_model_without_its_segmenter_is_not_taken_in(tmp_path: Path) -> None:
    card = replace(CARD, segmenter="finder", segmenter_sha256="a" * 64)
    write_model(tmp_path / "made", card)
    with pytest.raises(ModelError, match="segmenter 'finder'"):
        take_in(tmp_path / "made", tmp_path / "models")
    altered(write_segmenter(tmp_path / "made").weights)
    write_model(tmp_path / "made", replace(card, segmenter_sha256=write_segmenter(tmp_path / "x").card.weights_sha256))
    with pytest.raises(ModelError, match="altered or incomplete"):
        take_in(tmp_path / "made", tmp_path / "models")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    write_model(tmp_path / "made")
    (tmp_path / "file").touch()
    with pytest.raises(BadRequestError, match="MARROWLINE_MODELS_DIR"):
        take_in(tmp_path / "made", tmp_path / "file" / "models")
