from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["tests.support.redis", "tests.support.swift"]

# How long an example takes depends on the machine: no test is judged by it.
settings.register_profile("marrowline", deadline=None)
settings.load_profile("marrowline")
