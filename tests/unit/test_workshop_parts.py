from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
    "marrowline.workshop"
]


@pytest.mark.parametrize("where", PARTS.values(), ids=PARTS)
def test_what_commands_call_by_name_is_there(where: str) -> None:
    module, name = where.split(":")
    assert callable(getattr(import_module(module), name))
