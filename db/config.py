"""Settings of the database, from `MARROWLINE_*` environment variables."""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """Where Postgres is and how patient each connection may be."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    database_url: SecretStr | None = None
    """`postgresql://user:password@host/name`; unset: the embedded server starts one."""
    report_url: SecretStr | None = None
    """The same database as the read-only reporting role; unset: `SET ROLE marrowline_report`."""
    statement_timeout_s: float = 60.0
    lock_timeout_s: float = 10.0
