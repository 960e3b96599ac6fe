"""Settings of the scheduler and the embedded stack, from `MARROWLINE_*` environment variables."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.records import Specimen
from worker.config import DEFAULT_MODEL


class SchedulerSettings(BaseSettings):
    """How the scheduler finds slides and when it looks."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    key_pattern: str = "{lab}/{patient}/{slide}"
    """How an object key names its lab and patient, below the bucket's prefix."""
    default_specimen: Specimen = Specimen.MARROW
    """Specimen of a new lab's slides when neither sidecar nor command says otherwise."""
    site_mpp_um: float | None = Field(default=None, gt=0)
    """Scale of slides that state none, when all of the site's images come from one camera."""
    model: str = DEFAULT_MODEL
    """Name of the model version that new slides are read with."""
    rule: str = "marrowline-2026.3"
    """Name of the rule set that a new lab's patients are judged by."""
    sweep_s: float = Field(default=15.0, gt=0)
    list_s: float = Field(default=15.0, gt=0)
    set_quiet_s: float = Field(default=60.0, ge=0)
    """How long the files of a DICOM series must stay the same until all are taken to have arrived."""
    max_attempts: int = Field(default=5, gt=0)
    status_files: bool = True
    """Whether `<key>.status.json` is written beside each upload; needs the right to write to the bucket."""
    status_s: float = Field(default=5.0, gt=0)
    """How often it is looked for statuses that changed."""
    sqs_url: str = Field(default="", pattern=r"^$|^https?://[^\s/]+/\S+$")
    """Address of the SQS queue that the bucket's events go to; empty: none."""


class WebhookSettings(BaseSettings):
    """How the process works that bucket servers push their events to."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    webhook_host: str = "127.0.0.1"
    """Address to listen at, in plain HTTP: any but loopback belongs behind a proxy or on a network of its own."""
    webhook_port: int = Field(default=8480, ge=0, le=65_535)
    webhook_secret: SecretStr = SecretStr("")
    """Key of the signatures; empty: nothing signed is taken."""
    webhook_old_secret: SecretStr = SecretStr("")
    """A key that is still taken while senders are given the new one."""
    webhook_token: SecretStr = SecretStr("")
    """What senders that cannot sign give, in the address or as a bearer token; empty: they are refused."""
    webhook_window_s: float = Field(default=300.0, gt=0)
    """How far a signature's time may be from now."""
    webhook_max_bytes: int = Field(default=2**20, gt=0)
    webhook_per_s: float = Field(default=50.0, gt=0)
    """Requests of one address, on average; four times as many at once."""


class ProofSettings(BaseSettings):
    """What certificates are signed with."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    signing_key_file: Path | None = None
    """An Ed25519 key in PEM that only its owner and group may read; unset: no certificate can be signed."""


class HomeSettings(BaseSettings):
    """Where the embedded stack keeps everything."""

    model_config = SettingsConfigDict(env_prefix="MARROWLINE_", frozen=True)

    home: Path = Path(".marrowline")
    devices: str = "auto"
    """One worker process each, separated by commas: `auto`, `cpu`, `cuda:0,cuda:1`."""


def inherited_environment() -> dict[str, str]:
    """Return the environment that a process of the embedded stack starts from."""
    return dict(os.environ)
