"""The figures that the paper reports, as printed in its tables 1 to 5, in percent.

Bhavsar and Patel, "Improving White Blood Cancer Diagnosis with Hybrid Deep Learning Techniques". It names none of its
data sets 1 to 5 (its text speaks of SN-AM alone), so none of its rows can be set against one of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CITATION = (
    "A. Bhavsar, S. Patel: Improving White Blood Cancer Diagnosis with Hybrid Deep Learning Techniques, "
    "IET, SAGE University Indore"
)


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One row of the paper's tables, percent; specificity only where it prints one."""

    accuracy: float
    precision: float
    recall: float
    specificity: float | None = None


def _table(*rows: tuple[float, float, float]) -> tuple[Reported, ...]:
    return tuple(Reported(accuracy=a, precision=p, recall=r) for a, p, r in rows)


DATA_SETS: Mapping[str, tuple[Reported, ...]] = MappingProxyType(
    {
        "vgg19": _table((92.12, 95, 90.18), (90.2, 92.23, 90.14), (90.12, 90.12, 90.12), (90.0, 91.12, 90.14),
                        (92.23, 89.20, 88.23)),
        "vgg16": _table((90.58, 89.21, 99.99), (91.25, 89.28, 90.25), (91.27, 88.56, 93.12), (90.25, 92.30, 90.12),
                        (93.21, 90.14, 90.25)),
        "hybrid": _table((99.99, 100, 99.99), (98.26, 99.56, 99.11), (99.26, 99.89, 99.00), (99.14, 99.78, 99.78),
                         (99.58, 99.18, 99.56)),
        "resnet50": _table((96.23, 92.54, 91.45), (94.12, 94.20, 92.14), (93.36, 93.19, 97.15), (91.42, 92.88, 93.20),
                           (99.58, 95.24, 95.45)),
    }
)  # fmt: skip
"""Tables 1 to 4: the paper's data sets 1 to 5 in its order."""

COMPARED: Mapping[str, Reported] = MappingProxyType(
    {
        "svm": Reported(accuracy=97.25, precision=100, recall=93.97, specificity=95.19),
        "hybrid": Reported(accuracy=99.99, precision=100, recall=99.99, specificity=99.99),
    }
)
"""Table 5: "existing work" and "proposed work", on a data set that is not named."""

TABLES = ("vgg19", "vgg16", "hybrid", "resnet50")
"""The systems of the paper's tables 1 to 4."""
