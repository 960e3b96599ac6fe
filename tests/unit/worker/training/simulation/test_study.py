from __future__ import annotations

import numpy as np
import pytest

from db.records import CellClass, Confusion
from worker.counting.judging import Side
from worker.training.simulation import adaptive, beside, confused, fixed, page, study

CLASSES = tuple(CellClass)[:10]
RNG_SEED = 5


def matrix(right: int) -> Confusion:
    """Return a matrix of 200 labelled cells a class, the wrong ones called the next class."""
    rows = []
    for no in range(len(CLASSES)):
        row = [0] * (len(CLASSES) + 1)
        row[no], row[(no + 1) % len(CLASSES)] = right, 200 - right
        rows.append(tuple(row))
    return Confusion(classes=tuple(one.value for one in CLASSES), counts=tuple(rows))


@pytest.mark.parametrize("cells", [100, 500])
def test_intervals_of_a_fixed_number_of_cells_hold_as_often_as_they_say(cells: int) -> None:
    assert fixed.least_coverage(cells, error=0.05, shares=np.arange(0.01, 0.41, 0.005)) >= 0.95
    one = fixed.study(0.2, cells, threshold=0.2, error=0.05)
    assert one.above <= 0.025
    assert one.below <= 0.025


def test_a_fixed_count_by_hand() -> None:
    one = fixed.study(0.5, 1, threshold=0.2, error=0.05)  # one cell: 0 to 0.975, or 0.025 to 1
    assert one.coverage == pytest.approx(1.0)
    assert one.width == pytest.approx(0.975)
    assert (one.above, one.below) == (0.0, 0.0)


def test_a_clear_slide_is_stopped_and_one_at_the_threshold_is_read_whole() -> None:
    slides = [adaptive.slide(rng, share, 0.0) for share, rng in zip((0.6, 0.2), adaptive.draws((5, 6), 2), strict=True)]
    clear, near = (adaptive.patient([one], looks=True) for one in slides)
    assert (clear.side, clear.stopped) == (Side.ABOVE, 1)
    assert 500 <= clear.cells < 700
    assert near.stopped == 0
    assert near.cells == sum(sum(one.called.values()) for one in slides[1])


def test_peeking_is_wrong_oftener_than_looks_are() -> None:
    slides = [adaptive.slide(rng, 0.2, 0.0) for rng in adaptive.draws((7,), 200)]
    looks = [adaptive.patient([one], looks=True) for one in slides]
    peeking = [adaptive.peeking(one, threshold=0.2, error=0.05, least=500) for one in slides]
    wrong = [sum(one.side is not Side.STRADDLES for one in found) for found in (looks, peeking)]
    assert wrong[0] <= 14
    assert wrong[1] >= 20


def test_cells_of_an_area_are_as_alike_as_was_asked() -> None:
    (rng,) = adaptive.draws((8,), 1)
    shares = [one.called["lymphoblast"] / sum(one.called.values()) for _ in range(40)
              for one in adaptive.slide(rng, 0.3, 0.05)]  # fmt: skip
    expected = 0.3 * 0.7 * (0.05 + 0.95 / 60)
    assert np.var(shares) == pytest.approx(expected, rel=0.15)


def test_a_correction_takes_back_what_confusion_did() -> None:
    rng = np.random.default_rng(RNG_SEED)
    one = confused.study(CellClass.LYMPHOBLAST, 0.4, matrix(right=160), rng, patients=25)
    assert one.raw == pytest.approx(0.4 * 0.8 + 0.156 * 0.2, abs=0.015)  # erythroblasts are called so
    assert one.corrected == pytest.approx(0.4, abs=0.02)
    assert one.corrected_coverage > one.raw_coverage


def test_a_disease_that_is_shown_stands_where_cells_without_a_call_alone_leave_another_open() -> None:
    rng = np.random.default_rng(RNG_SEED)
    clear, open_by_calls = (beside.study(share, 0.2, rng, patients=20) for share in (0.02, 0.30))
    assert (clear.waits, clear.stands) == (1.0, 1.0)
    assert (open_by_calls.waits, open_by_calls.stands) == (0.0, 0.0)
    between = beside.study(0.15, 0.2, rng, patients=20)
    assert between.waits < 0.4 < between.stands


@pytest.mark.slow
def test_the_study_is_the_same_for_the_same_seed_and_finds_its_place() -> None:
    first, again = (study.carry_out(matrix(right=190), seed=1, patients=4, tell=lambda _: None) for _ in range(2))
    assert first == again
    text = page.put(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", first)
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("| 40 % |") >= 4
    assert "### Found `consistent_with_MM` at 30 % plasma cells" in text


def test_a_page_without_a_place_for_the_study_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        page.put("nothing here", study.Study(
            patients=1, fixed=(), least={}, looks=(), whole=(), peeking=(), two=(), widened=(), unwidened=(),
            confused=(), beside=(),
        ))  # fmt: skip
