"""Whether probabilities mean what they say: reliability, its error, and what error chance alone would leave.

The expected calibration error is that of Naeini et al., AAAI 2015, on the called class as in Guo et al., ICML 2017.
It is above zero for a perfect model too, the more so the fewer units there are. So it is held against the same figure
of truths drawn from the model's own probabilities: Bröcker and Smith, Weather and Forecasting 22 (2007): 651;
Vaicenavicius et al., AISTATS 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.training.classification.evaluation.outcome import Outcome

BINS = 15
_DRAWS = 1000
_SEED = 20262
_LIMIT = 0.95
_BAND = (0.025, 0.975)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Confidence against the share called correctly, by BINS equal steps of confidence; NaN in an empty bin."""

    count: NDArray[np.int64]  # (BINS,)
    confidence: NDArray[np.float64]  # (BINS,) mean
    accuracy: NDArray[np.float64]  # (BINS,)
    band: NDArray[np.float64]  # (2, BINS) where the accuracy of a perfect model of this size lies, 95 %
    error: float  # expected calibration error
    limit: float  # the error that a perfect model of this size stays under in 95 of 100 samples

    @property
    def is_calibrated(self) -> bool:
        """Whether chance alone would explain the error."""
        return self.error <= self.limit


def reliability(outcome: Outcome, draws: int = _DRAWS) -> Reliability:
    """Judge the probabilities of the called classes."""
    confidence = outcome.probabilities.max(axis=1).astype(np.float64)
    right = (outcome.called == outcome.truth)[None]
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    chance = np.random.default_rng(_SEED).random((draws, len(confidence))) < confidence
    perfect = _accuracies(chance, bins)
    return Reliability(
        count=count,
        confidence=_means(confidence, bins),
        accuracy=_accuracies(right, bins)[0],
        band=np.quantile(perfect, _BAND, axis=0),
        error=float(_errors(right, confidence, bins)[0]),
        limit=float(np.quantile(_errors(chance, confidence, bins), _LIMIT)),
    )


def _errors(right: NDArray[np.bool_], confidence: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (D,) calibration errors of (D, N) answers: per bin |right - confidence|, weighed by its size."""
    gaps = _sums(right - confidence, bins)
    return np.asarray(np.abs(gaps).sum(axis=1) / len(confidence))


def _accuracies(right: NDArray[np.bool_], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.stack([_means(row, bins) for row in right.astype(np.float64)])


def _means(values: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    count = np.bincount(bins, minlength=BINS)
    sums = np.bincount(bins, weights=values, minlength=BINS)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def _sums(values: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    return values @ np.eye(BINS)[bins]  # (D, N) by (N, BINS)
