"""`marrowline webhook`: the process that bucket servers push their events to."""

from __future__ import annotations

import signal
import threading

import structlog

from db.config import DatabaseSettings
from db.session import make_engine
from scheduler.config import WebhookSettings
from scheduler.events.credentials import credentials_of
from scheduler.events.rate import RateLimit
from scheduler.events.reception import Reception
from scheduler.events.webhook import Webhook
from worker.config import StoreSettings
from worker.errors import BadRequestError
from worker.logs import configure_logs
from worker.storage import open_store

log = structlog.get_logger(__name__)

_BURST = 4


def webhook() -> None:
    """Take events of the bucket over HTTP until told to stop; the scheduler then looks at the objects they name.

    Needs MARROWLINE_DATABASE_URL, MARROWLINE_BUCKET, and MARROWLINE_WEBHOOK_SECRET or MARROWLINE_WEBHOOK_TOKEN; no
    keys of the bucket. See docs/events.md.
    """
    configure_logs()
    server = open_webhook(WebhookSettings(), DatabaseSettings(), StoreSettings())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    log.info("listening", host=server.server_address[0], port=server.server_address[1])
    stop.wait()
    server.shutdown()
    server.server_close()
    log.info("stopped")


def open_webhook(settings: WebhookSettings, database: DatabaseSettings, store: StoreSettings) -> Webhook:
    """Return the server, listening. BadRequestError when a setting is absent or not usable."""
    if database.database_url is None:
        raise BadRequestError("MARROWLINE_DATABASE_URL is not set: name the database that the scheduler uses")
    reception = Reception(
        store=open_store(store),
        engine=make_engine(database.database_url.get_secret_value(), pool_size=4, settings=database),
        credentials=credentials_of(settings),
        rate=RateLimit(settings.webhook_per_s, _BURST * settings.webhook_per_s),
        max_bytes=settings.webhook_max_bytes,
    )
    return Webhook(settings.webhook_host, settings.webhook_port, reception)
