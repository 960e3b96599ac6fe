from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.evaluations import begun
from worker.errors import BadRequestError
from worker.training.classification.evaluation import running, tasks
from worker.training.classification.protocols import protocol_lines, protocols_of


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated")
    request = running.Request(
        data=(out,),
        whole=begun(out),
        tasks=tasks.chosen(("pbc", "taleqani")),
        protocols=("paper", "grouped"),
        archs=("svm", "colour"),
        at_once=1,
    )
    running.evaluate(request, lambda _: None)
    return out


def test_both_protocols_stand_beside_colour_alone(evaluated: Path) -> None:
    stated = protocols_of(evaluated, "svm")
    assert stated["tasks"].keys() == {"pbc", "taleqani"}
    grouped = stated["tasks"]["taleqani"]["grouped"]
    assert grouped["svm"]["balanced_accuracy"]["value"] > 0
    assert grouped["colour"]["balanced_accuracy"]["value"] == 1  # the made-up classes are told by colour
    rows = [line for line in protocol_lines(stated) if line.startswith("| taleqani")]
    assert len(rows) == 1
    assert rows[0].count("1.000") >= 1
    assert len(rows[0].split("|")) == 8


def test_an_evaluation_of_something_else_is_refused(evaluated: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="no figures of hybrid: evaluate with --arch hybrid"):
        protocols_of(evaluated, "hybrid")
    with pytest.raises(BadRequestError, match="is no evaluation"):
        protocols_of(tmp_path, "hybrid")
