from __future__ import annotations

from importlib.metadata import packages_distributions

import pytest


@pytest.mark.parametrize("package", ["worker", "scheduler", "db"])
def test_our_import_names_belong_to_our_distribution_alone(package: str) -> None:
    assert set(packages_distributions().get(package, ())) == {"marrowline"}
