from __future__ import annotations

import numpy as np
import pytest

from worker.cells.maps import Maps

MAP = np.zeros((4, 6), np.uint8)


def test_maps_of_one_shape_are_taken_as_they_are() -> None:
    maps = Maps(cell=MAP, nucleus=MAP, depth=MAP)
    assert maps.cell is MAP


@pytest.mark.parametrize("other", [MAP[:3], MAP.astype(np.float32), MAP[..., None]])
def test_maps_that_do_not_lie_on_one_another_are_refused(other: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"maps are|shapes differ"):
        Maps(cell=MAP, nucleus=MAP, depth=other)
