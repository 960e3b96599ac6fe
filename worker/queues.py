"""The Celery application without its tasks: names and settings that scheduler and worker share.

The scheduler sends by name through here, so that it never loads what a task needs.
"""

from __future__ import annotations

from celery import Celery

READ_SLIDE = "marrowline.read_slide"
"""Argument: run id."""
WRITE_PAGE = "marrowline.write_page"
"""Argument: patient id."""
QUEUE = "marrowline.slides"
URGENT, ORDINARY, LATER = 0, 3, 6
"""Priorities of messages on Redis: workers take all of the smaller number first, and each priority in its order."""
LISTS = {URGENT: QUEUE, **{step: f"{QUEUE}\x06\x16{step}" for step in (ORDINARY, LATER)}}
"""The list in Redis that holds the messages of a priority, the first to be taken first."""
_BROKER_OPTIONS = {
    "visibility_timeout": 6 * 3600,  # never the recovery path: the lease is
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "retry_on_timeout": True,
    "priority_steps": [0, 3, 6, 9],  # the transport's own, stated because LISTS rests on it
}


def make_app(broker_url: str, *, time_limit_s: float = 4 * 3600, max_tasks_per_child: int = 50) -> Celery:
    """Return the Celery application; its state is in Postgres, so it has no result backend."""
    app = Celery("marrowline", broker=broker_url)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # a crash before the claim would spin for ever; the sweeper re-rings
        # A message at a time, counted by tasks and not by acknowledged messages: one acknowledgement that is lost with
        # the connection would otherwise hold its place for ever, and the worker take nothing more.
        worker_prefetch_multiplier=0,
        worker_disable_prefetch=True,
        task_time_limit=time_limit_s,
        worker_max_tasks_per_child=max_tasks_per_child or None,
        worker_soft_shutdown_timeout=30,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options=_BROKER_OPTIONS,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,  # whoever reaches the broker could otherwise order workers about
    )
    return app
