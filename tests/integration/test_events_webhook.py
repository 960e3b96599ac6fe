"""The webhook as a listening server on a real Postgres: who gets in, and what comes of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, make_url
from structlog.testing import capture_logs

from db.config import DatabaseSettings
from scheduler.commands.webhook import open_webhook
from scheduler.config import WebhookSettings
from scheduler.events.credentials import signature
from scheduler.events.reception import PATH, SIGNATURE, TIMESTAMP
from scheduler.events.webhook import Webhook
from tests.support.events import filer_event, record, records
from tests.support.line import eventually
from tests.support.postgres import Server
from tests.support.rows import scalar
from worker.config import StoreSettings
from worker.errors import BadRequestError

SECRET, OLD, TOKEN = "s" * 32, "o" * 32, "canary-token" * 3
X = "lab/patient/x.svs"
EVENT = json.dumps(records(record(X))).encode()


class Sender:
    """A bucket's server that pushes to the webhook."""

    def __init__(self, server: Webhook, engine: Engine) -> None:
        self.engine = engine
        self.port = int(server.server_address[1])

    def post(self, body: bytes, headers: dict[str, str], path: str = PATH) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def sign(self, body: bytes, *, secret: str = SECRET, ago_s: float = 0.0) -> dict[str, str]:
        timestamp = str(int(time.time() - ago_s))
        return {TIMESTAMP: timestamp, SIGNATURE: signature(secret.encode(), timestamp, body)}

    def push(self, body: bytes, **how: Any) -> int:
        return self.post(body, self.sign(body, **how))[0]

    def rows(self) -> int:
        return int(scalar(self.engine, "SELECT count(*) FROM event_inbox"))


def _settings(tmp_path: Path, **settings: Any) -> tuple[WebhookSettings, StoreSettings]:
    webhook: dict[str, Any] = {
        "webhook_secret": SecretStr(SECRET),
        "webhook_old_secret": SecretStr(OLD),
        "webhook_token": SecretStr(TOKEN),
        "webhook_port": 0,
        "webhook_per_s": 1000.0,
    }
    return WebhookSettings(**(webhook | settings)), StoreSettings(bucket=str(tmp_path), bucket_name="slides")


@pytest.fixture
def settings() -> dict[str, Any]:
    """What a test sets otherwise."""
    return {}


@pytest.fixture
def sender(lab: Engine, database_url: str, tmp_path: Path, settings: dict[str, Any]) -> Iterator[Sender]:
    webhook, store = _settings(tmp_path, **settings)
    with open_webhook(webhook, DatabaseSettings(database_url=SecretStr(database_url)), store) as server:
        threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        yield Sender(server, lab)
        server.shutdown()
        server.reception.engine.dispose()


def test_a_signed_event_goes_into_the_inbox_once(sender: Sender) -> None:
    assert sender.post(EVENT, sender.sign(EVENT)) == (200, {"events": 1, "new": 1})
    assert sender.post(EVENT, sender.sign(EVENT, secret=OLD)) == (200, {"events": 1, "new": 0})
    assert scalar(sender.engine, "SELECT source || bucket || key FROM event_inbox") == f"webhookslides{X}"


@pytest.mark.parametrize(
    "spoil",
    [
        {TIMESTAMP: ""}, {SIGNATURE: ""}, {SIGNATURE: "sha256=0"}, {TIMESTAMP: "1"}, {TIMESTAMP: "now"},
        {"Authorization": "Bearer guess"}, {"Authorization": "Bearer "},
    ],
)  # fmt: skip
def test_a_forged_event_is_refused(sender: Sender, spoil: dict[str, str]) -> None:
    status, _ = sender.post(EVENT, sender.sign(EVENT) | spoil)
    assert (status, sender.rows()) == (401, 0)


def test_signatures_of_another_key_body_or_time_are_refused(sender: Sender) -> None:
    assert sender.push(EVENT, secret="x" * 32) == 401
    assert sender.post(EVENT + b" ", sender.sign(EVENT))[0] == 401
    assert sender.push(EVENT, ago_s=400) == 401
    assert sender.push(EVENT, ago_s=-400) == 401
    assert (sender.push(EVENT, ago_s=200), sender.rows()) == (200, 1)


