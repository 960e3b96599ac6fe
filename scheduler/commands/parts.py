"""`marrowline scheduler`: one process of a production line."""

from __future__ import annotations

import signal
import threading

from scheduler.service import line_from_settings, serve
from worker.logs import configure_logs
from worker.verdict import decide


def scheduler() -> None:
    """List the bucket, register slides and ring the workers, until told to stop; logs are JSON lines on stderr.

    Needs MARROWLINE_DATABASE_URL, MARROWLINE_BROKER_URL and MARROWLINE_BUCKET. Several may run at once.
    """
    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve(line_from_settings(decide), stop)
