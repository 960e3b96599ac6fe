from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

pytest_plugins = ["tests.support.redis", "tests.support.sqs", "tests.support.swift"]

# How long an example takes depends on the machine: no test is judged by it.
settings.register_profile("marrowline", deadline=None)
settings.load_profile("marrowline")

# A shell that starts the tests in the background has SIGINT ignored, and every command under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logging_as_at_first() -> Iterator[None]:
    """A command that a test calls in this process sets the level for those after it: capture_logs would miss events."""
    yield
    structlog.reset_defaults()