def test_senders_that_cannot_sign_give_the_token(sender: Sender) -> None:
    body = json.dumps(filer_event(X)).encode()
    assert sender.post(body, {"Authorization": f"Bearer {TOKEN}"})[0] == 200
    assert sender.post(EVENT, {}, f"{PATH}/{TOKEN}")[0] == 200
    assert [sender.post(EVENT, {}, f"{PATH}/{guess}")[0] for guess in ("guess", "", f"{TOKEN}/")] == [401] * 3
    assert sender.rows() == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"garbage", 400), (b"", 400), (b"[]", 400), (b"\xff", 400), (b"[" * 100_000, 400), (b'{"Records": [7]}', 400),
        (json.dumps(records(record(X, bucket="foreign"))).encode(), 403),
        (json.dumps(records(record("lab/patient/notes.txt"))).encode(), 200),
        (b'{"Event": "s3:TestEvent"}', 200),
    ],
)  # fmt: skip
def test_what_is_no_event_of_a_slide_leaves_no_row(sender: Sender, body: bytes, status: int) -> None:
    assert (sender.push(body), sender.rows()) == (status, 0)


def test_a_foreign_event_among_ours_is_left_out(sender: Sender) -> None:
    body = json.dumps(records(record(X, bucket="foreign"), record("lab/patient/y.svs"))).encode()
    assert (sender.push(body), sender.rows()) == (200, 1)
    assert scalar(sender.engine, "SELECT key FROM event_inbox") == "lab/patient/y.svs"


def test_ten_megabytes_are_refused_unread(sender: Sender) -> None:
    assert sender.push(b"x" * 10 * 2**20) == 413
    assert sender.push(b" " * (2**20 - len(EVENT)) + EVENT) == 200


@pytest.mark.parametrize("length", ["Transfer-Encoding: chunked", "Content-Length: -1", "Content-Length: \xb2", "X: y"])
def test_a_body_of_unknown_length_is_refused(sender: Sender, length: str) -> None:
    with socket.create_connection(("127.0.0.1", sender.port), timeout=60) as raw:
        raw.sendall(f"POST {PATH} HTTP/1.1\r\n{length}\r\n\r\n".encode("latin-1"))
        raw.shutdown(socket.SHUT_WR)
        assert raw.makefile("rb").readline().split()[1] == b"411"


def test_a_body_that_breaks_off_is_refused(sender: Sender) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in sender.sign(EVENT).items())
    with socket.create_connection(("127.0.0.1", sender.port), timeout=60) as raw:
        raw.sendall(f"POST {PATH} HTTP/1.1\r\nContent-Length: {len(EVENT)}\r\n{head}\r\n".encode() + EVENT[:5])
        raw.shutdown(socket.SHUT_WR)
        assert raw.makefile("rb").readline().split()[1] == b"400"
    assert sender.rows() == 0


def test_other_places_and_methods_are_not_served(sender: Sender) -> None:
    assert [sender.post(EVENT, sender.sign(EVENT), path)[0] for path in ("/", "/eventsx", "/x/events")] == [404] * 3
    connection = http.client.HTTPConnection("127.0.0.1", sender.port, timeout=60)
    for path, status in (("/healthz", 200), ("/livez", 200), (PATH, 405)):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read() != b"") == (status, True)
        connection.close()


def test_health_is_whether_the_inbox_answers_and_life_is_not(
    postgres: Server, own_database_url: str, tmp_path: Path
) -> None:
    webhook, store = _settings(tmp_path)
    name = make_url(own_database_url).database
    with open_webhook(webhook, DatabaseSettings(database_url=SecretStr(own_database_url)), store) as server:
        threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        assert (_got(server, "/healthz"), _got(server, "/livez")) == (200, 200)
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        eventually(lambda: _got(server, "/healthz") == 503, within_s=20, what="the webhook says that its inbox is away")
        assert _got(server, "/livez") == 200
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        eventually(lambda: _got(server, "/healthz") == 200, within_s=20, what="the webhook sees its inbox again")
        server.shutdown()
        server.reception.engine.dispose()


