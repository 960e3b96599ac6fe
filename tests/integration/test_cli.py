from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer

from scheduler import cli
from worker.rules import DEFAULT_RULE

HEAVY = ("torch", "torchvision", "openslide", "cv2", "sqlalchemy", "celery", "boto3")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Calling a command sets how loud this process logs; other tests read what is logged."""
    yield
    structlog.reset_defaults()


def loaded_by(*arguments: str) -> tuple[float, str, list[str]]:
    code = f"""
import sys
sys.argv = ["marrowline", *{arguments!r}]
from scheduler.cli import main
try:
    main()
except SystemExit:
    pass
sys.stderr.write("LOADED " + " ".join(name for name in {HEAVY!r} if name in sys.modules))
"""
    before = processor_s()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return processor_s() - before, done.stdout, done.stderr.rpartition("LOADED ")[2].split()


def processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime  # not the clock: other tests may keep the machine busy


def test_help_starts_at_once_and_loads_nothing_heavy() -> None:
    took, screen, heavy = loaded_by("--help")
    assert took < 0.5
    assert heavy == []
    assert cli.NOTICE in " ".join(screen.split())


@pytest.mark.parametrize("command", ["status", "patients", "run", "doctor"])
def test_no_command_of_ours_loads_torch_or_openslide(command: str) -> None:
    _, _, heavy = loaded_by(command, "--help")
    assert not {"torch", "torchvision", "openslide"} & set(heavy)


@pytest.mark.parametrize("name", cli._OWN)
def test_every_command_in_the_help_exists_and_says_what_it_does(name: str) -> None:
    loaded: Any = cli._loaded(name)
    assert loaded.help
    assert import_module(f"scheduler.commands.{cli._OWN[name][1].split(':')[0]}").__doc__


def test_commands_of_other_packages_are_found_by_name() -> None:
    group = cli.make_group()
    context = typer.Context(group)
    assert "worker" in group.list_commands(context)
    assert group.get_command(context, "worker").help


@pytest.mark.parametrize("arguments", [["nosuch"], ["run"], ["patients", "--limit", "0"], ["cells"]])
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    assert exit_code_of(*arguments) == 2


def test_a_misspelt_command_is_answered_with_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code_of("statsu")
    assert "'status'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "may_be"), [("DEFAULT_SPECIMEN", "marow", "'marrow'"), ("RULE", "marrowline", DEFAULT_RULE)]
)
def test_a_setting_that_cannot_be_is_named_with_what_it_may_be(
    tmp_path: Path, name: str, value: str, may_be: str
) -> None:
    settings = {"MARROWLINE_HOME": str(tmp_path / "home"), f"MARROWLINE_{name}": value}
    command = [sys.executable, "-m", "scheduler.cli", "up"]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    assert (done.returncode, f"MARROWLINE_{name}" in done.stderr, may_be in done.stderr) == (2, True, True)
    assert not (tmp_path / "home").exists()


def exit_code_of(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        cli.make_group().main(list(arguments), prog_name="marrowline")
    return end.value.code
