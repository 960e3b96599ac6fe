"""Settings of the database, from `MARROWLINE_*` environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """Where Postgres is and how patient each connection may be."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    database_url: SecretStr | None = None
    """`postgresql://user:password@host/name`; unset: the embedded server starts one."""
    report_url: SecretStr | None = None
    """The same database as the read-only reporting role; unset: `SET ROLE marrowline_report`."""
    statement_timeout_s: float = Field(default=60.0, gt=0)
    lock_timeout_s: float = Field(default=10.0, gt=0)
    idle_timeout_s: float = Field(default=30.0, gt=0)
    """How long a transaction may wait for its client; a worker that hangs in one loses its locks then."""


class FaultSettings(BaseSettings):
    """Faults that a test strikes the running program with; never set in production."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    faults: Path | None = None
    """A file of faults (`db.faultpoints`); unset: the named points in the code do nothing."""
