"""The released fuzzy systems, by name: words, limits with their sources, and rules.

A system never changes once released; a change is a new name. Limits that come from no publication are called so.
They speak of one field; no system here replaces counting a patient's cells (worker/rules.py), immunophenotyping,
genetics or clinical criteria.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

from worker.fuzzy.mamdani import Rule, System, Term, Variable

ALL, MM = "ALL", "MM"
DISEASES = (ALL, MM)

_THRESHOLDS = {ALL: 0.20, MM: 0.10}
_SHARE_SOURCES = {
    ALL: "5 %: blasts of normal marrow lie below, also the limit of complete remission; 20 %: NCCN guideline Acute "
    "Lymphoblastic Leukemia, generally >= 20 % lymphoblasts in marrow",
    MM: "5 %: plasma cells of normal marrow mostly lie below; 10 %: IMWG 2014 (Rajkumar et al., Lancet Oncol 15:e538)",
}
_USUAL = 0.05


def _rising(low_name: str, high_name: str, start: float, end: float) -> tuple[Term, Term]:
    """Return two words that share every value: the first up to `start`, the second from `end`, both in between."""
    return (
        Term(name=low_name, start=start, full=start, full_to=start, end=end),
        Term(name=high_name, start=start, full=end, full_to=end, end=end),
    )


def _share_inputs(disease: str, cell: str, cells: str) -> tuple[Variable, ...]:
    words, source = _rising("usual", "raised", _USUAL, _THRESHOLDS[disease]), _SHARE_SOURCES[disease]
    return (
        Variable(
            name=f"{cell}_share",
            meaning=f"share of {cells} among the counted cells; cells without a call are counted, as none of them",
            unit="",
            low=0.0,
            high=0.5,
            terms=words,
            source=source,
        ),
        Variable(
            name=f"{cell}_share_at_least",
            meaning="lower end of that share's exact 95 % interval (Clopper and Pearson 1934): what few cells prove",
            unit="",
            low=0.0,
            high=0.5,
            terms=words,
            source=source,
        ),
        Variable(
            name=f"{cell}_confidence",
            meaning=f"mean calibrated probability of the cells called {cells}",
            unit="",
            low=0.0,
            high=1.0,
            terms=_rising("low", "high", 0.60, 0.85),
            source="chosen: at 0.85 three of twenty such calls are expected to be wrong, at 0.60 eight",
        ),
    )


_ALL_INPUTS = (
    *_share_inputs(ALL, "lymphoblast", "lymphoblasts"),
    Variable(
        name="lymphoblast_nc_ratio",
        meaning="median of nucleus area / cell area of the cells called lymphoblasts",
        unit="",
        low=0.0,
        high=1.0,
        terms=_rising("low", "high", 0.50, 0.67),
        source="textbooks give lymphoblasts a nucleus of about 4 parts to 1 of cytoplasm (0.80), less in type L2 "
        "(Bennett et al., Br J Haematol 1981;47:553): 2 to 1 is 0.67; 1 to 1, 0.50, is a monocyte's or a plasma "
        "cell's. Measured: eight of ten of such cells in ALL fields of Taleqani lie between 0.57 and 0.84",
    ),
    Variable(
        name="lymphoblast_nucleus_um2",
        meaning="median nucleus area of the cells called lymphoblasts",
        unit="µm²",
        low=0.0,
        high=120.0,
        terms=_rising("small", "large", 30.0, 45.0),
        source="measured: nuclei of lymphocytes have a median of 30 µm² in benign fields of Taleqani, those called "
        "lymphoblasts in its ALL fields 61 µm², nine of ten of them above 42",
    ),
)
_MM_INPUTS = (
    *_share_inputs(MM, "plasma_cell", "plasma cells"),
    Variable(
        name="plasma_cell_nc_ratio",
        meaning="median of nucleus area / cell area of the cells called plasma cells",
        unit="",
        low=0.0,
        high=1.0,
        terms=_rising("low", "high", 0.67, 0.80),
        source="textbooks give plasma cells a nucleus of 1 to 2 parts to 1 of cytoplasm (0.50 to 0.67) or less; 4 to "
        "1, 0.80, is a lymphocyte's. Measured in SegPC: median 0.43, of the lymphocytes there 0.82",
    ),
    Variable(
        name="plasma_cell_nucleus_offset",
        meaning="median distance between the middles of nucleus and cell, in radii of the cell, of those cells",
        unit="radii",
        low=0.0,
        high=0.6,
        terms=_rising("central", "eccentric", 0.05, 0.20),
        source="an eccentric nucleus is the mark of a plasma cell. Measured: median 0.34 in SegPC, 0.02 of the "
        "lymphocytes there",
    ),
)
_QUALITY_INPUTS = (
    Variable(
        name="cells",
        meaning="counted cells: nucleated, without platelets, smudge cells, artefacts and megakaryocytes",
        unit="cells",
        low=0.0,
        high=40.0,
        terms=_rising("few", "enough", 3.0, 29.0),
        source="none of 29 cells excludes a share of 10 % at 95 % (0.9 to the power of 29 is 0.047), none of 3 not one "
        "of 60 %",
    ),
    Variable(
        name="called",
        meaning="share of the counted cells that the model called; it abstains from doubtful and unknown ones",
        unit="",
        low=0.0,
        high=1.0,
        terms=_rising("few", "most", 0.50, 0.80),
        source="chosen: where half of the cells are not called the verdict on a patient doubts the slide as well",
    ),
    Variable(
        name="outlines",
        meaning="share of the counted cells whose outline is a cell's: 5 to 30 µm wide, nine tenths of its convex hull",
        unit="",
        low=0.0,
        high=1.0,
        terms=_rising("poor", "good", 0.50, 0.80),
        source="width: from a small lymphocyte to a large promyelocyte (textbooks); convexity: nine of ten cells of "
        "the public fields lie above 0.93; limits of the share chosen",
    ),
)


def _rules(disease: str, cell: str, shape: tuple[tuple[str, str, str], tuple[str, str, str]]) -> tuple[Rule, ...]:
    """Return the rules of one disease; `shape` has two variables of its cells with the misfitting and fitting word."""
    share = {f"{cell}_share": "raised", f"{cell}_share_at_least": "raised"}
    fits = {name: fitting for name, _, fitting in shape}
    usual, good = {f"{cell}_share": "usual"}, {"outlines": "good"}
    sure, unsure = {f"{cell}_confidence": "high"}, {f"{cell}_confidence": "low"}
    seen = cell.replace("_", " ") + "s"

    def rule(conditions: Mapping[str, str], term: str, why: str) -> Rule:
        return Rule(conditions=conditions, output=disease, term=term, why=why)

    return (
        rule(share | sure | fits | good, "present", f"enough {seen}, sure calls, and cells that look like them"),
        rule(share | unsure | fits | good, "likely", "the calls are unsure, but the cells look like them"),
        *(
            rule(share | {name: misfit}, "possible", f"the cells called {seen} do not look like them")
            for name, misfit, _ in shape
        ),
        rule(share | {f"{cell}_share_at_least": "usual"}, "possible", "a raised share of so few cells may be chance"),
        rule(
            usual | {"cells": "enough", "called": "most"} | good,
            "absent",
            f"no more {seen} than usual, of enough cells",
        ),
        rule(
            usual | {"cells": "few", "called": "most"} | good,
            "unlikely",
            f"no more {seen} than usual, but few cells exclude little",
        ),
        rule(usual | {"called": "few"}, "possible", "what was not called may be anything"),
        rule({"outlines": "poor"}, "possible", "what was outlined is not known to be cells"),
    )


def _output(disease: str, meaning: str) -> Variable:
    def peak(name: str, middle: float) -> Term:
        low, high = max(0.0, middle - 0.25), min(1.0, middle + 0.25)
        return Term(name=name, start=low, full=middle, full_to=middle, end=high)

    words = ("absent", "unlikely", "possible", "likely", "present")
    return Variable(
        name=disease,
        meaning=meaning,
        unit="",
        low=0.0,
        high=1.0,
        terms=tuple(peak(word, 0.25 * number) for number, word in enumerate(words)),
        source="chosen: five even words",
    )


DEFAULT_SYSTEM = "fuzzy-2026-11"
SYSTEMS: Mapping[str, System] = MappingProxyType(
    {
        DEFAULT_SYSTEM: System(
            name=DEFAULT_SYSTEM,
            dated=date(2026, 11, 23),
            inputs=(*_ALL_INPUTS, *_MM_INPUTS, *_QUALITY_INPUTS),
            outputs=(
                _output(ALL, "signs of acute lymphoblastic leukaemia in the field"),
                _output(MM, "signs of multiple myeloma in the field"),
            ),
            rules=(
                *_rules(
                    ALL,
                    "lymphoblast",
                    (("lymphoblast_nc_ratio", "low", "high"), ("lymphoblast_nucleus_um2", "small", "large")),
                ),
                *_rules(
                    MM,
                    "plasma_cell",
                    (("plasma_cell_nc_ratio", "high", "low"), ("plasma_cell_nucleus_offset", "central", "eccentric")),
                ),
            ),
        )
    }
)
