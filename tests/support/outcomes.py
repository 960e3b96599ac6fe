"""Made predictions of a system whose skill is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.training.classification.evaluation.outcome import Outcome


def outcome(
    *,
    count: int = 60,
    groups: int = 10,
    classes: tuple[str, ...] = ("a", "b"),
    skill: float = 1.5,
    draw: int = 0,
    **fields: Any,
) -> Outcome:
    """Return predictions of a calibrated system; more skill separates the classes better.

    Units, truths, groups and folds depend on the counts alone, so that systems of different `draw` can be compared.
    """
    units = np.random.default_rng(count * 1000 + groups)
    truth = units.permutation(np.arange(count) % len(classes))
    group = np.arange(count) % groups
    evidence = np.random.default_rng(draw).normal(size=(count, len(classes)))
    logits = skill * (evidence + skill * np.eye(len(classes))[truth])
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    values: dict[str, Any] = {
        "task": "segpc",
        "protocol": "grouped",
        "arch": "hybrid",
        "classes": classes,
        "positive": classes[-1:],
        "truth": truth,
        "probabilities": (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32),
        "group": np.array([f"g{g}" for g in group]),
        "unit": np.array([f"u{n}" for n in range(count)]),
        "fold": group % 3,
        "temperature": np.ones(count, np.float32),
        "seed": 0,
    }
    return Outcome(**(values | fields))
