from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.annotated import write_sets
from worker.training.segmentation import data
from worker.training.segmentation.data import UNKNOWN, Field
from worker.training.segmentation.fields import listed
from worker.training.segmentation.sets import SETS


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Field]]:
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder)
    found = data.read_all(folder)
    return {name: [f for f in found if f.source == name] for name in dict.fromkeys(f.source for f in found)}


def test_a_picture_of_one_cell_tells_body_and_nucleus(fields: dict[str, list[Field]]) -> None:
    (one, *_) = fields["wbcseg_d1_jiangxi"]
    assert 0 < np.count_nonzero(one.nucleus == 1) < np.count_nonzero(one.cell == 1)
    assert np.array_equal(one.instance > 0, one.cell == 1)


def test_a_blood_field_tells_bodies_but_not_where_in_them_nuclei_are(fields: dict[str, list[Field]]) -> None:
    (one, *_) = fields["bccd_fields"]
    assert np.all(one.nucleus[one.cell == 1] == UNKNOWN)
    assert np.all(one.nucleus[one.cell == 0] == 0)


def test_cells_that_a_marrow_field_does_not_outline_are_never_background(fields: dict[str, list[Field]]) -> None:
    """The blood fields are the same pictures with every cell outlined: what they call cell is not 0 in the other."""
    for whole, partial in zip(fields["bccd_fields"], fields["segpc_mm_512"], strict=True):
        scale = partial.rgb.shape[1] / 334  # the two sets state other µm/px
        assert scale == pytest.approx(1.0, abs=0.01)
        outlined = partial.instance > 0
        assert outlined.any()
        assert np.all(partial.cell[outlined] == 1)
        glass = partial.cell == 0
        assert glass.mean() > 0.2
        del whole


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    write_sets(tmp_path, fields=1)
    (tmp_path / "bccd_fields" / "images" / "0.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"bccd_fields/images/0.png is not a readable picture"):
        data.read_all(tmp_path)


def test_a_folder_without_a_known_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds none of wbcseg_d1_jiangxi"):
        data.read_all(tmp_path)


def test_fields_of_one_group_stay_in_one_part(fields: dict[str, list[Field]]) -> None:
    (one, *_) = fields["bccd_fields"]
    many = [replace(one, group=f"g/{number % 40}") for number in range(120)]
    shared = data.parts(many)
    train, val = ({field.group for field in part} for part in (shared["train"], shared["val"]))
    assert train
    assert val
    assert not train & val


def test_bars_of_one_colour_are_cut_off() -> None:
    rgb = np.full((20, 30, 3), 200, np.uint8)
    rgb[5:15] = np.random.default_rng(0).integers(0, 255, (10, 30, 3))
    cut, mask = data.without_bars(rgb, np.zeros((20, 30), np.uint8))
    assert cut.shape == (10, 30, 3)
    assert mask.shape == (10, 30)


def test_training_and_judging_part_the_same_fields_alike(tmp_path: Path) -> None:
    write_sets(tmp_path, fields=1)
    trained = {(one.source, one.name): one.group for one in data.read_all(tmp_path)}
    judged = [one for of in SETS if (tmp_path / of.folder).is_dir() for one in listed(tmp_path, of)]
    assert trained == {(one.source, one.name): one.group for one in judged}
