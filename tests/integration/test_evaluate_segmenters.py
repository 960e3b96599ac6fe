from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.annotated import write_sets
from worker.errors import BadRequestError, ModelError
from worker.training.segmentation.contenders import contender
from worker.training.segmentation.data import part_of
from worker.training.segmentation.evaluate import fields_of, judge, main, planned
from worker.training.segmentation.fields import Listed
from worker.training.segmentation.metrics import Labels
from worker.training.segmentation.scores import SegmentFn


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_sets(folder, fields=5)
    return folder


def nothing(rgb: NDArray[np.uint8], _mpp_um: float) -> tuple[Labels, Labels]:
    return np.zeros(rgb.shape[:2], np.int32), np.zeros(rgb.shape[:2], np.int32)


def groups(fields: dict[str, list[Listed]]) -> set[str]:
    return {one.group for of_source in fields.values() for one in of_source}


def test_parts_share_no_group_and_make_up_the_whole(data: Path) -> None:
    train, val, both = (fields_of(data, part, smears=0) for part in ("train", "val", "all"))
    assert groups(train).isdisjoint(groups(val))
    assert groups(train) | groups(val) == groups(both)
    assert all(part_of(group) == "val" for group in groups(val))


def test_drawn_smears_belong_to_every_part(data: Path) -> None:
    for part in ("train", "val", "all"):
        fields = fields_of(data, part, smears=3)
        assert len(fields["drawn"]) == len(fields["drawn_clumps"]) == 3


def test_only_the_sources_asked_for_are_judged(data: Path) -> None:
    assert set(fields_of(data, "all", only=["bccd_fields"])) == {"bccd_fields"}
    with pytest.raises(BadRequestError, match=r"holds no nonsense, only .*bccd_fields"):
        fields_of(data, "all", only=["nonsense"])


def test_a_folder_without_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="holds no fields"):
        fields_of(tmp_path, "val", smears=0)


def test_weights_trained_without_a_set_judge_that_set_alone(data: Path) -> None:
    contenders = [contender("classical"), contender("left-out=net-without-{source}")]
    fields = fields_of(data, "all", smears=1)
    tasks = planned(fields, contenders, ["net-without-bccd_fields", "net-without-segpc_mm_512"])
    assert [(task.source, task.weights) for task in tasks if task.label == "left-out"] == [
        ("bccd_fields", "net-without-bccd_fields"),
        ("segpc_mm_512", "net-without-segpc_mm_512"),
    ]
    assert sum(task.label == "classical" for task in tasks) == len(fields)


def test_every_task_leaves_a_row_a_document_and_a_panel(data: Path, tmp_path: Path) -> None:
    tasks = planned(fields_of(data, "all", smears=0), [contender("mine=net")], ["net"])
    told: list[tuple[str, int, int]] = []
    judge(tasks, lambda _name: nothing, tmp_path, part="all", tell=lambda *what: told.append(what))
    document = json.loads((tmp_path / "scores.json").read_text())
    assert (document["part"], document["weights"]["mine on bccd_fields"]) == ("all", "net")
    assert [(one["source"], one["segmenter"]) for one in document["scores"]] == [
        ("wbcseg_d1_jiangxi", "mine"),
        ("bccd_fields", "mine"),
        ("segpc_mm_512", "mine"),
    ]
    assert all(one["figures"]["recall"]["value"] == 0 for one in document["scores"])
    table = (tmp_path / "table.md").read_text()
    for task in tasks:
        assert f"| {task.source}" in table
        assert (tmp_path / f"{task.source}-mine.jpg").stat().st_size > 10_000
        assert (f"{task.source}, mine", len(task.fields), len(task.fields)) in told


def test_nothing_is_judged_when_weights_are_missing(data: Path, tmp_path: Path) -> None:
    def load(name: str) -> SegmentFn:
        if name == "net":
            return nothing
        raise ModelError(f"no weights for {name}")

    tasks = planned(fields_of(data, "all", smears=0), [contender("net"), contender("other")], ["net"])
    with pytest.raises(ModelError, match="no weights for other"):
        judge(tasks, load, tmp_path / "out", part="all", tell=lambda *_: None)
    assert not (tmp_path / "out").exists()


def test_the_command_judges_the_baseline_and_prints_its_table(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    which = ["--part=all", "--smears=0", "--sources=bccd_fields,segpc_mm_512"]
    main([f"--data={data}", f"--out={out}", *which, "--segmenters=classical,left-out=no-{source}"])
    printed = capsys.readouterr()
    assert "no such weights: left-out on bccd_fields, left-out on" in printed.err.replace("\n", " ")
    assert printed.out.strip() == (out / "table.md").read_text().strip()
    assert "bccd_fields, classical" in printed.err
    scores = {one["source"]: one["figures"] for one in json.loads((out / "scores.json").read_text())["scores"]}
    assert scores["segpc_mm_512"]["recall"]["value"] > 0.7  # the others are not drawn at their sets' scales
    assert set(scores) == {"bccd_fields", "segpc_mm_512"}


def test_the_command_names_what_is_wrong(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, message in (("--segmenters=a=", "neither NAME"), ("--segmenters=no-such-net", "no weights")):
        with pytest.raises(SystemExit, match="1"):
            main([f"--data={data}", f"--out={tmp_path / 'out'}", "--part=all", "--smears=0", wrong])
        assert message in capsys.readouterr().err.replace("\n", " ")
