"""Judges all systems of an evaluation: figures with intervals, gaps between protocols, and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.errors import BadRequestError
from worker.training.classification.evaluation.comparison import delong_p, swapped_p
from worker.training.classification.evaluation.intervals import (
    Draws,
    Figure,
    difference,
    drawn_statistics,
    figure,
    group_draws,
)
from worker.training.classification.evaluation.metrics import NAMES, Values, confusions, contrasts, statistics
from worker.training.classification.evaluation.outcome import Outcome
from worker.training.classification.evaluation.reliability import Reliability, reliability
from worker.training.classification.evaluation.wording import SINGLES, in_order

HYBRIDS = ("hybrid", "hybrid-merged")

Place = tuple[str, str, str]
"""Task, protocol and system."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """One system on one task under one protocol."""

    outcome: Outcome
    figures: Mapping[str, Figure]  # by NAMES
    samples: Mapping[str, Values]  # the same of each bootstrap sample, (B,)
    by_fold: Mapping[str, tuple[float, ...]]  # NaN where a fold lacks a class
    confusion: NDArray[np.int64]  # (K, K) row = true class, column = called class
    reliability: Reliability


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two systems on the same units."""

    task: str
    protocol: str
    first: str
    second: str
    differences: Mapping[str, Figure]  # by NAMES, first less second
    only_first: int  # units that the first alone called rightly, each in the first fold that holds it
    only_second: int
    mcnemar: float  # p of units taken for independent
    mcnemar_by_group: float  # p of groups swapped whole
    delong: float | None  # p; None where the task has no malignant class
    delong_by_group: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """A whole evaluation."""

    judgements: Mapping[Place, Judgement]
    gaps: Mapping[tuple[str, str], Mapping[str, Figure]]  # by task and system: `paper` less `grouped`
    comparisons: Sequence[Comparison]  # every hybrid with every other system

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks in the order that readers are shown them."""
        return in_order(task for task, _, _ in self.judgements)

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems in the order that readers are shown them."""
        return in_order(arch for _, _, arch in self.judgements)

    def not_beaten(self) -> list[Comparison]:
        """Return where the parallel hybrid is not surely better than a single network, by balanced accuracy."""
        against = [one for one in self.comparisons if one.first == "hybrid" and one.second in SINGLES]
        found = [one for one in against if not _is_better(one.differences["balanced_accuracy"])]
        return sorted(found, key=lambda one: one.protocol)  # the grouped protocol first


def judge(outcomes: Sequence[Outcome]) -> Judged:
    """Judge every outcome, and systems against each other; BadRequestError where they do not belong together."""
    by_place = _by_place(outcomes)
    judgements: dict[Place, Judgement] = {}
    comparisons: list[Comparison] = []
    for task in in_order(task for task, _, _ in by_place):
        places = [place for place in by_place if place[0] == task]
        draws = group_draws([group for place in places for group in by_place[place].group.tolist()])
        judgements |= {place: _judgement(by_place[place], draws) for place in places}
    for task, protocol in dict.fromkeys((task, protocol) for task, protocol, _ in judgements):
        systems = {arch: one for (t, p, arch), one in judgements.items() if (t, p) == (task, protocol)}
        comparisons += _comparisons(systems)
    return Judged(judgements=judgements, gaps=_gaps(judgements), comparisons=comparisons)


def _by_place(outcomes: Sequence[Outcome]) -> dict[Place, Outcome]:
    found: dict[Place, Outcome] = {}
    whole: dict[tuple[str, str], Outcome] = {}
    for one in outcomes:
        place = (one.task, one.protocol, one.arch)
        if place in found:
            raise BadRequestError(f"{one.arch} was judged twice on {one.task} under {one.protocol}: keep one of them")
        found[place] = one.where(np.lexsort((one.unit, one.fold)))
        first = whole.setdefault((one.task, one.protocol), found[place])
        if not _same_units(first, found[place]):
            raise BadRequestError(
                f"{one.arch} and {first.arch} were judged on different units of {one.task} under {one.protocol}: "
                "finish both on the same folds"
            )
    if not found:
        raise BadRequestError("there are no predictions to report on")
    order = {arch: n for n, arch in enumerate(in_order(arch for _, _, arch in found))}
    return dict(sorted(found.items(), key=lambda item: (item[0][:2], order[item[0][2]])))


