"""Settings with which no command can work are answered with a sentence that names them, never with a traceback."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scheduler.checks import machine
from scheduler.embedded.resolve import resolve
from tests.support.commands import whole_command
from tests.support.line import COMMAND
from tests.support.postgres import Server

NOBODY = 65534


def called(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARROWLINE_")}
    ours = {f"MARROWLINE_{name}": value for name, value in settings.items()}
    call = [str(COMMAND), *arguments]
    return subprocess.run(call, env=kept | ours, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "c4nary"),
        ("DATABASE_URL", "mysql://me:c4nary@h/x"),
        ("DATABASE_URL", "postgresql://me:c4nary@h:port/x"),
        ("BROKER_URL", "c4nary"),
        ("BROKER_URL", "redis://:c4nary@h:port/0"),
    ],
)
def test_what_is_no_address_is_a_wrong_setting_and_is_not_repeated(tmp_path: Path, name: str, value: str) -> None:
    done = called("status", HOME=str(tmp_path / "home"), **{name: value})
    assert done.returncode == 2
    assert done.stderr.startswith(f"marrowline: MARROWLINE_{name}: this is no address of a ")
    assert "c4nary" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [("patients",), ("sql", "SELECT * FROM report.patients"), ("retry", "1")])
def test_a_database_without_a_schema_is_told_with_what_makes_one(
    postgres: Server, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    url = postgres.new_database()
    try:
        done = called(*arguments, HOME=str(tmp_path / "home"), DATABASE_URL=url)
    finally:
        postgres.drop_database(url)
    assert done.returncode == 1
    assert done.stderr == "marrowline: the database has no schema yet: run `marrowline db upgrade`\n"


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Be a user whom permissions bind; root is bound by none."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("command", ["status", "patients", "up", "down"])
def test_a_home_that_may_not_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    run = whole_command(monkeypatch, capsys)
    monkeypatch.setenv("MARROWLINE_HOME", str(tmp_path / "unused"))
    run(command, "--help")  # whatever is imported is imported as the user that this process belongs to
    home = tmp_path / "home"
    (home / "run").mkdir(parents=True)
    (home / "run" / "id").write_text("x")
    home.chmod(0)
    monkeypatch.setenv("MARROWLINE_HOME", str(home))
    try:
        with ordinary_user():
            code, _, said = run(command)
    finally:
        home.chmod(0o700)
    assert code == 1
    assert said.startswith("marrowline: cannot ")
    assert str(home) in said
    assert "set MARROWLINE_HOME" in said


def test_the_check_names_a_home_that_may_not_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0)
    monkeypatch.setenv("MARROWLINE_HOME", str(shut / "home"))
    stack = resolve()
    with ordinary_user():
        assert machine.home(stack).status == "failed"
        assert machine.disk(stack).name == "disk"
