"""worker.drawing.stain: colours stay those of a Giemsa stain, however they vary."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.drawing.stain import Dye, Stain


def colour(stain: Stain, dye: Dye, strength: float = 1.0) -> NDArray[np.int_]:
    lit = stain.lit(stain.absorb({dye: np.full((1, 1), strength, np.float32)}))
    return np.asarray(lit[0, 0], dtype=int)


@pytest.mark.parametrize("seed", range(40))
def test_chromatin_stands_out_from_red_cells(seed: int) -> None:
    stain = Stain.sample(np.random.default_rng(seed))
    chromatin, red_cell = colour(stain, Dye.CHROMATIN, 0.66), colour(stain, Dye.HAEM)
    assert red_cell[1] - chromatin[1] > 60  # a Giemsa nucleus is darkest in green
    assert chromatin[2] > chromatin[0] - 20 > chromatin[1] - 20  # purple: blue and red above green


def test_no_dye_is_empty_glass() -> None:
    stain = Stain.usual()
    assert colour(stain, Dye.RNA, 0.0).tolist() == [round(v) for v in stain.background]


def test_dyes_multiply_the_light() -> None:
    stain, half = Stain.usual(), np.full((1, 1), 0.5, np.float32)
    once = stain.absorb({Dye.EOSIN: half})
    assert stain.absorb({Dye.EOSIN: half * 2}) == pytest.approx(once * once)
    both = stain.absorb({Dye.EOSIN: half, Dye.RNA: half})
    assert both == pytest.approx(once * stain.absorb({Dye.RNA: half}))


def test_samples_differ_and_repeat() -> None:
    first, again, other = (Stain.sample(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