def test_an_inbox_that_gives_no_answer_is_away(own_database_url: str, tmp_path: Path) -> None:
    webhook, store = _settings(tmp_path)
    name = make_url(own_database_url).database
    with open_webhook(webhook, DatabaseSettings(database_url=SecretStr(own_database_url)), store) as server:
        threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        assert _got(server, "/healthz") == 200
        engine = server.reception.engine
        backend = int(scalar(engine, f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'"))
        os.kill(backend, signal.SIGSTOP)
        try:
            eventually(lambda: _health_at_once(server) == 503, within_s=20, what="all but the one who asks hear so")
        finally:
            os.kill(backend, signal.SIGCONT)
        eventually(lambda: _got(server, "/healthz") == 200, within_s=20, what="the webhook sees its inbox again")
        server.shutdown()
        engine.dispose()


def _health_at_once(server: Webhook) -> int | None:
    """Return what a load balancer is told that soon loses patience; None where it is told nothing."""
    try:
        return _got(server, "/healthz", within_s=1)
    except TimeoutError:
        return None


def _got(server: Webhook, path: str, *, within_s: float = 60) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=within_s)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


@pytest.mark.parametrize("settings", [{"webhook_per_s": 0.001}])
def test_nobody_asks_too_often(sender: Sender) -> None:
    assert sender.push(EVENT) == 429  # four times a thousandth is less than one


def test_while_the_inbox_is_full_or_away_a_sender_is_told_to_come_again(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.push(EVENT)
    monkeypatch.setattr("scheduler.events.reception.MOST_WAITING", 0)
    assert sender.push(EVENT) == 503
    monkeypatch.undo()
    monkeypatch.setattr("scheduler.events.reception._PATIENCE_S", 0.01)
    with sender.engine.begin() as conn:
        conn.exec_driver_sql("SET LOCAL lock_timeout = 0; LOCK TABLE event_inbox")
        monkeypatch.setattr("scheduler.events.reception.inbox.is_full", _cancelled)
        assert sender.push(EVENT) == 503


def _cancelled(conn: Any, _: int) -> bool:
    conn.exec_driver_sql("SET LOCAL lock_timeout = '1ms'")
    return bool(conn.exec_driver_sql("SELECT count(*) > 0 FROM event_inbox").scalar_one())


def test_a_sender_that_dawdles_does_not_keep_its_place(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.events.webhook._DEADLINE_S", 0.2)
    monkeypatch.setattr("scheduler.events.webhook._Handler.timeout", 600)
    with socket.create_connection(("127.0.0.1", sender.port), timeout=60) as raw:
        raw.sendall(f"POST {PATH} HTTP/1.1\r\n".encode())
        assert raw.recv(1) == b""


def test_one_connection_too_many_is_closed(sender: Sender) -> None:
    idle = [socket.create_connection(("127.0.0.1", sender.port), timeout=60) for _ in range(32)]
    try:
        for one in idle:
            one.sendall(b"P")
        with socket.create_connection(("127.0.0.1", sender.port), timeout=60) as extra:
            assert extra.recv(1) == b""
    finally:
        for one in idle:
            one.close()


def test_logs_hold_neither_token_nor_key_nor_body(sender: Sender) -> None:
    with capture_logs() as logs:
        sender.post(EVENT, {}, f"{PATH}/{TOKEN}x")
        sender.push(b"canary-body")
        sender.push(json.dumps(records(record("lab/canary-key/x.svs", bucket="canary"))).encode())
    assert [entry["status"] for entry in logs] == [401, 400, 403]
    assert "canary" not in str(logs)


def test_a_port_that_is_taken_is_told_with_the_settings_to_mend(
    sender: Sender, database_url: str, tmp_path: Path
) -> None:
    webhook, store = _settings(tmp_path, webhook_port=sender.port)
    with pytest.raises(BadRequestError, match="MARROWLINE_WEBHOOK_PORT"):
        open_webhook(webhook, DatabaseSettings(database_url=SecretStr(database_url)), store)
