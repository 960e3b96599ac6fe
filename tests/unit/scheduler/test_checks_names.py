from __future__ import annotations

import os

import pytest

from scheduler.checks.names import names
from scheduler.checks.result import Status


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MARROWLINE_"):
            monkeypatch.delenv(name)


def test_settings_of_every_part_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HOME",
        "DATABASE_URL",
        "S3_ENDPOINT",
        "WEBHOOK_PORT",
        "SIGNING_KEY_FILE",
        "SANDBOX",
        "FAULTS",
        "STACK",
    ):
        monkeypatch.setenv(f"MARROWLINE_{name}", "x")
    monkeypatch.setenv("marrowline_rule", "x")
    assert names().status == Status.OK


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("MARROWLINE_BROKERURL", "MARROWLINE_BROKER_URL"),
        ("MARROWLINE_DEFAULT_SPECIMAN", "MARROWLINE_DEFAULT_SPECIMEN"),
        ("MAROWLINE_DATABASE_URL", "MARROWLINE_DATABASE_URL"),
        ("marrowline_buket", "MARROWLINE_BUCKET"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(
    misspelt: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(misspelt, "c4nary")
    check = names()
    assert check.status == Status.WARNING
    assert misspelt in check.found
    assert f"{misspelt}: did you mean {meant}?" in check.fix
    assert "c4nary" not in check.found + check.fix
