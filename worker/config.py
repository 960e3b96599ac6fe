"""Settings of the worker, from `MARROWLINE_*` environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_MODEL = "hybrid-2026-11-measured"
"""The classifier that is used where nobody names one; shipped."""

_BROKERS = ("redis", "rediss", "redis+socket")


class StoreSettings(BaseSettings):
    """Where slides come from and where they are kept while they are read."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    bucket: str = ""
    """A folder, or `s3://bucket/prefix`."""
    bucket_name: str = Field(default="", max_length=200, pattern=r"^[^\x00-\x1f]*$")
    """What slides are known by that lie in a folder: stays when the folder moves; empty: its absolute path."""
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    cache_dir: Path = Path(".marrowline/cache")
    cache_max_bytes: int = Field(default=50 * 2**30, gt=0)
    cache_reserve_bytes: int = Field(default=2**30, ge=0)
    """Free disk space that staging leaves untouched."""


class QueueSettings(BaseSettings):
    """The broker."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True, hide_input_in_errors=True)

    broker_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """`redis://`, `rediss://` or `redis+socket:///path`."""

    @field_validator("broker_url")
    @classmethod
    def _is_an_address(cls, url: SecretStr) -> SecretStr:
        """Refuse what no connection could be made to, without repeating it: it may hold a password."""
        try:
            parts = urlsplit(url.get_secret_value())
            usable = parts.scheme in _BROKERS and parts.port != 0
        except ValueError:  # the port is no number
            usable = False
        if url.get_secret_value() and not usable:
            raise ValueError("this is no address of a Redis: give redis://, rediss:// or redis+socket:///path")
        return url


class WorkerSettings(BaseSettings):
    """How one worker reads slides."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    sandbox: Literal["full", "strong", "weak"] = "strong"
    """The weakest sandbox that slides may be read in; a worker that cannot reach it does not start."""
    read_deadline_s: float = Field(default=60.0, gt=0)
    """How long decoding one tile or one overview may take before the slide's process is ended."""
    read_threads: int = Field(default=2, gt=0, le=64)
    """Threads that decode a slide's tiles ahead."""
    prefetch: bool = True
    """Whether the slide that is likely next is fetched while the present one is read."""
    device: str = "auto"
    """`cpu`, `cuda:0`, … or `auto`: the first GPU when there is one."""
    model: str = DEFAULT_MODEL
    """The classifier of single pictures; what slides are read with, the scheduler says."""
    models_dir: Path = Field(default_factory=lambda: _home() / "models")
    """A folder of further weight files beside the shipped ones; unset: `models` in MARROWLINE_HOME."""
    lease_s: float = Field(default=60.0, gt=0)
    heartbeat_s: float = Field(default=15.0, gt=0)
    tile_core_px: int = Field(default=1024, gt=0, multiple_of=64)
    tiles_per_batch: int = Field(default=8, gt=0)
    slide_time_limit_s: float = Field(default=4 * 3600, gt=0)
    max_tasks_per_child: int = Field(default=50, ge=0)
    """Slides read before the child process is replaced; 0: never."""


def _home() -> Path:
    return Path(os.environ.get("MARROWLINE_HOME") or ".marrowline")


def use_device(name: str) -> None:
    """Make this process, and the children that it forks, read slides on that device."""
    os.environ["MARROWLINE_DEVICE"] = name
