"""Model versions as they are listed: what is registered beside what is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from db.reports import ModelVersionReport
from scheduler.model_files import document_of
from worker.errors import ModelError
from worker.nets import cards


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A model version that is registered, installed, or both; what `marrowline models list --json` prints."""

    name: str
    created: str | None = None
    registered_at: datetime | None = None  # None: installed only
    active: bool = False
    activated_at: datetime | None = None
    weights_sha256: str | None = None
    installed: str | None = None  # where its weights lie on this machine
    fault: str | None = None  # why its card cannot be read
    arch: str | None = None
    classes: Sequence[str] = ()
    terms: str | None = None
    limits: str | None = None
    headline: Mapping[str, float]
    figures: Mapping[str, Any]
    slides_read: int = 0
    slides_quarantined: int = 0
    slides_queued: int = 0
    patients_shown: int = 0


def rows(known: Iterable[ModelVersionReport], models_dir: Path) -> list[ModelRow]:
    """Return the registered versions in their order, then those that are installed only."""
    registered = {one.model_version: _said(one) for one in known}
    names = [*registered, *(name for name in cards.names(models_dir) if name not in registered)]
    return [_row(name, _installed(name, models_dir) | registered.get(name, {})) for name in names]


def headline(figures: Mapping[str, Any]) -> dict[str, float]:
    """Return the few figures that a table has room for: those that a card calls so, or its balanced accuracies."""
    if isinstance(chosen := figures.get("headline"), Mapping):
        return {name: float(value) for name, value in chosen.items() if isinstance(value, int | float)}
    key = "balanced_accuracy"
    groups = {name: group for name, group in figures.items() if isinstance(group, Mapping)}
    return {f"{key} {name}": float(group[key]) for name, group in groups.items() if key in group}


def _row(name: str, said: Mapping[str, Any]) -> ModelRow:
    figures = said.get("figures") or {}
    shown = {key: value for key, value in said.items() if key in ModelRow.__dataclass_fields__}
    return ModelRow(**{**shown, "name": name, "figures": figures, "headline": headline(figures)})


def _said(known: ModelVersionReport) -> dict[str, Any]:
    """Return what the database says; what it does not know, the card may."""
    created = None if known.created is None else known.created.isoformat()
    said = asdict(known) | {"created": created}
    return {key: value for key, value in said.items() if value is not None}


def _installed(name: str, models_dir: Path) -> dict[str, Any]:
    """Return what the installed card says, and where its weights lie."""
    if name not in cards.names(models_dir):
        return {}
    try:
        files = cards.find(name, models_dir)
    except ModelError as error:
        return {"fault": str(error)}
    return document_of(files.card) | {"installed": str(files.weights.parent)}
