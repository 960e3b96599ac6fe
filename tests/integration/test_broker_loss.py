"""A worker whose broker dies while a task runs takes tasks again once the broker is back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.redis import RedisServer
from worker import queues

_PATIENCE_S = 60.0
_WORKER = """
import sys, time
from pathlib import Path
from worker import queues
app, folder = queues.make_app(sys.argv[1]), Path(sys.argv[2])
@app.task(name=queues.READ_SLIDE)
def read(run_id):
    (folder / f"begun-{run_id}").touch()
    while not (folder / f"go-{run_id}").exists():
        time.sleep(0.05)
    (folder / f"read-{run_id}").touch()
app.worker_main(["worker", "--pool=prefork", "--concurrency=1", f"--queues={queues.QUEUE}",
                 "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"])
"""


def _eventually(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"not within {_PATIENCE_S:g} s: {what}"
        time.sleep(0.05)


@contextmanager
def _worker(server: RedisServer, folder: Path) -> Iterator[psutil.Popen]:
    """Run the product's Celery application with a task that reads when it is told to."""
    with (folder / "log").open("wb") as log:
        worker = psutil.Popen(
            [sys.executable, "-c", _WORKER, server.url, str(folder)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
    try:
        yield worker
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def _send(server: RedisServer, run_id: int) -> None:
    app = queues.make_app(server.url)
    try:
        app.send_task(queues.READ_SLIDE, args=(run_id,), queue=queues.QUEUE)
    finally:
        app.close()


@pytest.mark.parametrize("how", ["the task ends", "its process is killed"])
def test_an_acknowledgement_that_is_lost_does_not_stop_a_worker(
    redis_server: RedisServer, tmp_path: Path, how: str
) -> None:
    with _worker(redis_server, tmp_path) as worker:
        _send(redis_server, 1)
        _eventually((tmp_path / "begun-1").exists, "the task begins")
        redis_server.kill()
        if how == "its process is killed":
            (child,) = worker.children()
            child.kill()
        (tmp_path / "go-1").touch()  # and when the broker is back in time, the message comes a second time
        _eventually(lambda: "Couldn't ack" in (tmp_path / "log").read_text(), "the acknowledgement is lost")
        redis_server.start()
        _send(redis_server, 2)
        (tmp_path / "go-2").touch()
        _eventually((tmp_path / "read-2").exists, "the next task is taken")


def test_a_worker_takes_one_message_at_a_time(redis_server: RedisServer, tmp_path: Path) -> None:
    with _worker(redis_server, tmp_path):
        for run_id in (1, 2, 3):
            _send(redis_server, run_id)
        _eventually((tmp_path / "begun-1").exists, "the task begins")
        with redis_server.client() as client:
            assert client.llen(queues.QUEUE) == 2
            (tmp_path / "go-1").touch()
            _eventually((tmp_path / "begun-2").exists, "the next task begins")
            assert client.llen(queues.QUEUE) == 1
