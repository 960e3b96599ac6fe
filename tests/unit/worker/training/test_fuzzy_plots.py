from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from worker.fuzzy.released import ALL, DEFAULT_SYSTEM, SYSTEMS
from worker.training.fuzzy_plots import SURFACES, Surface, memberships, scores_over

SYSTEM = SYSTEMS[DEFAULT_SYSTEM]


@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_goes_from_one_answer_to_another(surface: Surface) -> None:
    x, y, scores = scores_over(SYSTEM, surface, points=4)
    assert scores.shape == (len(y), len(x))
    assert np.ptp(scores) > 0.3


def test_more_cells_make_a_raised_share_surer() -> None:
    _, cells, scores = scores_over(SYSTEM, Surface(output=ALL, cell="lymphoblast", x="share", y="cells"), points=2)
    assert scores[cells == 2, 1].item() < scores[cells == 40, 1].item()
    assert scores[cells == 2, 0].item() > scores[cells == 40, 0].item()


def test_the_words_are_drawn(tmp_path: Path) -> None:
    figure = memberships(SYSTEM)
    assert len([axis for axis in figure.axes if axis.lines]) == len(SYSTEM.inputs) + 1
    figure.savefig(tmp_path / "words.png", dpi=20)
