"""The embedded broker on its own: whom it lets in, and that what an older version left goes on."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.retry import Retry

from scheduler.embedded import servers
from scheduler.embedded.broker_login import broker_url, client_at, make_login
from scheduler.embedded.home import Home, home_at
from scheduler.embedded.parts import Part
from scheduler.embedded.resolve import resolve
from scheduler.embedded.specs import server_specs
from worker import queues

_PATIENCE_S = 60.0
_ADMINISTRATION = (
    "FLUSHALL",
    "CONFIG GET dir",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "SHUTDOWN",
    "MONITOR",
    "MODULE LIST",
    "ACL LIST",
    "DEBUG HELP",
)


@pytest.fixture
def home() -> Iterator[Home]:
    with TemporaryDirectory(prefix="ml") as folder:  # short: its sockets lie in it
        home = home_at(Path(folder))
        home.create()
        home.place_sockets()
        yield home


@pytest.fixture
def start(home: Home) -> Iterator[Callable[[], None]]:
    """Starts the broker as the supervisor does; it is stopped before it is started again, and at the end."""
    parts: list[Part] = []

    def stop() -> None:
        for part in parts:
            part.ask_to_stop()
            part.stop()

    def start() -> None:
        stop()
        make_login(home)
        parts.append(Part(next(spec for spec in server_specs(resolve(home)) if spec.name == "redis")))
        parts[-1].start()
        wait_until(lambda: servers.redis_answers(home))

    yield start
    stop()


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "the broker does not answer"
        time.sleep(0.01)


def may(client: redis.Redis, command: str) -> bool:
    try:
        client.execute_command(*command.split())  # type: ignore[no-untyped-call]
    except NoPermissionError:
        return False
    return True


def test_nobody_gets_in_without_the_homes_password(home: Home, start: Callable[[], None]) -> None:
    start()
    for user, password in ((None, None), ("default", ""), ("default", "guess"), ("marrowline", "guess")):
        stranger = redis.Redis(
            unix_socket_path=str(home.redis_socket),
            username=user,
            password=password,
            retry=Retry(NoBackoff(), 0),  # a refusal is an answer
        )
        with stranger, pytest.raises(AuthenticationError):
            stranger.ping()


def test_the_parts_may_not_administer_it(home: Home, start: Callable[[], None]) -> None:
    start()
    with client_at(broker_url(home)) as client:
        assert [command for command in _ADMINISTRATION if may(client, command)] == []
        assert may(client, "PING")


def test_a_queue_goes_through_it(home: Home, start: Callable[[], None]) -> None:
    start()
    with queues.make_app(broker_url(home)).connection() as connection, connection.SimpleQueue("tried") as queue:
        queue.put({"run_id": 7})
        message = queue.get(timeout=_PATIENCE_S)
        message.ack()
        assert message.payload == {"run_id": 7}


def test_what_a_version_without_passwords_left_in_the_queue_is_still_there(
    home: Home, start: Callable[[], None]
) -> None:
    command = list(servers.redis_command(home))
    place = command.index("--aclfile")
    del command[place : place + 2]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as old:
        wait_until(lambda: servers.redis_answers(home))
        with client_at(broker_url(home)) as client:
            client.lpush("kept", "message")
        old.terminate()
        old.wait(_PATIENCE_S)
    start()
    with client_at(broker_url(home)) as client:
        assert client.lrange("kept", 0, -1) == [b"message"]
