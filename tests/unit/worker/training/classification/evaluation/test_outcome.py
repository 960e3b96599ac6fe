from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.outcomes import outcome
from worker.errors import BadRequestError
from worker.training.classification.evaluation.outcome import Outcome, store, stored


def test_a_stored_outcome_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = outcome(task="cnmc", positive=("b",), grouping="image", seed=7)
    store(kept, tmp_path / "a.npz")
    found = stored(tmp_path / "a.npz")
    for name in Outcome.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(kept, name), err_msg=name)


def test_storing_leaves_nothing_but_the_file(tmp_path: Path) -> None:
    store(outcome(), tmp_path / "a.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_a_task_without_malignant_classes_has_an_empty_positive(tmp_path: Path) -> None:
    store(outcome(positive=()), tmp_path / "a.npz")
    assert stored(tmp_path / "a.npz").positive == ()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not a file of arrays"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(BadRequestError, match=r"a\.npz is not"):
        stored(tmp_path / "a.npz")


def test_arrays_of_something_else_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pixels=np.zeros(3))
    with pytest.raises(BadRequestError, match="whole file of predictions"):
        stored(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("protocol", "random"),
        ("positive", ("c",)),
        ("truth", np.full(20, 2)),
        ("probabilities", np.full((20, 2), 0.7, np.float32)),
        ("group", np.array(["g"])),
        ("temperature", np.zeros(20, np.float32)),
        ("fold", np.full(20, -1)),
    ],
)
def test_what_does_not_fit_together_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        replace(outcome(count=20), **{name: value})


def test_a_unit_is_called_once_in_a_fold() -> None:
    whole = outcome(count=20)
    with pytest.raises(ValueError, match="twice"):
        replace(whole, unit=np.array(["same"] * 20))


def test_chosen_rows_stay_together() -> None:
    whole = outcome(count=20)
    part = whole.where(whole.truth == 1)
    assert set(part.unit) == {u for u, t in zip(whole.unit, whole.truth, strict=True) if t == 1}
    np.testing.assert_array_equal(part.called, whole.called[whole.truth == 1])
