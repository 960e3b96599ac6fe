from __future__ import annotations

import pytest
from pydantic import ValidationError

from db.config import DatabaseSettings


def test_addresses_come_from_the_environment_and_stay_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARROWLINE_DATABASE_URL", "postgresql://u:hidden@h/n")
    settings = DatabaseSettings()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:hidden@h/n"
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize("name", ["statement_timeout_s", "lock_timeout_s", "idle_timeout_s"])
def test_a_limit_of_nothing_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MARROWLINE_{name.upper()}", "0")
    with pytest.raises(ValidationError, match=name):
        DatabaseSettings()
