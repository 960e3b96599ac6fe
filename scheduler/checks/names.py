"""Check of the names of environment variables: a misspelt setting is not one, and nothing else would say so."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from db.config import DatabaseSettings, FaultSettings
from scheduler.checks.result import Check, ok, warning
from scheduler.config import HomeSettings, ProofSettings, SchedulerSettings, WebhookSettings, inherited_environment
from scheduler.embedded.processes import STACK_VARIABLE
from worker.config import QueueSettings, StoreSettings, WorkerSettings

_PREFIX = "MARROWLINE_"
_SETTINGS = (
    DatabaseSettings, FaultSettings, HomeSettings, ProofSettings, QueueSettings, SchedulerSettings, StoreSettings,
    WebhookSettings, WorkerSettings,
)  # fmt: skip
_OTHERS = (STACK_VARIABLE, f"{_PREFIX}DATA", f"{_PREFIX}S3_SERVER_VENV")
"""Of the stack's own processes, and of the tests."""
_SURELY_MEANT = 0.9
"""How like a setting's name another variable must be that does not even begin as ours do."""


def names() -> Check:
    """Check that every variable that is meant for Marrowline is one of its settings."""
    settings = sorted(f"{_PREFIX}{field.upper()}" for group in _SETTINGS for field in group.model_fields)
    unknown = _unknown(inherited_environment(), settings)
    if not unknown:
        return ok("names", f"every {_PREFIX}* variable is a setting")
    meant = {name: get_close_matches(name.upper(), settings, n=1, cutoff=0.0)[0] for name in unknown}
    fixes = [f"{name}: did you mean {nearest}?" for name, nearest in meant.items()]
    return warning("names", f"without effect: {', '.join(unknown)}", " ".join(fixes))


def _unknown(environment: Iterable[str], settings: list[str]) -> list[str]:
    """Return the variables that are no settings and look as if they were meant to be; case does not matter."""
    others = [name for name in sorted(environment) if name.upper() not in {*settings, *_OTHERS}]
    return [
        name
        for name in others
        if name.upper().startswith(_PREFIX) or get_close_matches(name.upper(), settings, n=1, cutoff=_SURELY_MEANT)
    ]
