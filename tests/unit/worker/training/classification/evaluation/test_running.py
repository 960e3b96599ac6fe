from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.crops import discs
from tests.support.evaluations import BLAST, LYMPHOCYTE, begun, small_sets
from worker.errors import BadRequestError
from worker.training.classification.data import joined, store
from worker.training.classification.evaluation import running, tasks
from worker.training.classification.evaluation.guards import Guarded
from worker.training.classification.evaluation.notes import notes


def _request(out: Path, *names: str) -> running.Request:
    return running.Request(
        data=(out,),
        whole=begun(out),
        tasks=tasks.chosen(names),
        protocols=("paper",),
        archs=("colour",),
        at_once=1,
    )


def test_a_report_is_written_and_the_rest_of_the_time_said(tmp_path: Path) -> None:
    told: list[str] = []
    page = running.evaluate(_request(tmp_path, "pbc"), told.append)
    assert page == tmp_path / "index.html"
    assert told[0].startswith("pbc, paper 1: colour: done after")
    assert told[-1].endswith("about 0 min left")


def test_tasks_without_data_are_left_out_unless_nothing_remains(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="the data holds no set for segpc"):
        running.evaluate(_request(tmp_path, "segpc"), lambda _: None)


def test_a_set_too_small_to_be_divided_is_left_out_with_a_word(tmp_path: Path) -> None:
    request = _request(tmp_path, "pbc", "cnmc")
    few = discs([BLAST, LYMPHOCYTE] * 3, source="cnmc2019_sample", seed=5)
    store(joined([small_sets(), few]), request.whole.crops)
    page = running.evaluate(request, lambda _: None)
    assert "cnmc was left out: 6 pictures or groups" in page.with_name("tables.md").read_text(encoding="utf-8")


def test_another_seed_needs_another_folder(tmp_path: Path) -> None:
    request = _request(tmp_path, "pbc")
    running.evaluate(request, lambda _: None)
    with pytest.raises(BadRequestError, match="holds an evaluation with other settings"):
        running.evaluate(replace(request, whole=replace(request.whole, seed=2)), lambda _: None)


def test_the_notes_say_what_trunks_saw_and_how_much_was_spent(tmp_path: Path) -> None:
    crops = small_sets()
    checked = Guarded(tasks=tasks.chosen(("pbc", "taleqani")), sentences=("segpc was left out.",))
    text = "\n".join(notes(begun(tmp_path), checked, crops, 3.0))
    assert "segpc was left out." in text
    assert "Trunks for pbc saw the crops of taleqani_all (48), wbcseg_d1_jiangxi (18)." in text
    assert "taleqani: 24 fields by the mean of 48 cells" in text
    assert "0.01 of the published channels" in text
