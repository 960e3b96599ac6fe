"""The fault proxy before a plain echo server, and the lost COMMIT before a real Postgres."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg2
import pytest
from sqlalchemy import make_url

from tests.faults.proxy import Proxy, Trouble, proxied
from tests.support.postgres import Server

PATIENCE_S = 20.0


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            while data := client.recv(65_536):
                client.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[:2]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(PATIENCE_S)


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[Proxy]:
    with proxied(echo) as proxy:
        yield proxy


def connected(proxy: Proxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)
    client.settimeout(PATIENCE_S)
    return client


def said(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return client.recv(65_536)


def test_without_trouble_everything_passes(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"


def test_an_answer_may_be_late(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.trouble = Trouble(delay_s=0.3)
        started = time.monotonic()
        assert said(client, b"hello") == b"hello"
    assert time.monotonic() - started >= 0.3


def test_an_answer_may_trickle(proxy: Proxy) -> None:
    proxy.trouble = Trouble(bytes_per_s=1000)
    with connected(proxy) as client:
        started = time.monotonic()
        pieces = [said(client, bytes(300))]
        while sum(map(len, pieces)) < 300:
            pieces.append(client.recv(65_536))
    assert time.monotonic() - started >= 0.3
    assert len(pieces[0]) < 300


def test_a_request_may_be_answered_in_the_servers_place(proxy: Proxy) -> None:
    proxy.trouble = Trouble(instead=b"no", times=1)
    heard: list[bytes] = []
    proxy.heard = heard.append
    with connected(proxy) as client:
        assert said(client, b"hello") == b"no"
        assert said(client, b"again") == b"again"
    assert heard == [b"hello", b"again"]
    assert proxy.counters.instead == 1


def test_silence_holds_everything_back_and_ends(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.trouble = Trouble(silent=True)
        client.sendall(b"hello")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(5)
        proxy.trouble = Trouble()
        client.settimeout(PATIENCE_S)
        assert client.recv(5) == b"hello"


def test_a_connection_may_be_refused(proxy: Proxy) -> None:
    proxy.trouble = Trouble(refuses=True)
    with connected(proxy) as client, pytest.raises(ConnectionResetError):
        _ = said(client, b"hello") or _reset()


def test_an_answer_is_cut_as_often_as_asked(proxy: Proxy) -> None:
    proxy.trouble = Trouble(cut_after=3, times=1)
    with connected(proxy) as client, pytest.raises(ConnectionResetError):
        _ = said(client, b"hello") or _reset()
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"
    assert proxy.counters.cut == 1


def test_all_connections_may_be_reset(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"
        proxy.break_all()
        with pytest.raises(ConnectionResetError):
            _ = client.recv(5) or _reset()


def test_the_answer_after_a_sequence_is_lost(proxy: Proxy) -> None:
    proxy.trouble = Trouble(lose_after=(b"one", b"two"), times=1)
    with connected(proxy) as client:
        assert said(client, b"two") == b"two"
        assert said(client, b"one") == b"one"
        with pytest.raises(ConnectionResetError):
            _ = said(client, b"two") or _reset()
    assert proxy.counters.lost == 1


def test_a_commit_whose_answer_is_lost_has_been_done(postgres: Server, own_database_url: str) -> None:
    database = make_url(own_database_url).database
    with proxied(postgres.socket_dir / ".s.PGSQL.5432") as proxy:
        proxy.trouble = Trouble(lose_after=(b"CREATE TABLE x", b"COMMIT"))
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{database}?sslmode=disable"
        with closing(psycopg2.connect(url)) as connection:
            connection.cursor().execute("CREATE TABLE x ()")
            with pytest.raises(psycopg2.OperationalError):
                connection.commit()
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM x")
            assert cursor.fetchone() == (0,)


def _reset() -> bytes:
    """Some systems tell of a reset only as the end: either is one."""
    raise ConnectionResetError
