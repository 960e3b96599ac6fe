from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from worker.cli_evaluate import evaluate
from worker.errors import BadRequestError
from worker.training.classification.evaluation.systems import SYSTEMS
from worker.training.classification.evaluation.tasks import TASKS

app = typer.Typer(add_completion=False)
app.command()(evaluate)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--protocol", "random"), "no protocol is called random: use paper, grouped"),
        (("--protocol", ""), "--protocol names none: use paper, grouped"),
        (("--arch", " ,"), "--arch names none: use hybrid"),
        (("--arch", "alexnet"), "no system is called alexnet"),
        (("--task", "mnist"), "no task is called mnist"),
        (("--profile", "tpu"), "no profile is called 'tpu': use cpu or gpu"),
        (("--imagenet", "."), "ImageNet weights fit the full width only"),
    ],
)
def test_what_is_not_known_is_refused_before_anything_is_read(
    given: tuple[str, str], said: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["--data", str(tmp_path), "--out", str(tmp_path / "out"), *given])
    assert isinstance(result.exception, BadRequestError)
    assert said in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_the_help_names_every_system_and_set() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"}).output
    assert ", ".join(SYSTEMS) in shown
    assert ", ".join(task.name for task in TASKS) in shown
