"""What the second edition of the rules adds to a verdict, and that the first keeps finding what it found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from db.counts import Measured, SlideTally, SpecimenTally, Stop, Tally
from db.records import Finding, Specimen
from tests.support.tallies import marrow_of, tally_of
from worker.rules import DEFAULT_RULE
from worker.verdict import decide

FIRST = ("marrowline-2026.1", "marrowline-2026.1-all25", "marrowline-2026.1-min200")
SECOND = ("marrowline-2026.2", "marrowline-2026.2-all25", "marrowline-2026.2-min200")
MARROW = {"neutrophil": 200, "immature_granulocyte": 150, "erythroblast": 150}
RELEASED = "f6de8189c9e8cc7d"
"""Digest of 600 findings as the first edition and the second gave them when they were released.

They agree here, where no spread is known and no marrow is without evidence and diluted.
"""


def tally(*slides: dict[str, int], abstained: int = 0, rule: str = DEFAULT_RULE, **extra: Any) -> Tally:
    parts = tuple(
        SlideTally(slide_id=no, counts=counts, abstained=abstained, **extra) for no, counts in enumerate(slides, 1)
    )
    return tally_of(marrow_of(*parts), rule=rule)


def drawn(rule: str, rng: np.random.Generator) -> Tally:
    kinds, parts = [Specimen.MARROW, Specimen.BLOOD, Specimen.UNKNOWN], []
    for kind in rng.choice(3, int(rng.integers(0, 3)), replace=False).tolist():
        cells = int(rng.integers(100, 1500))
        counts = rng.multinomial(cells, rng.dirichlet([1, 1, 3, 3])).tolist()
        called = dict(zip(["lymphoblast", "plasma_cell", "neutrophil", "erythroblast"], counts, strict=True))
        abstained = int(rng.integers(0, 2) * rng.integers(0, 60))
        parts.append(SpecimenTally(specimen=kinds[kind], counts=called, abstained=abstained, slides_done=1))
    return tally_of(*parts, rule=rule, slides_open=int(rng.random() < 0.1))


@pytest.mark.parametrize("edition", [FIRST, SECOND])
def test_earlier_editions_find_what_they_found_when_they_were_released(edition: tuple[str, ...]) -> None:
    rng, found = np.random.default_rng(2026), []
    for no in range(600):
        verdict = decide(drawn(edition[no % 3], rng))
        highs = {name: round(share.ci_high, 9) for name, share in verdict.shares.items()}
        found.append([verdict.finding.value, "", verdict.cells, highs])
    assert hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16] == RELEASED


def test_evidence_has_every_share_and_can_be_stored() -> None:
    evidence = decide(tally(MARROW | {"plasma_cell": 5}, MARROW | {"smudge": 10})).evidence
    (specimen,) = evidence["specimens"]
    assert set(specimen["shares"]) == {"lymphoblast", "plasma_cell", *MARROW}
    assert specimen["shares"]["neutrophil"]["value"] == pytest.approx(400 / 1005)
    assert [one["cells"] for one in specimen["slides"]] == [505, 500]
    assert specimen["adequacy"]["adequate"] is True
    assert specimen["m_e_ratio"]["value"] == pytest.approx(700 / 300)
    assert json.loads(json.dumps(evidence)) == evidence


def test_a_class_that_lies_unevenly_has_a_wider_interval_and_a_more_careful_finding() -> None:
    blasts, rest = {"lymphoblast": 150}, MARROW
    even = decide(tally(rest | blasts, rest | blasts))
    uneven = decide(tally(rest | {"lymphoblast": 60}, rest | {"lymphoblast": 240}))
    narrow, wide = even.shares["lymphoblast"], uneven.shares["lymphoblast"]
    assert narrow.value == wide.value
    assert wide.ci_low < narrow.ci_low
    assert wide.ci_high > narrow.ci_high
    assert uneven.finding is Finding.INDETERMINATE
    assert "so unevenly spread" in uneven.reason
    assert decide(tally(rest | {"lymphoblast": 60}, rest | {"lymphoblast": 240}, rule=FIRST[0])).shares == even.shares


def test_a_diluted_marrow_excludes_no_myeloma_but_shows_one() -> None:
    diluted = {"neutrophil": 500, "lymphocyte": 200, "erythroblast": 20}
    verdict = decide(tally(diluted))
    assert verdict.finding is Finding.INDETERMINATE
    assert "MM is not excluded by a marrow perhaps diluted by blood" in verdict.reason
    assert decide(tally(diluted, rule=FIRST[0])).finding is Finding.NO_EVIDENCE
    assert decide(tally(diluted | {"plasma_cell": 200})).finding is Finding.CONSISTENT_WITH_MM


def test_more_cells_are_asked_for_where_they_would_settle_it() -> None:
    verdict = decide(tally(MARROW | {"plasma_cell": 45}))
    more = verdict.evidence["more_cells"]
    assert verdict.finding is Finding.INDETERMINATE
    assert f"count {more} more cells" in verdict.reason

    def after(cells: float) -> Finding:
        counts = {name: round(n * (545 + cells) / 545) for name, n in (MARROW | {"plasma_cell": 45}).items()}
        return decide(tally(counts)).finding

    assert after(1.1 * more) is Finding.NO_EVIDENCE
    assert after(0.9 * more) is Finding.INDETERMINATE


def test_cells_that_lie_unevenly_have_to_be_more() -> None:
    counts, spread = MARROW | {"plasma_cell": 45}, {"plasma_cell": Measured(areas_chi2=12.0, areas_df=4)}
    even = decide(tally(counts)).evidence["more_cells"]
    uneven = decide(tally(counts, measured=spread)).evidence["more_cells"]
    assert 545 + uneven == pytest.approx(3 * (545 + even), rel=0.01)


def test_no_number_of_cells_helps_at_the_threshold_or_against_abstention() -> None:
    assert decide(tally({"neutrophil": 450, "plasma_cell": 50})).evidence["more_cells"] is None
    assert decide(tally(MARROW, abstained=100)).evidence["more_cells"] is None
    assert decide(tally(MARROW)).evidence["more_cells"] is None
    assert decide(tally({"neutrophil": 380})).evidence["more_cells"] == 120


def left(share: float) -> Stop:
    return Stop(n_read=1, rule="r", look=500, cells=500, share=share, reason="clear")


def test_a_run_that_stopped_early_pays_for_its_looks() -> None:
    whole, stopped = decide(tally(MARROW)), decide(tally(MARROW, stop=left(0.01)))
    assert stopped.shares["plasma_cell"].ci_high > whole.shares["plasma_cell"].ci_high
    two, both = decide(tally(MARROW, MARROW)), decide(tally(MARROW, MARROW, stop=left(0.5)))
    quarter = decide(tally({name: 2 * n for name, n in MARROW.items()}, stop=left(0.25)))
    assert both.shares == quarter.shares != two.shares


MEASURED = {
    "lymphoblast": Measured(probability=0.95, nc_ratio=0.8, nucleus_um2=60.0, of_cell_width=300),
    "neutrophil": Measured(probability=0.95, of_cell_width=240),
}


def test_the_fuzzy_rules_that_fired_are_in_the_evidence() -> None:
    fuzzy = decide(tally({"lymphoblast": 300, "neutrophil": 250}, measured=MEASURED)).evidence["fuzzy"]
    assert fuzzy["ALL"]["score"] > 0.9
    assert fuzzy["MM"]["score"] < 0.1
    assert fuzzy["ALL"]["inputs"]["lymphoblast_nucleus_um2"] == 60.0
    assert fuzzy["ALL"]["inputs"]["outlines"] == pytest.approx(540 / 550)
    strongest = max(fuzzy["ALL"]["rules"], key=lambda one: one["strength"])
    assert strongest["rule"].endswith("THEN ALL is present")
    assert all(one["strength"] > 0 for one in fuzzy["ALL"]["rules"])


def test_measures_of_slides_are_weighed_by_their_cells() -> None:
    one = tally({"lymphoblast": 300, "neutrophil": 250}, {"lymphoblast": 100, "neutrophil": 250}, measured=MEASURED)
    first, second = one.specimens[0].slides
    turned = MEASURED | {"lymphoblast": replace(MEASURED["lymphoblast"], nucleus_um2=20.0)}
    mixed = replace(one.specimens[0], slides=(first, replace(second, measured=turned)))
    fuzzy = decide(replace(one, specimens=(mixed,))).evidence["fuzzy"]
    assert fuzzy["ALL"]["inputs"]["lymphoblast_nucleus_um2"] == pytest.approx(50.0)


def test_without_measures_the_fuzzy_system_is_silent() -> None:
    assert decide(tally(MARROW)).evidence["fuzzy"] == {}
    unlike = {name: replace(one, probability=None, nc_ratio=None) for name, one in MEASURED.items()}
    unknown = decide(tally({"lymphoblast": 300, "neutrophil": 250}, measured=unlike)).evidence["fuzzy"]
    assert unknown == {}
