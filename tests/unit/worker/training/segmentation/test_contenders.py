from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from worker.errors import BadRequestError, ModelError
from worker.training.segmentation.baseline import classical
from worker.training.segmentation.contenders import contender, loader, segment_with


def test_a_name_is_its_own_label() -> None:
    one = contender("net")
    assert (one.label, one.name) == ("net", "net")
    assert one.on("bccd_fields", ()) == "net"  # that it is not installed is said when it is loaded


def test_weights_may_depend_on_the_data_set() -> None:
    one = contender("leave-one-out=net-without-{source}")
    assert one.label == "leave-one-out"
    assert one.on("bccd_fields", ("net-without-bccd_fields",)) == "net-without-bccd_fields"
    assert one.on("drawn", ("net-without-bccd_fields",)) is None


@pytest.mark.parametrize("text", ["", "label=", "=net", " "])
def test_half_a_contender_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="neither NAME nor LABEL=NAME"):
        contender(text)


def test_the_baseline_is_always_there_and_weights_only_where_they_lie(tmp_path: Path) -> None:
    load = loader(tmp_path, "cpu")
    cells, nuclei = load("classical")(np.full((40, 50, 3), 240, np.uint8), 0.25)
    assert cells.shape == nuclei.shape == (40, 50)
    with pytest.raises(ModelError, match="no weights"):
        load("no-such-net")


def test_the_classical_segmenter_has_a_name_like_the_others(tmp_path: Path) -> None:
    assert segment_with("classical", tmp_path, "cpu") is classical