def _same_units(first: Outcome, second: Outcome) -> bool:
    same = (first.classes, first.positive) == (second.classes, second.positive)
    names = ("unit", "fold", "truth", "group")
    return same and all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


def _judgement(outcome: Outcome, draws: Draws) -> Judgement:
    once = np.ones((1, len(outcome)))
    values = {name: float(value[0]) for name, value in statistics(outcome, once).items()}
    samples = drawn_statistics(outcome, draws)
    folds = [statistics(part, np.ones((1, len(part)))) for part in map(outcome.where, _fold_rows(outcome))]
    groups = _least_groups(outcome)
    return Judgement(
        outcome=outcome,
        figures={name: figure(values[name], samples[name], groups) for name in NAMES},
        samples=samples,
        by_fold={name: tuple(float(fold[name][0]) for fold in folds) for name in NAMES},
        confusion=confusions(outcome, once)[0].astype(np.int64),
        reliability=reliability(outcome),
    )


def _fold_rows(outcome: Outcome) -> list[NDArray[np.bool_]]:
    return [outcome.fold == number for number in outcome.folds]


def _least_groups(outcome: Outcome) -> int:
    """Return how many groups hold the class that the fewest hold."""
    return min(len(np.unique(outcome.group[outcome.truth == index])) for index in np.unique(outcome.truth))


def _gaps(judgements: Mapping[Place, Judgement]) -> dict[tuple[str, str], dict[str, Figure]]:
    found = {}
    for task, protocol, arch in judgements:
        pair = judgements.get((task, "paper", arch)), judgements.get((task, "grouped", arch))
        if protocol == "paper" and pair[0] is not None and pair[1] is not None:
            found[task, arch] = _differences(pair[0], pair[1])
    return found


def _comparisons(systems: Mapping[str, Judgement]) -> list[Comparison]:
    pairs = [(one, other) for one in HYBRIDS for other in systems if one in systems and one != other]
    return [_compared(systems[one], systems[other]) for one, other in pairs if (one, other) != HYBRIDS[::-1]]


def _compared(first: Judgement, second: Judgement) -> Comparison:
    one, other = first.outcome, second.outcome
    right, also = one.called == one.truth, other.called == other.truth
    once = np.unique(one.unit, return_index=True)[1]  # rows lie by fold
    plain, by_group = _delong(one, other, once)
    return Comparison(
        task=one.task,
        protocol=one.protocol,
        first=one.arch,
        second=other.arch,
        differences=_differences(first, second),
        only_first=int((right & ~also)[once].sum()),
        only_second=int((also & ~right)[once].sum()),
        mcnemar=swapped_p(right[once], also[once], one.unit[once]),
        mcnemar_by_group=swapped_p(right, also, one.group),
        delong=plain,
        delong_by_group=by_group,
    )


def _delong(one: Outcome, other: Outcome, once: NDArray[np.intp]) -> tuple[float | None, float | None]:
    if not one.positive:
        return None, None
    [(is_positive, scores)], [(_, others)] = contrasts(one), contrasts(other)
    _, plain = delong_p(is_positive[once], scores[once], others[once], one.unit[once])
    _, by_group = delong_p(is_positive, scores, others, one.group)
    return _known(plain), _known(by_group)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _differences(first: Judgement, second: Judgement) -> dict[str, Figure]:
    groups = min(_least_groups(first.outcome), _least_groups(second.outcome))
    pairs = {name: (first.figures[name].value, second.figures[name].value) for name in NAMES}
    return {
        name: difference((pairs[name][0], first.samples[name]), (pairs[name][1], second.samples[name]), groups)
        for name in NAMES
    }


def _is_better(found: Figure) -> bool:
    return found.low is not None and found.low > 0
