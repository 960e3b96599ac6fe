from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from math import isclose, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from db.counts import SpecimenTally
from db.records import CellClass, Specimen
from worker.counting.intervals import exact
from worker.counting.looks import due, looks_for, share_at_end, share_of_look, stop
from worker.rules import RULES

ADAPTIVE = RULES["marrowline-2026.3-adaptive"]
MARROW, BLOOD = Specimen.MARROW, Specimen.BLOOD


def seen(
    *, blasts: int = 0, plasma: int = 0, others: int = 0, abstained: int = 0, specimen: Specimen = MARROW
) -> SpecimenTally:
    counts = {CellClass.LYMPHOBLAST: blasts, CellClass.PLASMA_CELL: plasma, CellClass.NEUTROPHIL: others}
    called = {name.value: n for name, n in counts.items()}
    return SpecimenTally(specimen=specimen, counts=called, abstained=abstained, slides_done=1)


def test_a_rule_looks_only_where_it_may_stop() -> None:
    assert looks_for(ADAPTIVE, MARROW) == (500, 1000)  # at 200 it has too few cells to find anything
    assert looks_for(ADAPTIVE, BLOOD) == (200, 500, 1000)
    assert looks_for(ADAPTIVE, Specimen.UNKNOWN) == ()
    assert looks_for(RULES["marrowline-2026.1"], MARROW) == ()


def test_counting_stops_where_all_is_clear_and_says_by_what() -> None:
    look = stop(seen(blasts=5, plasma=5, others=500), ADAPTIVE, 500)
    assert look is not None
    assert (look.at, look.cells) == (500, 510)
    assert "lymphoblasts 5 of 510 cells in marrow" in look.reason
    assert "plasma cells 5 of 510 cells in marrow" in look.reason


@pytest.mark.parametrize(
    "astride",
    [
        seen(blasts=100, others=400),
        seen(plasma=50, others=450),
        seen(blasts=400, plasma=50, others=50),
        seen(others=400, abstained=100),
    ],
)
def test_counting_goes_on_while_an_interval_straddles(astride: SpecimenTally) -> None:
    assert stop(astride, ADAPTIVE, 500) is None


def test_counting_goes_on_where_most_cells_have_no_call() -> None:
    blood = SpecimenTally(specimen=Specimen.BLOOD, counts={"lymphoblast": 205}, abstained=300, slides_done=1)
    assert stop(blood, ADAPTIVE, 500) is None
    assert stop(replace(blood, abstained=200, counts={"lymphoblast": 305}), ADAPTIVE, 500) is not None
    assert stop(blood, RULES["marrowline-2026.2-adaptive"], 500) is not None


def test_a_first_look_asks_for_more_than_a_single_one_would() -> None:
    counts = seen(plasma=33, others=467)
    assert exact(33, 500, ADAPTIVE.error)[1] < 0.10
    assert stop(counts, ADAPTIVE, 500) is None


def test_a_look_that_is_not_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="takes no look at 200 cells of marrow"):
        stop(seen(others=600), ADAPTIVE, 200)
    with pytest.raises(ValueError, match="a look at 500 cells when 499 are counted"):
        stop(seen(others=499), ADAPTIVE, 500)


@given(st.lists(st.integers(0, 700), max_size=12), st.sampled_from([MARROW, BLOOD]))
def test_every_look_is_due_once_or_stepped_over(batches: list[int], specimen: Specimen) -> None:
    ends = np.cumsum([0, *batches]).tolist()
    taken = [look for a, b in pairwise(ends) if (look := due(ADAPTIVE, specimen, a, b))]
    assert taken == sorted(set(taken))
    passed = [at for at in looks_for(ADAPTIVE, specimen) if at <= ends[-1]]
    assert set(taken) <= set(passed)
    assert taken[-1:] == passed[-1:]


@pytest.mark.parametrize(("specimen", "cells"), [(MARROW, 300), (MARROW, 700), (MARROW, 5000), (BLOOD, 1000)])
def test_the_shares_of_all_ways_to_stop_sum_to_the_rules_error(specimen: Specimen, cells: int) -> None:
    ways = [share_of_look(ADAPTIVE, specimen, at) for at in looks_for(ADAPTIVE, specimen) if at <= cells]
    ways.append(share_at_end(ADAPTIVE, specimen, cells))
    assert isclose(sum(ways), 1.0)
    assert isclose(sum(prod(one) for one in product(ways, repeat=3)), 1.0)


def _misses(true: float, cells: int, error: float) -> float:
    """Return the exact chance that an interval of so many cells misses the true share."""
    ends = [exact(k, cells, error) for k in range(cells + 1)]
    missed = np.array([not low <= true <= high for low, high in ends])
    return float(binom.pmf(np.arange(cells + 1), cells, true)[missed].sum())


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 0.99))
def test_all_intervals_of_a_run_together_miss_no_oftener_than_the_rule_allows(true: float) -> None:
    parts = [(at, share_of_look(ADAPTIVE, MARROW, at)) for at in (500, 1000)]
    parts.append((1500, share_at_end(ADAPTIVE, MARROW, 1500)))
    assert sum(_misses(true, cells, ADAPTIVE.error * share) for cells, share in parts) <= ADAPTIVE.error


def test_an_interval_of_tiny_error_is_neither_empty_nor_everything() -> None:
    low, high = exact(500, 5000, 1e-40)
    assert 0.04 < low < 0.1 < high < 0.2
