"""The broker's users: each can do its own work and nothing beyond, in the clear and over TLS."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as NoConnectionError

from scheduler.doorbell import CeleryDoorbell
from tests.support.broker import PASSWORDS_OF, Broker, debian_redis, started_broker
from tests.support.forged import Trap, envelope
from worker import queues

WORKER = """
import pathlib, sys
from tests.support.forged import Trap, envelope
from worker import queues
app = queues.make_app(sys.argv[1])
@app.task(name=queues.READ_SLIDE)
def read_slide(run_id):
    pathlib.Path(sys.argv[2], str(run_id)).touch()
app.worker_main(["worker", "--pool=prefork", "--concurrency=1", "--queues=" + queues.QUEUE, "--without-gossip",
                 "--without-mingle", "--without-heartbeat"])
"""
FORBIDDEN_TO_ALL = (
    "FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET dir /tmp", "KEYS *", "ACL LIST", "ACL WHOAMI", "SAVE",
    "SHUTDOWN NOSAVE", "SCRIPT FLUSH", "EVAL return(1) 0", "REPLICAOF 127.0.0.1 1", "MODULE LIST",
    "PUBLISH c m", "SUBSCRIBE c", "CLIENT LIST", "CLIENT KILL ID 1", "MONITOR", "SCAN 0", "DUMP marrowline.slides",
    "RENAME marrowline.slides x", "DEL marrowline.other",
)  # fmt: skip
FORBIDDEN = {
    "scheduler": (
        "GET other", "SET other 1", "LPUSH celery 1", "LRANGE other 0 1", "BRPOP marrowline.slides 1",
        "HGET unacked 1", "DEL marrowline.slides", "ZADD unacked_index 1 a",
    ),
    "worker": ("GET other", "SET other 1", "LPUSH celery 1", "BRPOP celery 1", "HSET other a b", "DEL other"),
    "monitor": (
        "GET other", "LPUSH marrowline.slides 1", "BRPOP marrowline.slides 1", "LRANGE marrowline.slides 0 1",
        "HGET unacked 1", "LLEN celery", "DEL marrowline.slides",
    ),
}  # fmt: skip
needs_tls = pytest.mark.skipif(
    debian_redis() is None, reason="TLS needs Redis of the system: apt-get install redis-server"
)


@pytest.fixture(scope="module", params=["clear", pytest.param("tls", marks=needs_tls)])
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with started_broker(tmp_path_factory.mktemp("broker"), tls=request.param == "tls") as broker:
        yield broker


@pytest.mark.parametrize("user", FORBIDDEN)
def test_a_user_may_give_no_other_command_and_touch_no_other_key(broker: Broker, user: str) -> None:
    allowed = []
    with broker.client(user) as client:
        for command in FORBIDDEN_TO_ALL + FORBIDDEN[user]:
            try:
                client.execute_command(*command.split())
            except NoPermissionError:
                continue
            except ResponseError:
                pass
            allowed.append(command)
    assert allowed == []


def test_nobody_gets_in_without_a_password_or_with_another_ones(broker: Broker) -> None:
    for user, password in ((None, None), ("worker", "x"), ("worker", PASSWORDS_OF["scheduler"]), ("default", "")):
        with broker.client(user, password) as client, pytest.raises((AuthenticationError, ResponseError)):
            client.llen(queues.QUEUE)


def test_a_full_broker_refuses_and_a_restarted_one_remembers(broker: Broker) -> None:
    with broker.client("monitor") as client:
        memory: Any = client.info("memory")
        persistence: Any = client.info("persistence")
    assert memory["maxmemory_policy"] == "noeviction"
    assert persistence["aof_enabled"] == 1


def test_passwords_stand_neither_in_the_command_line_nor_in_a_file(broker: Broker) -> None:
    command = Path(f"/proc/{broker.process.pid}/cmdline").read_bytes()
    files = [path.read_bytes() for path in broker.folder.rglob("*") if path.is_file()]
    assert not [one for one in (command, *files) if b"c4nary" in one]


def test_tls_takes_no_client_in_the_clear_and_no_other_authority(broker: Broker, tmp_path: Path) -> None:
    if broker.ca is None:
        return
    plain = Broker(port=broker.port, folder=tmp_path, process=broker.process, ca=None)
    with plain.client("monitor") as client, pytest.raises(NoConnectionError):
        client.ping()
    subprocess.run(["/bin/sh", "deploy/redis/make_certs.sh", tmp_path], check=True, timeout=120)
    other = Broker(port=broker.port, folder=tmp_path, process=broker.process, ca=tmp_path / "ca.crt")
    with other.client("monitor") as client, pytest.raises(NoConnectionError, match="certificate verify failed"):
        client.ping()


@pytest.mark.parametrize("broker", ["tls" if debian_redis() else "clear"], indirect=True, scope="module")
def test_a_bell_is_heard_behind_forged_messages_and_none_of_them_runs_code(broker: Broker, tmp_path: Path) -> None:
    """Row 48: a message that is not ours is refused; bytes that are no message end the worker, which starts again."""
    heard, trap = tmp_path / "heard", tmp_path / "trapped"
    heard.mkdir()
    forged = [
        envelope(pickle.dumps(Trap(trap)), kind="application/x-python-serialize"),
        envelope(b'[["1"], {}, {}]', task="os.system"),
        b"\x80\x04no message at all",
    ]
    with broker.client("scheduler") as client:
        for message in forged:
            client.lpush(queues.QUEUE, message)
    bell = CeleryDoorbell(queues.make_app(broker.url("scheduler")))
    assert bell.ring([41]) == 1
    starts = run_until(heard / "41", broker.url("worker"), tmp_path)
    assert starts >= 2
    assert not trap.exists()
    assert [path.name for path in heard.iterdir()] == ["41"]
    with broker.client("monitor") as client:
        assert client.llen(queues.QUEUE) == 0


def run_until(sign: Path, url: str, folder: Path) -> int:
    """Run a worker, again whenever it ends, until the sign is there; return how often it was started."""
    starts, until = 0, time.monotonic() + 240
    with (folder / "worker.log").open("wb") as log:
        while not sign.exists():
            starts += 1
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, url, str(sign.parent)], stdout=log, stderr=subprocess.STDOUT
            )
            while worker.poll() is None and not sign.exists():
                assert time.monotonic() < until, (folder / "worker.log").read_text()[-3000:]
                time.sleep(0.05)
            worker.terminate()
            worker.wait(60)
    return starts
