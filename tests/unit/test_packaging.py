"""`worker`, `scheduler` and `db` exist on the public index too: installing one would overwrite ours in silence."""

from __future__ import annotations

from importlib.metadata import distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("package", ["worker", "scheduler", "db"])
def test_no_other_distribution_brings_our_import_names(package: str) -> None:
    owners = set(packages_distributions().get(package, ()))
    assert owners <= {"marrowline"}  # an editable installation lists no packages
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)


def test_the_installed_distribution_is_ours() -> None:
    assert distribution("marrowline").metadata["License-Expression"] == "Apache-2.0"
