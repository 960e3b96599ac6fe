from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.annotated import write_sets
from worker.training.segmentation import canvas, data
from worker.training.segmentation.data import UNKNOWN, Field
from worker.training.segmentation.targets import targets

SHARES = {"wbcseg_d1_jiangxi": 1.0, "bccd_fields": 1.0, "segpc_mm_512": 1.0}


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Field]]:
    folder: Path = tmp_path_factory.mktemp("sets")
    write_sets(folder)
    found = data.read_all(folder)
    return {name: [f for f in found if f.source == name] for name in SHARES}


def test_the_same_seed_draws_the_same_canvas(fields: dict[str, list[Field]]) -> None:
    first, again = (canvas.draw(fields, SHARES, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.rgb, again.rgb)
    assert np.array_equal(first.instance, again.instance)
    other = canvas.draw(fields, SHARES, np.random.default_rng(4))
    assert not np.array_equal(first.rgb, other.rgb)


def test_every_canvas_keeps_to_what_its_planes_may_say(fields: dict[str, list[Field]]) -> None:
    for seed in range(40):
        drawn = canvas.draw(fields, SHARES, np.random.default_rng(seed))
        assert drawn.rgb.shape == (canvas.SIDE_PX, canvas.SIDE_PX, 3)
        assert set(np.unique(drawn.cell)) <= {-1, 0, 1}
        assert set(np.unique(drawn.nucleus)) <= {-1, 0, 1}
        # On the seams of a mosaic a cell's pixels are unknown, and everywhere else an instance is a cell.
        assert np.all(drawn.cell[drawn.instance > 0] != 0)


def test_cells_are_laid_against_others(fields: dict[str, list[Field]]) -> None:
    """A source of single cells gives four cells a canvas; pasted ones make more, and some of them touch."""
    alone = {"wbcseg_d1_jiangxi": fields["wbcseg_d1_jiangxi"]}
    drawn = [canvas.draw(alone, SHARES, np.random.default_rng(seed)) for seed in range(40)]
    assert max(len(np.unique(one.instance)) - 1 for one in drawn) > 4
    left, right = zip(*((one.instance[:, :-1], one.instance[:, 1:]) for one in drawn), strict=True)
    assert any(((a != b) & (a > 0) & (b > 0)).any() for a, b in zip(left, right, strict=True))


def test_nothing_is_known_on_the_seams_of_a_mosaic(fields: dict[str, list[Field]]) -> None:
    """Neither cell nor depth, though the cells of the four pictures reach into the seams."""
    alone = {"wbcseg_d1_jiangxi": fields["wbcseg_d1_jiangxi"]}
    drawn = [canvas.draw(alone, SHARES, np.random.default_rng(seed)) for seed in range(20)]
    seams = [one.cell == UNKNOWN for one in drawn]
    assert any((one.instance[seam] > 0).any() for one, seam in zip(drawn, seams, strict=True))
    for one, seam in zip(drawn, seams, strict=True):
        known = targets(one).known
        assert not known[0][seam].any()
        assert not known[2][seam].any()
