"""An evaluation as one JSON document for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isnan
from typing import Any

import numpy as np

from worker.training.classification.evaluation import reported
from worker.training.classification.evaluation.intervals import Figure
from worker.training.classification.evaluation.judging import Comparison, Judged, Judgement
from worker.training.classification.evaluation.reliability import Reliability
from worker.training.classification.evaluation.wording import NOTICE

FORMAT = "marrowline evaluation 1"


def to_json(judged: Judged, notes: Sequence[str]) -> str:
    """Return every figure, gap and comparison; null where a figure cannot be had."""
    document = {
        "format": FORMAT,
        "notice": NOTICE,
        "notes": list(notes),
        "systems": [_system(one) for one in judged.judgements.values()],
        "gaps": [{"task": t, "arch": a, "figures": _figures(found)} for (t, a), found in judged.gaps.items()],
        "comparisons": [_comparison(one) for one in judged.comparisons],
        "reported": {
            "source": reported.CITATION,
            "data_sets": {arch: [asdict(row) for row in rows] for arch, rows in reported.DATA_SETS.items()},
            "compared": {arch: asdict(row) for arch, row in reported.COMPARED.items()},
        },
    }
    return json.dumps(_finite(document), indent=1, allow_nan=False) + "\n"


def _system(one: Judgement) -> dict[str, Any]:
    about = one.outcome
    return {
        "task": about.task,
        "protocol": about.protocol,
        "arch": about.arch,
        "classes": about.classes,
        "positive": about.positive,
        "grouping": about.grouping,
        "rows": len(about),
        "units": len(np.unique(about.unit)),
        "groups": len(np.unique(about.group)),
        "folds": about.folds,
        "seed": about.seed,
        "temperatures": [float(about.temperature[about.fold == fold][0]) for fold in about.folds],
        "figures": _figures(one.figures),
        "by_fold": dict(one.by_fold),
        "confusion": one.confusion.tolist(),
        "calibration": _calibration(one.reliability),
    }


def _calibration(found: Reliability) -> dict[str, Any]:
    return {
        "expected_calibration_error": found.error,
        "limit": found.limit,
        "count": found.count.tolist(),
        "confidence": found.confidence.tolist(),
        "accuracy": found.accuracy.tolist(),
    }


def _comparison(one: Comparison) -> dict[str, Any]:
    return asdict(one) | {"differences": _figures(one.differences)}


def _figures(found: Mapping[str, Figure]) -> dict[str, Any]:
    return {name: asdict(figure) for name, figure in found.items()}


def _finite(value: Any) -> Any:
    """Return the document with null for NaN and five decimals, more than any figure is worth; p values are kept."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float):
        return None if isnan(value) else float(f"{value:.5g}")
    return value
