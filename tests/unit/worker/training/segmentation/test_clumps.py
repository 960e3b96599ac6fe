from __future__ import annotations

import cv2
import numpy as np

from worker.training.segmentation.clumps import clump_counts
from worker.training.segmentation.metrics import Labels

PAIR, TRIPLE = [(20, 20), (41, 20)], [(20, 70), (41, 70), (62, 70)]
ALONE = (120, 20)


def discs(*centres: tuple[int, int]) -> Labels:
    image = np.zeros((100, 150), np.int32)
    for label, centre in enumerate(centres, start=1):
        cv2.circle(image, centre, 11, label, cv2.FILLED)
    return image


def test_only_touching_cells_are_clumps() -> None:
    image = discs(*PAIR, *TRIPLE, ALONE)
    right = clump_counts(image, image)
    assert (right.clumps, right.truth, right.found, right.off) == (2, 5, 5, 0)
    assert right.error == right.off_share == 0


def test_a_split_does_not_make_up_for_a_merge() -> None:
    truth, found = discs(*PAIR, *TRIPLE, ALONE), discs(*PAIR, *TRIPLE, ALONE)
    found[(truth == 1) | (truth == 2)] = 1
    found[60:71, :][truth[60:71, :] == 5] = 9  # the upper half of the triple's last cell
    judged = clump_counts(truth, found)
    assert (judged.found, judged.error) == (5, 0)
    assert (judged.off, judged.off_share) == (2, 0.4)


def test_cells_beside_a_clump_are_not_counted_in_it() -> None:
    beside = np.roll(discs(*PAIR), 11, axis=0)  # less than half of each inside
    judged = clump_counts(discs(*PAIR), beside)
    assert (judged.found, judged.error) == (0, -1)


def test_clumps_of_several_fields_add_up() -> None:
    one = clump_counts(discs(*PAIR), discs(PAIR[0]))
    assert (one + one).off == 2
    assert (one + one).error == one.error == -0.5
