from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from db.records import NOT_COUNTED
from tests.support.cases import cell
from worker.outputs.report.page import called
from worker.outputs.report.sample import NOT_CALLED, seen

CALLED = st.tuples(st.sampled_from(["lymphoblast", "lymphocyte", "smudge"]), st.booleans(), st.floats(0.3, 0.99))


@given(st.lists(CALLED, max_size=60), st.randoms(use_true_random=False))
def test_counts_are_those_of_the_verdict_and_the_sample_does_not_depend_on_the_order(
    called: list[tuple[str, bool, float]], random: Random
) -> None:
    cells = [cell(no, name, abstained=doubt, surely=p) for no, (name, doubt, p) in enumerate(called)]
    shuffled = list(cells)
    random.shuffle(shuffled)
    found, again = (seen(one, {"lymphoblast": 5}, otherwise=2) for one in (cells, shuffled))
    assert found.sample == again.sample
    expected = Counter(
        NOT_CALLED if doubt and name not in NOT_COUNTED else name
        for name, doubt, _ in called
        if not (doubt and name in NOT_COUNTED)
    )
    assert found.counts == expected
    assert found.counted == sum(n for name, n in expected.items() if name != "smudge")
    for name, kept in found.sample.items():
        assert len(kept) == min(expected[name], 5 if name == "lymphoblast" else 2)
        assert [one.probability for one in kept] == sorted((one.probability for one in kept), reverse=True)
        assert len(found.places_l0[name]) == 2 * expected[name]


def test_the_sample_is_of_all_cells_and_not_of_the_surest() -> None:
    cells = [cell(no, surely=0.5 + 0.0002 * no) for no in range(2000)]
    kept = seen(cells, {}, otherwise=200).sample["lymphocyte"]
    mean = sum(one.probability for one in kept) / len(kept)
    assert abs(mean - 0.7) < 0.03  # five standard errors of a fair sample's mean


def test_a_corrected_cell_stands_where_a_person_has_put_it_whether_it_was_called_or_not() -> None:
    cells = [
        replace(cell(0, "neutrophil"), corrected_class="lymphoblast"),
        replace(cell(1, "neutrophil", abstained=True), corrected_class="lymphoblast"),
        replace(cell(2, "smudge", abstained=True), corrected_class="lymphoblast"),
        replace(cell(3, "lymphoblast"), corrected_class="smudge"),
    ]
    found = seen(cells, {}, otherwise=9)
    assert (found.counts, found.counted) == (Counter(lymphoblast=3, smudge=1), 3)
    assert (found.named, seen([cell(0)], {}, otherwise=9).named) == (4, 0)
    (blast, *_) = found.sample["lymphoblast"]
    assert called("lymphoblast", blast) == "corrected, was neutrophil"
    assert called("lymphoblast", replace(blast, cell_class="lymphoblast")) == "confirmed"
