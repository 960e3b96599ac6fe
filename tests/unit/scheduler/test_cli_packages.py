from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_WITHOUT = "import sys; sys.modules[{name!r}] = None; from scheduler.cli import main; main()"


def _run(without: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = [sys.executable, "-c", _WITHOUT.format(name=without), *arguments]
    return subprocess.run(code, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("command", [["train", "classifier", "--arch", "hybrid"], ["evaluate"]])
def test_a_package_that_only_training_needs_is_named_with_what_installs_it(tmp_path: Path, command: list[str]) -> None:
    done = _run("sklearn", *command, "--data", str(tmp_path), "--out", str(tmp_path / "a.safetensors"))
    assert (done.returncode, done.stdout) == (1, "")
    here = f"{sys.executable} -m pip install 'marrowline[worker,train]'"
    assert done.stderr.splitlines() == [f"marrowline: sklearn is not installed: {here}"]


def test_a_module_of_ours_that_is_missing_is_a_bug_and_not_an_installation(tmp_path: Path) -> None:
    ours = "worker.training.classification.fit"
    done = _run(
        ours, "train", "classifier", "--arch", "dcnn", "--data", str(tmp_path), "--out", str(tmp_path / "a.safetensors")
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
