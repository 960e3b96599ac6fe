from __future__ import annotations

import io
import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import CellClass
from tests.support.export_cases import CELL, FEATURES, SLIDE
from worker.cell_ids import cell_id
from worker.cells.features import NAMES
from worker.cells.polygons import is_simple
from worker.outputs.geojson.features import MEASUREMENTS, feature_of, measured
from worker.outputs.geojson.write import write_features
from worker.outputs.marks import MARKS

WANTED = measured(FEATURES)
PLACES = st.tuples(st.integers(0, 60), st.integers(0, 60))


def written(*cells: Any) -> dict[str, Any]:
    file = io.StringIO()
    write_features(file, {"slide_id": 12}, SLIDE, cells)
    document: dict[str, Any] = json.loads(file.getvalue())
    return document


def test_a_cell_has_the_keys_that_qupath_reads() -> None:
    feature = feature_of(CELL, WANTED)
    assert feature == {
        "type": "Feature",
        "id": str(cell_id(7, 0, 0)),
        "geometry": {"type": "Polygon", "coordinates": [[(0, 0), (20, 0), (20, 30), (0, 30), (0, 0)]]},
        "properties": {
            "objectType": "cell",
            "classification": {"name": "lymphoblast", "color": list(MARKS[CellClass.LYMPHOBLAST][1])},
            "measurements": {"Probability": 0.7, "Nucleus: Area µm^2": 61.23, "Nucleus: Solidity": 0.95},
            "metadata": {"marrowline": "7/0/0", "marrowline_class": "lymphoblast"},
        },
    }


def test_an_abstained_cell_is_of_a_class_below_the_most_probable_one() -> None:
    properties = feature_of(replace(CELL, abstained=True), WANTED)["properties"]
    assert properties["classification"]["names"] == ["lymphoblast", "abstained"]
    assert "name" not in properties["classification"]


def test_every_class_has_a_colour_and_no_name_that_qupath_would_split() -> None:
    for one in CellClass:
        kept = feature_of(replace(CELL, cell_class=one), WANTED)["properties"]["classification"]
        assert ":" not in kept["name"]
        assert not kept["name"].endswith("*")
        assert all(0 <= part <= 255 for part in kept["color"])


@pytest.mark.parametrize("outline", [(), (5, 5, 5, 5, 5, 5), (0, 0, 4, 4, 9, 9)])
def test_a_cell_whose_outline_encloses_nothing_is_a_point(outline: tuple[int, ...]) -> None:
    feature = feature_of(replace(CELL, outline_l0=outline), WANTED)
    assert feature["geometry"] == {"type": "Point", "coordinates": [10.25, 20.5]}
    assert feature["properties"]["objectType"] == "detection"


@given(st.lists(PLACES, min_size=3, max_size=10))
def test_any_outline_gives_a_closed_ring_in_one_turn_whose_sides_do_not_cross(corners: list[tuple[int, int]]) -> None:
    outline = tuple(number for corner in corners for number in corner)
    geometry = feature_of(replace(CELL, outline_l0=outline), WANTED)["geometry"]
    if geometry["type"] == "Point":
        return
    (ring,) = geometry["coordinates"]
    assert ring[0] == ring[-1]
    assert len(ring) >= 4
    assert is_simple(np.array(ring[:-1], np.int32))
    assert sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairwise(ring)) > 0


def test_a_file_holds_the_cells_in_order_and_what_it_is_of() -> None:
    document = written(CELL, replace(CELL, cell_no=1), replace(CELL, cell_no=2))
    assert (document["type"], document["marrowline"]) == ("FeatureCollection", {"slide_id": 12})
    marks = [feature["properties"]["metadata"]["marrowline"] for feature in document["features"]]
    assert marks == ["7/0/0", "7/0/1", "7/0/2"]
    assert written()["features"] == []


def test_every_measurement_is_of_a_feature_that_is_measured() -> None:

    assert set(MEASUREMENTS) <= set(NAMES)
    assert measured(NAMES)
