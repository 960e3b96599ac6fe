from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.models import Registered
from db.records import Confusion, ModelVersion
from scheduler.model_checks import Check, Standing, check_files, check_registered
from scheduler.model_files import document_of
from tests.support.registry import CARD, altered, write_model, write_segmenter
from worker.nets import cards
from worker.nets.card_files import Files, write_card
from worker.nets.cards import MODEL, Card

DAMAGE: dict[str, tuple[Callable[[Files[Card]], object], str]] = {
    "altered": (lambda files: altered(files.weights), "altered or incomplete"),
    "torn": (lambda files: files.weights.write_bytes(b""), "altered or incomplete"),
    "no card": (lambda files: files.weights.with_suffix(".json").unlink(), "has no card"),
    "no weights": (lambda files: files.weights.unlink(), "no weights"),
    "no JSON": (lambda files: files.weights.with_suffix(".json").write_text("{"), "is not a model card"),
}


def found(checks: list[Check], name: str) -> Check:
    (one,) = (check for check in checks if check.name == name)
    return one


def known(files: Files[Card], **changes: object) -> Registered:
    """Return the model as it was registered."""
    version = replace(cards.version_of(files.card), **changes)  # type: ignore[arg-type]
    now = datetime.now(UTC)
    return Registered(id=1, version=version, card=document_of(files.card), registered_at=now, active=False)


def test_the_shipped_weights_are_those_of_their_cards(tmp_path: Path) -> None:
    checks = check_files(tmp_path / "none")
    assert {"hybrid-2026-11-quarter", "segnet-2026-11"} <= {check.name for check in checks}
    assert {check.standing for check in checks} == {Standing.OK}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_of_ones_own_are_found(tmp_path: Path, damage: str) -> None:
    files = write_model(tmp_path)
    write_segmenter(tmp_path)
    assert found(check_files(tmp_path), "new").standing is Standing.OK
    DAMAGE[damage][0](files)
    check = found(check_files(tmp_path), "new")
    assert check.standing is Standing.DIFFERS
    assert DAMAGE[damage][1] in check.said
    assert found(check_files(tmp_path), "finder").standing is Standing.OK


def test_an_altered_segmenter_is_found(tmp_path: Path) -> None:
    altered(write_segmenter(tmp_path).weights)
    assert found(check_files(tmp_path), "finder").standing is Standing.DIFFERS


def test_a_model_that_hides_a_shipped_one_is_found(tmp_path: Path) -> None:
    write_model(tmp_path, replace(CARD, name="hybrid-2026-11-quarter"))
    standings = [check.standing for check in check_files(tmp_path) if check.name == "hybrid-2026-11-quarter"]
    assert standings == [Standing.OK, Standing.DIFFERS]


def test_a_registered_version_is_as_installed(tmp_path: Path) -> None:
    files = write_model(tmp_path)
    (check,) = check_registered([known(files)], ["new"], tmp_path)
    assert check.standing is Standing.OK


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights_sha256": "d" * 64}, "weights"),
        ({"classes": ("lymphocyte",)}, "classes"),
        ({"preprocess": {}}, "crop_px"),
        ({"confusion": Confusion(classes=("lymphoblast",), counts=((1, 0),))}, "confusion"),
    ],
)
def test_what_sets_a_registered_version_apart_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    (check,) = check_registered([known(write_model(tmp_path), **change)], [], tmp_path)
    assert check.standing is Standing.DIFFERS
    assert said in check.said


def test_a_card_that_says_something_else_now_is_found(tmp_path: Path) -> None:
    before = known(write_model(tmp_path))
    write_card(MODEL, replace(cards.find("new", tmp_path).card, limits="none at all"), tmp_path / "new.json")
    (check,) = check_registered([before], [], tmp_path)
    assert check.standing is Standing.DIFFERS
    assert "models add new" in check.said


def test_fields_that_cards_gained_since_are_no_difference(tmp_path: Path) -> None:
    one = known(write_model(tmp_path, replace(CARD, data={}, seed=0)))
    assert one.card is not None
    older = {key: value for key, value in one.card.items() if key not in ("stain_norm", "data", "seed")}
    for card in (older, None):
        (check,) = check_registered([replace(one, card=card)], [], tmp_path)
        assert check.standing is Standing.OK


@pytest.mark.parametrize(("needed", "standing"), [(["gone"], Standing.DIFFERS), ([], Standing.ABSENT)])
def test_a_version_that_is_not_installed_matters_where_it_is_needed(
    tmp_path: Path, needed: list[str], standing: Standing
) -> None:
    version = ModelVersion(name="gone", weights_sha256="a" * 64, classes=("lymphocyte",), preprocess={})
    one = Registered(id=1, version=version, card=None, registered_at=datetime.now(UTC), active=False)
    (check,) = check_registered([one], needed, tmp_path)
    assert check.standing is standing


def test_altered_weights_are_no_registered_version(tmp_path: Path) -> None:
    files = write_model(tmp_path)
    altered(files.weights)
    (check,) = check_registered([known(files)], [], tmp_path)
    assert check.standing is Standing.DIFFERS
