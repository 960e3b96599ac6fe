"""`marrowline doctor` on machines in good and in bad order."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from scheduler.cli import NOTICE
from tests.support.line import COMMAND
from tests.support.models import write_tiny_model


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    write_tiny_model(tmp_path / "models")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARROWLINE_")}
    return {
        **kept,
        "MARROWLINE_HOME": str(tmp_path / "home"),
        "MARROWLINE_MODELS_DIR": str(tmp_path / "models"),
        "MARROWLINE_MODEL": "tiny",
    }


def doctor(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    call = [str(COMMAND), "doctor", *arguments]
    return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=180, check=False)


def test_a_machine_in_good_order_is_ready_and_nothing_was_made(environment: dict[str, str]) -> None:
    done = doctor(environment)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-2:] == ["Ready.", NOTICE]
    assert not Path(environment["MARROWLINE_HOME"]).exists()


def test_everything_wrong_is_said_with_a_fix_and_no_secret(environment: dict[str, str]) -> None:
    wrong = {
        "MARROWLINE_DATABASE_URL": "postgresql://me:c4nary@127.0.0.1:1/x",
        "MARROWLINE_BROKER_URL": "redis://:c4nary@127.0.0.1:1/0",
        "MARROWLINE_BUCKET": "/no/such/folder",
        "MARROWLINE_MODEL": "absent",
        "MARROWLINE_DEVICES": "cpu,cuda:99",
        "MARROWLINE_BUKET": "c4nary",
    }
    done = doctor({**environment, **wrong}, "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    failed = {check["name"]: check["fix"] for check in document["checks"] if check["status"] == "failed"}
    assert set(failed) == {"postgres", "redis", "bucket", "model", "device"}
    assert all(failed.values())
    assert [check["name"] for check in document["checks"] if "MARROWLINE_BUKET" in check["found"]] == ["names"]
    assert document["ok"] is False
    assert "c4nary" not in done.stdout + done.stderr
