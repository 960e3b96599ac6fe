from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.models import write_tiny_model
from worker.config import WorkerSettings
from worker.errors import BadRequestError, ModelError
from worker.tasks import create_app


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    monkeypatch.setenv("MARROWLINE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("MARROWLINE_BUCKET", str(tmp_path))
    write_tiny_model(tmp_path)
    return WorkerSettings(models_dir=tmp_path)


def test_a_worker_starts_without_asking_any_server(settings: WorkerSettings) -> None:
    assert create_app(settings).conf.task_acks_late


@pytest.mark.parametrize("name", ["MARROWLINE_DATABASE_URL", "MARROWLINE_BUCKET"])
def test_a_worker_without_its_settings_does_not_start(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(BadRequestError, match=name):
        create_app(settings)


def test_a_worker_whose_weights_were_altered_does_not_start(settings: WorkerSettings, tmp_path: Path) -> None:
    (weights,) = tmp_path.glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="tiny"):
        create_app(settings)


@pytest.mark.parametrize("task", ["marrowline.read_slide", "marrowline.write_page"])
def test_a_message_that_names_no_number_reaches_no_server(settings: WorkerSettings, task: str) -> None:
    with capture_logs() as logs:
        create_app(settings).tasks[task]("../../etc/passwd")
    assert [one["log_level"] for one in logs] == ["error"]
