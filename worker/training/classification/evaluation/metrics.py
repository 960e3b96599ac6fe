"""Figures of an outcome under any weights of its rows, so that a bootstrap is one more axis.

Every function takes W sets of weights at once: (W, N), how often each row counts. Positive means malignant: a true
positive is a malignant unit that was called malignant. Where a task has no malignant classes, precision, recall,
specificity, F1, AUC and average precision are macro averages, each class against the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from worker.training.classification.evaluation.outcome import Outcome

Values = NDArray[np.float64]

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "specificity": "specificity",
        "f1": "F1",
        "balanced_accuracy": "balanced accuracy",
        "auc": "AUC",
        "average_precision": "average precision",
    }
)
"""Every figure and what readers call it; all lie between 0 and 1, and higher is better."""


def statistics(outcome: Outcome, weights: Values) -> dict[str, Values]:
    """Return each of NAMES as (W,); NaN where no row of a class that the figure needs has weight."""
    found = from_confusion(confusions(outcome, weights), positive_indices(outcome))
    ranked = [ranking(is_class, scores, weights) for is_class, scores in contrasts(outcome)]
    found["auc"] = np.mean([auc for auc, _ in ranked], axis=0)
    found["average_precision"] = np.mean([precision for _, precision in ranked], axis=0)
    return found


def positive_indices(outcome: Outcome) -> tuple[int, ...]:
    """Return the indices of the malignant classes."""
    return tuple(outcome.classes.index(name) for name in outcome.positive)


def contrasts(outcome: Outcome) -> list[tuple[NDArray[np.bool_], Values]]:
    """Return what is ranked: (N,) truth and (N,) score of malignant against the rest, or of each class."""
    positive = positive_indices(outcome)
    sets = [positive] if positive else [(index,) for index in range(len(outcome.classes))]
    probabilities = outcome.probabilities.astype(np.float64)
    return [(np.isin(outcome.truth, chosen), probabilities[:, chosen].sum(axis=1)) for chosen in sets]


def confusions(outcome: Outcome, weights: Values) -> Values:
    """Return (W, K, K) weights by true class (row) and called class (column)."""
    count = len(outcome.classes)
    cells = np.eye(count * count)[outcome.truth * count + outcome.called]  # (N, K * K)
    return np.asarray(weights @ cells).reshape(-1, count, count)


def from_confusion(counts: Values, positive: Sequence[int] = ()) -> dict[str, Values]:
    """Return the figures that (..., K, K) confusion matrices tell, each as (...).

    As in scikit-learn, the precision of a class that was never called is 0, and so is F1 without a hit; a class
    without a true row takes no part in an average.
    """
    right = np.trace(counts, axis1=-2, axis2=-1)
    recalls = _share(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1))
    sets = [list(positive)] if positive else [[index] for index in range(counts.shape[-1])]
    against = [_against_the_rest(counts, chosen) for chosen in sets]
    found = {name: _mean([figures[name] for figures in against]) for name in against[0]}
    return {
        "accuracy": _share(right, counts.sum(axis=(-2, -1))),
        **found,
        "balanced_accuracy": _mean(list(np.moveaxis(recalls, -1, 0))),
    }


def ranking(is_positive: NDArray[np.bool_], scores: Values, weights: Values) -> tuple[Values, Values]:
    """Return the area under the ROC curve and the average precision, (W,) each; NaN without both kinds.

    Equal scores count half in the one and make one step of the other.
    """
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    sorted_weights, sorted_truth = weights[:, order], is_positive[order]
    hits = np.add.reduceat(sorted_weights * sorted_truth, starts, axis=1)  # (W, distinct scores), highest first
    misses = np.add.reduceat(sorted_weights * ~sorted_truth, starts, axis=1)
    hits_so_far, misses_so_far = np.cumsum(hits, axis=1), np.cumsum(misses, axis=1)
    positives, negatives = hits_so_far[:, -1], misses_so_far[:, -1]
    outranked = negatives[:, None] - misses_so_far + misses / 2
    both = positives * negatives > 0
    auc = _share((hits * outranked).sum(axis=1), positives * negatives)
    precision = _share(hits_so_far, hits_so_far + misses_so_far, without=0.0)
    return auc, np.where(both, _share((hits * precision).sum(axis=1), positives), np.nan)


def _against_the_rest(counts: Values, chosen: list[int]) -> dict[str, Values]:
    inside = np.isin(np.arange(counts.shape[-1]), chosen)
    true_rows, other_rows = counts[..., inside, :], counts[..., ~inside, :]
    hit, missed = true_rows[..., inside].sum(axis=(-2, -1)), true_rows[..., ~inside].sum(axis=(-2, -1))
    false, spared = other_rows[..., inside].sum(axis=(-2, -1)), other_rows[..., ~inside].sum(axis=(-2, -1))
    present = hit + missed > 0
    return {
        "precision": np.where(present, _share(hit, hit + false, without=0.0), np.nan),
        "recall": _share(hit, hit + missed),
        "specificity": _share(spared, spared + false),
        "f1": np.where(present, _share(2 * hit, 2 * hit + missed + false), np.nan),
    }


def _share(part: Values, whole: Values, without: float = np.nan) -> Values:
    empty = whole == 0
    return np.where(empty, without, part / np.where(empty, 1, whole))


def _mean(values: list[Values]) -> Values:
    """Return the mean over the list, NaN left out."""
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    return _share(np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0).astype(np.float64))
