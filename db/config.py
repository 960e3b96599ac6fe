"""Settings of the database, from `MARROWLINE_*` environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError


class DatabaseSettings(BaseSettings):
    """Where Postgres is and how patient each connection may be."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr | None = None
    """`postgresql://user:password@host/name`; unset: the embedded server starts one."""
    report_url: SecretStr | None = None
    """The same database as the read-only reporting role; unset: `SET ROLE marrowline_report`."""
    statement_timeout_s: float = Field(default=60.0, gt=0)
    lock_timeout_s: float = Field(default=10.0, gt=0)
    idle_timeout_s: float = Field(default=30.0, gt=0)
    """How long a transaction may wait for its client; a worker that hangs in one loses its locks then."""

    @field_validator("database_url", "report_url")
    @classmethod
    def _is_an_address(cls, url: SecretStr | None) -> SecretStr | None:
        """Refuse what no connection could be made to, without repeating it: it may hold a password."""
        if url is None or not url.get_secret_value():
            return url
        try:
            usable = make_url(url.get_secret_value()).drivername.startswith("postgres")
        except (ArgumentError, ValueError):
            usable = False
        if not usable:
            raise ValueError("this is no address of a Postgres: give postgresql://user:password@host:port/name")
        return url


class FaultSettings(BaseSettings):
    """Faults that a test strikes the running program with; never set in production."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    faults: Path | None = None
    """A file of faults (`db.faultpoints`); unset: the named points in the code do nothing."""
