"""Model versions as rows of the database, and back; what sets two of one name apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from db.records import Confusion, ModelVersion
from db.tables import model_version

COLUMNS = tuple(model_version.c[name] for name in ("name", "weights_sha256", "classes", "preprocess", "confusion"))
"""What `version_of` needs of a row."""


def values_of(version: ModelVersion) -> dict[str, Any]:
    """Return the columns that a model version fills."""
    return {
        "name": version.name,
        "weights_sha256": version.weights_sha256,
        "classes": list(version.classes),
        "preprocess": dict(version.preprocess),
        "confusion": None if version.confusion is None else asdict(version.confusion),
    }


def version_of(row: Row[Any]) -> ModelVersion:
    """Return the model version in a row that has COLUMNS."""
    return ModelVersion(
        name=row.name,
        weights_sha256=row.weights_sha256,
        classes=tuple(row.classes),
        preprocess=row.preprocess,
        confusion=confusion_of(row.confusion),
    )


def confusion_of(stored: Mapping[str, Any] | None) -> Confusion | None:
    """Return the confusion that a row holds, None where it holds none."""
    if stored is None:
        return None
    return Confusion(classes=tuple(stored["classes"]), counts=tuple(tuple(row) for row in stored["counts"]))


def differing(one: ModelVersion, other: ModelVersion) -> list[str]:
    """Name what sets two model versions of one name apart; empty when nothing does."""
    what = ["weights"] if one.weights_sha256 != other.weights_sha256 else []
    what += ["classes"] if one.classes != other.classes else []
    what += ["confusion"] if one.confusion != other.confusion else []
    keys = sorted({*one.preprocess, *other.preprocess})
    return [*what, *(key for key in keys if one.preprocess.get(key) != other.preprocess.get(key))]
