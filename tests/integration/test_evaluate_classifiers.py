from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.evaluations import begun
from tests.support.sets import SIGHT, snam_tree
from worker.training.classification import loop
from worker.training.classification.data import joined, store
from worker.training.classification.drawn import drawn_cells
from worker.training.classification.duplicates import with_near_duplicates_grouped
from worker.training.classification.evaluation import running, systems, tasks
from worker.training.classification.sources import read_all
from worker.training.classification.state import keep

ARCHS = ("hybrid", "colour")


class _KilledError(Exception):
    pass


def _request(out: Path, archs: tuple[str, ...] = ARCHS) -> running.Request:
    return running.Request(
        data=(out,),
        whole=begun(out),
        tasks=tasks.chosen(("pbc", "taleqani")),
        protocols=("paper", "grouped"),
        archs=archs,
        at_once=1,
    )


def _figures(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "figures.json").read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key != "notes"}  # which say how long it took


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    out, told = tmp_path_factory.mktemp("finished"), list[str]()
    running.evaluate(_request(out), told.append)
    return out, told


def test_one_call_trains_every_fold_and_writes_the_report(finished: tuple[Path, list[str]]) -> None:
    out, told = finished
    assert (out / "index.html").is_file()
    names = {file.stem for file in (out / "predictions").iterdir()}
    assert len(names) == 2 * 2 * 2 * len(ARCHS)
    assert told[-1].endswith("about 0 min left")
    assert not list(out.glob("work/*/*.training"))


def test_a_second_call_trains_nothing_anew(finished: tuple[Path, list[str]]) -> None:
    out, _ = finished
    told: list[str] = []
    running.evaluate(_request(out), told.append)
    assert told == []


def test_killed_at_any_epoch_it_goes_on_to_the_same_figures(
    finished: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = 0

    def keep_and_die(*given: Any) -> None:
        nonlocal kept
        keep(*given)
        kept += 1
        if kept % 4 == 0:
            raise _KilledError

    monkeypatch.setattr(loop, "keep", keep_and_die)
    deaths = 0
    while deaths < 20:
        try:
            running.evaluate(_request(tmp_path), lambda _: None)
            break
        except _KilledError:
            deaths += 1
    assert 3 < deaths < 20
    assert _figures(tmp_path) == _figures(finished[0])


def test_two_processes_do_what_one_does(finished: tuple[Path, list[str]], tmp_path: Path) -> None:
    request = _request(tmp_path, ("colour",))
    running.evaluate(replace(request, at_once=2), lambda _: None)
    both = [json.loads((out / "figures.json").read_text(encoding="utf-8")) for out in (tmp_path, finished[0])]
    assert "colour" in json.dumps(both[0])
    for name in (file.name for file in (tmp_path / "predictions").iterdir()):
        assert (tmp_path / "predictions" / name).read_bytes() == (finished[0] / "predictions" / name).read_bytes()


def test_the_papers_own_set_alone_is_enough(tmp_path: Path) -> None:
    request = replace(_request(tmp_path / "out", ("vgg16",)), tasks=tasks.chosen(("snam",)), protocols=("grouped",))
    found = read_all(snam_tree(tmp_path / "SN-AM", fields=8), SIGHT, lambda _: None)
    store(with_near_duplicates_grouped(joined([*found, drawn_cells(1, 3, SIGHT)])), request.whole.crops)
    running.evaluate(request, lambda _: None)
    text = (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")
    assert "Trunks for snam saw drawn cells only" in text
    assert "positive (ALL; both classes are malignant): ALL" in text
    assert "Positive = ALL; both classes are malignant: ALL." in text


@pytest.mark.slow
def test_every_system_answers(tmp_path: Path) -> None:
    request = replace(_request(tmp_path, systems.SYSTEMS), tasks=tasks.chosen(("pbc",)), protocols=("grouped",))
    running.evaluate(request, lambda _: None)
    assert len(list((tmp_path / "predictions").iterdir())) == 2 * len(systems.SYSTEMS)
