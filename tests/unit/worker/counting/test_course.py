from __future__ import annotations

from collections import Counter
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.counts import BatchCount, SlideTally, SpecimenTally, Stop
from db.records import Batch, CellClass, Specimen
from tests.support.rows import cell
from worker.counting.course import Course, count, counting_for, course_of
from worker.counting.dispersion import measured_over
from worker.counting.intervals import counted
from worker.counting.looks import looks_for, share_at_end, share_of_look, stop
from worker.rules import RULES

ADAPTIVE = RULES["marrowline-2026.3-adaptive"]
BLAST, OTHER = CellClass.LYMPHOBLAST.value, CellClass.NEUTROPHIL.value

counts = st.builds(
    lambda blasts, others, abstained: ({BLAST: blasts, OTHER: others}, abstained),
    st.integers(0, 60),
    st.integers(0, 200),
    st.integers(0, 4),
)
plans = st.lists(counts, min_size=1, max_size=25).map(
    lambda found: [BatchCount(no=no, called=called, abstained=n) for no, (called, n) in enumerate(found)]
)


def beginning(specimen: Specimen = Specimen.MARROW) -> Course:
    course = course_of({"counting": counting_for(ADAPTIVE.name, specimen)})
    assert course is not None
    return course


def first_stop(batches: list[BatchCount]) -> tuple[int, int] | None:
    """Say by the book after which batch, and at which look, counting stops: every look at every number of batches."""
    before = 0
    for n_read in range(1, len(batches) + 1):
        seen = batches[:n_read]
        called: Counter[str] = sum((Counter(one.called) for one in seen), Counter())
        abstained = sum(one.abstained for one in seen)
        slide = SlideTally(slide_id=0, counts=called, abstained=abstained, measured=measured_over(seen))
        tally = SpecimenTally(
            specimen=Specimen.MARROW, counts=called, abstained=abstained, slides_done=1, slides=(slide,)
        )
        passed = [at for at in looks_for(ADAPTIVE, Specimen.MARROW) if before < at <= counted(tally)]
        if passed and stop(tally, ADAPTIVE, max(passed)):
            return n_read, max(passed)
        before = counted(tally)
    return None


def where(found: Stop | None) -> tuple[int, int | None] | None:
    return None if found is None else (found.n_read, found.look)


@given(plans)
def test_a_run_stops_at_the_first_look_at_which_all_is_clear(batches: list[BatchCount]) -> None:
    assert where(reduce(Course.after, batches, beginning()).stop) == first_stop(batches)


@given(plans, st.data())
def test_any_order_in_which_batches_become_known_gives_the_same_stop(
    batches: list[BatchCount], data: st.DataObject
) -> None:
    in_order = reduce(Course.after, batches, beginning())
    shuffled = data.draw(st.permutations(batches))
    assert reduce(Course.after, shuffled, beginning()).stop == in_order.stop


@given(plans, st.lists(st.integers(0, 8), max_size=10))
def test_any_interleaving_of_take_overs_gives_the_same_stop_and_counts(
    batches: list[BatchCount], written_by_each: list[int]
) -> None:
    alone = reduce(Course.after, batches, beginning())
    stored: dict[int, BatchCount] = {}
    course = beginning()
    for dies_after in [*written_by_each, len(batches)]:  # one worker after the other, the last of whom lives
        course = reduce(Course.after, stored.values(), beginning())
        for batch in [one for one in batches if one.no not in stored][:dies_after]:
            if course.stop is not None:
                break
            stored[batch.no], course = batch, course.after(batch)
    assert course.stop == alone.stop
    assert sorted(stored) == list(range(course.stop.n_read if course.stop else len(batches)))
    assert (course.seen, course.n_read) == (alone.seen, alone.n_read)


def test_a_stop_says_where_and_why() -> None:
    batches = [BatchCount(no=no, called={OTHER: 90}, abstained=1) for no in range(8)]
    found = reduce(Course.after, batches, beginning()).stop
    assert found is not None
    assert (found.n_read, found.rule, found.look, found.cells) == (6, ADAPTIVE.name, 500, 546)
    assert found.share == share_of_look(ADAPTIVE, Specimen.MARROW, 500)
    assert found.reason.startswith("clear of every threshold at the look at 500 cells: lymphoblasts 0 of 546 cells")


def test_a_run_read_to_its_end_says_what_is_left_of_the_error() -> None:
    read = reduce(Course.after, [BatchCount(no=no, called={BLAST: 20, OTHER: 80}) for no in range(7)], beginning())
    assert read.stop is None
    found = read.end()
    assert (found.n_read, found.look, found.cells) == (7, None, 700)
    assert found.share == share_at_end(ADAPTIVE, Specimen.MARROW, 700) < 1


@pytest.mark.parametrize(
    ("rule", "specimen"), [("marrowline-2026.1", Specimen.MARROW), (ADAPTIVE.name, Specimen.UNKNOWN)]
)
def test_without_looks_a_plan_says_nothing_and_all_is_read(rule: str, specimen: Specimen) -> None:
    assert counting_for(rule, specimen) is None
    assert course_of({}) is None


def test_a_plan_names_the_rule_and_its_looks() -> None:
    assert counting_for(ADAPTIVE.name, Specimen.BLOOD) == {
        "rule": ADAPTIVE.name,
        "specimen": "blood",
        "looks": [200, 500, 1000],
    }


def test_a_batch_counts_what_a_rule_counts() -> None:
    cells = (
        cell(0),
        cell(1, "lymphoblast"),
        cell(2, abstained=True),
        cell(3, "smudge"),
        cell(4, "smudge", abstained=True),
    )
    assert count(Batch(no=3, cells=cells)) == BatchCount(no=3, called={"lymphocyte": 1, "lymphoblast": 1}, abstained=1)


def test_a_class_that_lies_unevenly_keeps_the_reading_going() -> None:
    others = {"neutrophil": 20, "erythroblast": 20}
    even = [BatchCount(no=no, called=others | {"plasma_cell": 2}) for no in range(13)]
    uneven = [BatchCount(no=no, called=others | {"plasma_cell": 26 * (no == 0)}) for no in range(13)]
    document = {"counting": counting_for("marrowline-2026.3-adaptive", Specimen.MARROW)}
    courses = [course_of(document), course_of(document)]
    for at, batches in enumerate((even, uneven)):
        for one in batches:
            course = courses[at]
            assert course is not None
            courses[at] = course.after(one)
    first, second = (course.stop for course in courses if course is not None)
    assert first is not None
    assert (first.look, first.cells) == (500, 504)
    assert second is None  # 26 of 546, all in one place
