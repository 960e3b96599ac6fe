"""Which servers are our own and which are given: one set of settings for every process of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from db.config import DatabaseSettings
from scheduler.config import HomeSettings, SchedulerSettings, inherited_environment
from scheduler.embedded.broker_login import broker_url
from scheduler.embedded.home import Home, database_url, digest, home_at
from scheduler.embedded.processes import STACK_VARIABLE
from worker.config import QueueSettings, StoreSettings, WorkerSettings

_LOOK_EVERY_S = "2"
"""How often the embedded scheduler lists and sweeps: a folder and an idle database cost next to nothing."""

_OWN_NAME = "bucket"
"""The home may be moved: slides in its own bucket are not known by where that lies."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A home with the servers that it uses."""

    home: Home
    given_database_url: str = field(repr=False)  # empty: our own
    given_broker_url: str = field(repr=False)  # empty: our own
    own_bucket: bool
    bucket: str
    bucket_name: str
    devices: tuple[str, ...]

    @property
    def own_postgres(self) -> bool:
        """Whether the database is the home's."""
        return not self.given_database_url

    @property
    def own_redis(self) -> bool:
        """Whether the broker is the home's."""
        return not self.given_broker_url

    @property
    def database_url(self) -> str:
        """The database's address; that of our own follows where its sockets were placed at the last start."""
        return self.given_database_url or database_url(self.home)

    @property
    def broker_url(self) -> str:
        """The broker's address; that of our own follows where its sockets were placed at the last start."""
        return self.given_broker_url or broker_url(self.home)

    @property
    def store_settings(self) -> StoreSettings:
        """The settings that open the same store, under the same name, as the stack's processes do."""
        return StoreSettings(bucket=self.bucket, bucket_name=self.bucket_name)

    @property
    def models_dir(self) -> Path:
        """The folder of one's own weight files, absolute."""
        worker = WorkerSettings()
        return (worker.models_dir if "models_dir" in worker.model_fields_set else self.home.models).absolute()

    @property
    def cache_dir(self) -> Path:
        """The folder that slides are staged in, absolute."""
        store = StoreSettings()
        return (store.cache_dir if "cache_dir" in store.model_fields_set else self.home.cache).absolute()

    def environment(self) -> dict[str, str]:
        """Return the environment of the stack's processes, with every `MARROWLINE_*` setting resolved."""
        return {**inherited_environment(), **self._settings(), STACK_VARIABLE: self.home.stack_id}

    def settings_digest(self) -> str:
        """Return a name for the settings, to see whether a running stack was started with others."""
        ours = {name: value for name, value in self.environment().items() if name.startswith("MARROWLINE_")}
        return digest(ours)

    def _settings(self) -> Mapping[str, str]:
        scheduler = SchedulerSettings()
        settings = {
            "LC_ALL": "C",  # initdb refuses a locale that this machine lacks; Python reads and writes UTF-8 with it
            "MARROWLINE_HOME": str(self.home.root),
            "MARROWLINE_DATABASE_URL": self.database_url,
            "MARROWLINE_BROKER_URL": self.broker_url,
            "MARROWLINE_BUCKET": self.bucket,
            "MARROWLINE_BUCKET_NAME": self.bucket_name,
            "MARROWLINE_CACHE_DIR": str(self.cache_dir),
            "MARROWLINE_MODELS_DIR": str(self.models_dir),
        }
        for name in ("list_s", "sweep_s"):
            if name not in scheduler.model_fields_set:
                settings[f"MARROWLINE_{name.upper()}"] = _LOOK_EVERY_S
        return settings


def resolve(home: Home | None = None) -> Stack:
    """Return the stack of a home, by default that of `MARROWLINE_HOME`; external servers are taken where set."""
    settings = HomeSettings()
    home = home or home_at(settings.home)
    database, broker, store = DatabaseSettings().database_url, QueueSettings(), StoreSettings()
    bucket = store.bucket
    broker_is_given = "broker_url" in broker.model_fields_set
    return Stack(
        home=home,
        given_database_url=database.get_secret_value() if database else "",
        given_broker_url=broker.broker_url.get_secret_value() if broker_is_given else "",
        own_bucket=not bucket,
        bucket=_absolute(bucket) if bucket else str(home.bucket),
        bucket_name=store.bucket_name or ("" if bucket else _OWN_NAME),
        devices=tuple(device.strip() for device in settings.devices.split(",") if device.strip()) or ("auto",),
    )


def _absolute(bucket: str) -> str:
    return bucket if "://" in bucket else str(Path(bucket).expanduser().absolute())
