from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from db.reports import ModelVersionReport
from scheduler.model_list import headline, rows
from tests.support.registry import write_model
from worker.nets import cards

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def known(name: str, **changes: object) -> ModelVersionReport:
    plain = {
        "model_version": name, "created": date(2026, 11, 1), "registered_at": NOW, "active": True, "activated_at": NOW,
        "weights_sha256": "a" * 64, "arch": "vgg16", "classes": ["lymphocyte"], "figures": {}, "limits": "few",
        "terms": "CC0", "slides_read": 3, "slides_quarantined": 0, "slides_queued": 1, "patients_shown": 2,
    }  # fmt: skip
    return ModelVersionReport(**{**plain, **changes})  # type: ignore[arg-type]


def test_registered_versions_come_first_then_what_is_installed_only(tmp_path: Path) -> None:
    write_model(tmp_path)
    listed = rows([known("gone"), known("hybrid-2026-11-quarter", active=False)], tmp_path)
    assert [row.name for row in listed][:2] == ["gone", "hybrid-2026-11-quarter"]
    assert {row.name for row in listed} == {"gone", *cards.names(tmp_path)}
    gone, quarter = listed[:2]
    assert (gone.installed, gone.created, gone.active, gone.slides_read) == (None, "2026-11-01", True, 3)
    assert (quarter.installed is not None, quarter.active) == (True, False)
    new = next(row for row in listed if row.name == "new")
    assert (new.installed, new.registered_at, new.terms) == (str(tmp_path), None, "CC BY 4.0")
    assert new.headline == {"balanced_accuracy photographed": 0.75}


def test_the_card_fills_in_what_an_early_registration_does_not_know(tmp_path: Path) -> None:
    write_model(tmp_path)
    unknown = {"created": None, "figures": None, "limits": None, "terms": None, "arch": None}
    row = rows([known("new", **unknown)], tmp_path)[0]
    assert (row.created, row.terms, row.weights_sha256) == ("2026-11-23", "CC BY 4.0", "a" * 64)


def test_a_card_that_cannot_be_read_is_listed_with_its_fault(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "new.json").write_text("{}")
    row = next(row for row in rows([], tmp_path) if row.name == "new")
    assert (row.installed, row.weights_sha256) == (None, None)
    assert "is not a model card" in str(row.fault)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({}, {}),
        ({"headline": {"AUC segpc": 0.97, "note": "x"}, "drawn": {"balanced_accuracy": 1}}, {"AUC segpc": 0.97}),
        ({"drawn": {"balanced_accuracy": 1}, "seed": 3}, {"balanced_accuracy drawn": 1.0}),
    ],
)
def test_the_headline_is_what_a_card_calls_so_or_its_balanced_accuracies(
    figures: dict[str, object], expected: dict[str, float]
) -> None:
    assert headline(figures) == expected
