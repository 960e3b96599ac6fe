"""What the networks have to beat: a support vector machine on measured features, and colour without morphology."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from worker.cells.measures import of_crops
from worker.training.classification.data import MPP_UM, CropSet
from worker.training.classification.sources import Find

Features = NDArray[np.float64]
Labels = NDArray[np.int64]
_STRENGTHS = (0.3, 3.0, 30.0)
_FOLDS = 3
LEAST_PER_CLASS = _FOLDS
"""Examples without which the support vectors' probabilities cannot be fitted out of fold."""


def morphology(crops: CropSet, find: Find) -> Features:
    """Return (N, F) what is measured of the cell in the middle of each crop, and last whether one was found there."""
    measured = of_crops(crops.pixels, MPP_UM, find)
    found = np.isfinite(measured).all(axis=1)
    return np.column_stack([np.nan_to_num(measured), found]).astype(np.float64)


def support_vectors(train: tuple[Features, Labels], val: tuple[Features, Labels], classes: int) -> _Model:
    """Return an SVM with a radial kernel, as strongly bound to its examples as does best on `val`.

    Its decision values become probabilities by Platt's sigmoid (Advances in Large Margin Classifiers 1999), fitted out
    of fold within `train`. A class of fewer than LEAST_PER_CLASS examples counts as one without.
    """
    enough = np.bincount(train[1], minlength=classes)[train[1]] >= LEAST_PER_CLASS
    learnt = train[0][enough], train[1][enough]
    models = [_fitted(_svm(strength), learnt, classes) for strength in _STRENGTHS]
    return max(models, key=lambda model: _balanced(model.probabilities(val[0]), val[1]))


def regression(train: tuple[Features, Labels], classes: int) -> _Model:
    """Return a logistic regression, every class of equal weight."""
    return _fitted(LogisticRegression(class_weight="balanced", max_iter=5000), train, classes)


class _Model:
    """A fitted model that knows of classes without examples."""

    def __init__(self, fitted: Any, classes: int) -> None:
        self._fitted, self._classes = fitted, classes

    def probabilities(self, features: Features) -> NDArray[np.float32]:
        """Return (N, K); 0 for a class that had no example."""
        out = np.zeros((len(features), self._classes), dtype=np.float32)
        if len(features):
            out[:, self._fitted.classes_] = self._fitted.predict_proba(features)
        return out


def _svm(strength: float) -> Any:
    machine = SVC(C=strength, class_weight="balanced")
    return CalibratedClassifierCV(machine, method="sigmoid", cv=_FOLDS, ensemble=False)


def _fitted(model: Any, train: tuple[Features, Labels], classes: int) -> _Model:
    return _Model(make_pipeline(StandardScaler(), model).fit(*train), classes)


def _balanced(found: NDArray[np.float32], truth: Labels) -> float:
    called = found.argmax(axis=1)
    return float(np.mean([(called[truth == label] == label).mean() for label in np.unique(truth)]))
