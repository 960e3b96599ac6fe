"""Named, dated rule sets: what a share must reach before morphology is called consistent with a disease.

A rule set never changes once released; a change is a new name. A lab chooses one by its name. Limits that hold for
all of them: morphology alone establishes neither lineage nor clonality, a share of called cells carries the
classifier's errors, and no rule here replaces immunophenotyping, genetics or clinical criteria (CRAB/SLiM).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

from db.records import CellClass, Finding, Specimen


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A share that, when reached in this specimen, is consistent with the finding's disease."""

    disease: str
    finding: Finding
    cell_class: CellClass
    specimen: Specimen
    threshold: float
    source: str


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """Criteria with the least number of counted cells each specimen needs."""

    name: str
    dated: date
    criteria: tuple[Criterion, ...]
    min_cells: Mapping[Specimen, int]
    confidence: float = 0.95
    looks: tuple[int, ...] = ()  # counted cells of one run at which it may stop being read; none: it is read whole
    widened: bool = False  # whether a class that lies unevenly has a wider interval
    least_marrow_index: float | None = None  # below it a marrow sample excludes no myeloma; None: not asked
    reached_stands: bool = False
    """Whether a reached threshold is the finding where only abstained cells leave another open.

    It is then no finding where most cells of its specimen have no call.
    """

    @property
    def error(self) -> float:
        """The chance that an interval may miss the true share."""
        return 1 - self.confidence

    def criteria_for(self, specimen: Specimen) -> tuple[Criterion, ...]:
        """Return the criteria that hold for the specimen; none for an unknown one."""
        return tuple(c for c in self.criteria if c.specimen is specimen)


_ALL_SOURCE = (
    "NCCN guideline Acute Lymphoblastic Leukemia: generally >= 20 % lymphoblasts in marrow; WHO sets no agreed lower "
    "limit, and many protocols use 25 % to part leukaemia from lymphoma"
)
_MM_SOURCE = "IMWG 2014 (Rajkumar et al., Lancet Oncol 15:e538): clonal marrow plasma cells >= 10 %"


def _all(specimen: Specimen, threshold: float) -> Criterion:
    return Criterion(
        disease="ALL",
        finding=Finding.CONSISTENT_WITH_ALL,
        cell_class=CellClass.LYMPHOBLAST,
        specimen=specimen,
        threshold=threshold,
        source=_ALL_SOURCE,
    )


_MM = Criterion(
    disease="MM",
    finding=Finding.CONSISTENT_WITH_MM,
    cell_class=CellClass.PLASMA_CELL,
    specimen=Specimen.MARROW,
    threshold=0.10,
    source=_MM_SOURCE,
)


def _rule_set(name: str, *, all_threshold: float = 0.20, marrow_cells: int = 500) -> RuleSet:
    return RuleSet(
        name=name,
        dated=date(2026, 11, 23),
        criteria=(_all(Specimen.MARROW, all_threshold), _all(Specimen.BLOOD, all_threshold), _MM),
        min_cells=MappingProxyType(
            {Specimen.MARROW: marrow_cells, Specimen.BLOOD: 200, Specimen.UNKNOWN: marrow_cells}
        ),
    )


def _second(first: RuleSet, *, looks: tuple[int, ...] = ()) -> RuleSet:
    """Return the rule set with what the second edition asks for besides."""
    name = first.name.replace("2026.1", "2026.2") + ("-adaptive" if looks else "")
    return replace(first, name=name, widened=True, least_marrow_index=0.20, looks=looks)


def _third(second: RuleSet) -> RuleSet:
    """Return the rule set in which a disease that is shown does not wait until another is excluded."""
    return replace(second, name=second.name.replace("2026.2", "2026.3"), reached_stands=True)


_FIRST = _rule_set("marrowline-2026.1")
_FIRST_25 = _rule_set("marrowline-2026.1-all25", all_threshold=0.25)
_FIRST_200 = _rule_set("marrowline-2026.1-min200", marrow_cells=200)

_SECOND = (
    _second(_FIRST),
    _second(_FIRST_25),
    _second(_FIRST_200),
    _second(_FIRST, looks=(200, 500, 1000)),
)

DEFAULT_RULE = "marrowline-2026.3"
RULES: Mapping[str, RuleSet] = MappingProxyType(
    {rule.name: rule for rule in (*map(_third, _SECOND), *_SECOND, _FIRST, _FIRST_25, _FIRST_200)}
)
