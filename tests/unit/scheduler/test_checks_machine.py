from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scheduler.checks import machine
from scheduler.checks.result import Status
from scheduler.embedded.resolve import Stack, resolve


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    monkeypatch.setenv("MARROWLINE_HOME", str(tmp_path / "home"))
    return resolve()


def test_this_machine_is_fit(stack: Stack) -> None:
    for check in (machine.python_version(), machine.packages(), machine.home(stack), machine.sockets(stack)):
        assert check.status == Status.OK


def test_an_absent_model_is_said_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARROWLINE_MODEL", "absent")
    check = machine.model()
    assert check.status == Status.FAILED
    assert "absent.safetensors" in check.found
    assert "MARROWLINE_MODEL" in check.fix


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PACKAGES", {"": ("sys",), "worker": ("no_such_package",)})
    check = machine.packages()
    assert "no_such_package" in check.found
    assert check.fix == f"{sys.executable} -m pip install 'marrowline[worker]'"


def test_a_missing_package_of_every_installation_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PACKAGES", {"": ("no_such_package",)})
    assert machine.packages().fix == f"{sys.executable} -m pip install marrowline"


def test_a_full_disk_stops_the_work(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> None:
    monkeypatch.setenv("MARROWLINE_CACHE_RESERVE_BYTES", str(2**60))
    assert machine.disk(stack).status == Status.FAILED


def test_a_home_that_is_a_file_cannot_be_written(stack: Stack) -> None:
    stack.home.root.write_text("")
    assert machine.home(stack).status == Status.FAILED


def test_a_long_path_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MARROWLINE_HOME", str(tmp_path / ("x" * 200)))
    check = machine.sockets(resolve())
    assert check.status == Status.OK
    assert "short" in check.found
