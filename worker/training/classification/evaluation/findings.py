"""What an evaluation found of hybrids and single networks, in sentences that its figures make."""

from __future__ import annotations

from worker.training.classification.evaluation.judging import Comparison, Judged
from worker.training.classification.evaluation.wording import SINGLES, system


def against_singles(judged: Judged, protocol: str) -> str:
    """Return how often the parallel hybrid is better than a single network, and where; empty without such pairs."""
    pairs = [
        one for one in judged.comparisons if (one.first, one.protocol) == ("hybrid", protocol) and one.second in SINGLES
    ]
    if not pairs:
        return ""
    better = [one for one in pairs if (one.differences["balanced_accuracy"].low or 0) > 0]
    worse = [one for one in pairs if (one.differences["balanced_accuracy"].high or 0) < 0]
    return (
        f"in {len(pairs)} comparisons with VGG16, VGG19 or ResNet50 by balanced accuracy, the hybrid is better "
        f"in {len(better)}{_named(better)} and worse in {len(worse)}{_named(worse)}; "
        f"in {len(pairs) - len(better) - len(worse)} the data cannot tell."
    )


def beside_colour(judged: Judged, task: str) -> str:
    """Return that the parallel hybrid, grouped, is not better than colour alone; empty unless the figures show that."""
    for one in judged.comparisons:
        if (one.task, one.protocol, one.first, one.second) == (task, "grouped", "hybrid", "colour"):
            found = one.differences["balanced_accuracy"]
            if found.low is not None and found.low <= 0:
                return (
                    "Grouped, by balanced accuracy, the hybrid is not surely better than colour alone: read the "
                    "figures beside the colour-only baseline."
                )
    return ""


def _named(chosen: list[Comparison]) -> str:
    return f" ({', '.join(f'{system(one.second)} on {one.task}' for one in chosen)})" if chosen else ""
