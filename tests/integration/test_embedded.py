"""The embedded stack on its real servers: started twice, killed part by part, stopped, and beside another one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from scheduler.embedded.broker_login import broker_url
from scheduler.embedded.home import home_at
from scheduler.embedded.orphans import orphans
from tests.support.line import COMMAND, Line, eventually, started
from tests.support.models import write_tiny_model

AGAIN_WITHIN_S = 60
OWN_PARTS = ["postgres", "redis", "scheduler", "worker"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder)
    return folder


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Line]:
    with started(tmp_path_factory.mktemp("one") / "home", models_dir=str(models), model="tiny") as line:
        yield line


@pytest.fixture
def fresh(tmp_path: Path, models: Path) -> Iterator[Line]:
    """A home of its own that the test itself starts, its path too long for sockets; it is stopped at the end."""
    home = tmp_path / ("x" * 100)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARROWLINE_")}
    settings = {"HOME": str(home), "MODELS_DIR": str(models), "MODEL": "tiny"}
    with TemporaryDirectory(prefix="ml") as short:
        Path(short).chmod(0o711)  # the user that Postgres runs as passes through
        ours = {f"MARROWLINE_{name}": value for name, value in settings.items()}
        line = Line(home=home, environment={**kept, **ours, "TMPDIR": short})
        yield line
        line.run("down")


def folders_outside(line: Line) -> list[Path]:
    return list(Path(line.environment["TMPDIR"]).glob("marrowline-*"))


def status(line: Line) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(line.run("status", "--json").stdout)
    return document


def pids(line: Line) -> dict[str, int | None]:
    state = home_at(line.home).read_state() or {"parts": []}
    return {part["name"]: part["process"]["pid"] if part["process"] else None for part in state["parts"]}


def up_with_all_parts(line: Line) -> bool:
    return line.run("status").returncode == 0


def supervisor_of(line: Line) -> psutil.Process:
    state = home_at(line.home).read_state()
    assert state is not None
    return psutil.Process(state["supervisor"]["pid"])


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_started_twice_it_is_the_same_stack(line: Line) -> None:
    before = pids(line)
    assert sorted(before) == OWN_PARTS
    assert line.json("up")["started"] is False
    assert pids(line) == before


@pytest.mark.parametrize("name", OWN_PARTS)
def test_a_killed_part_comes_back(line: Line, name: str) -> None:
    before = pids(line)
    kill(before[name])
    eventually(lambda: pids(line)[name] not in (None, before[name]), within_s=AGAIN_WITHIN_S, what=f"{name} runs again")
    eventually(lambda: up_with_all_parts(line), within_s=AGAIN_WITHIN_S, what="all parts are up")
    assert {other: pid for other, pid in pids(line).items() if other != name} == {
        other: pid for other, pid in before.items() if other != name
    }
    assert line.sql("SELECT count(*) AS n FROM report.patients") == [{"n": 0}]


def children_of_worker(line: Line) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pids(line)["worker"]).children()]
    except psutil.NoSuchProcess:
        return []


def test_a_killed_worker_child_is_replaced(line: Line) -> None:
    eventually(lambda: len(children_of_worker(line)) == 1, within_s=AGAIN_WITHIN_S, what="the worker has a child")
    (child,) = children_of_worker(line)
    kill(child)
    eventually(
        lambda: children_of_worker(line) not in ([], [child]), within_s=AGAIN_WITHIN_S, what="it has a new child"
    )


def test_what_a_killed_supervisor_leaves_is_stopped_by_the_next_start(line: Line) -> None:
    before = pids(line)
    supervisor_of(line).kill()
    assert status(line)["phase"] == "orphaned"
    assert line.json("up")["started"] is True
    assert not set(before.values()) & set(pids(line).values())
    assert not any(psutil.pid_exists(pid) for pid in before.values() if pid is not None)


def test_everything_killed_at_once_comes_back(line: Line) -> None:
    supervisor = supervisor_of(line)
    victims = [supervisor, *line.processes(), *orphans(home_at(line.home))]
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(victims, timeout=10)
    assert (line.home / "data" / "postgres" / "postmaster.pid").is_file()
    line.json("up")
    assert up_with_all_parts(line)


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextlib.contextmanager
def stopped_after(line: Line) -> Iterator[None]:
    try:
        yield
    finally:
        line.run("down")


def test_external_servers_are_used_and_left_alone_and_no_secret_shows(fresh: Line, line: Line) -> None:
    servers, secret = home_at(line.home), "c4nary"
    before = pids(line)
    external = {
        "MARROWLINE_DATABASE_URL": f"postgresql://postgres:{secret}@/marrowline?host={servers.postgres_socket}",
        "MARROWLINE_BROKER_URL": f"{broker_url(servers)}?virtual_host=3",
        "MARROWLINE_BUCKET": str(servers.bucket),
    }
    guest = Line(home=fresh.home, environment={**fresh.environment, **external})
    with stopped_after(guest):
        shown = guest.json("up")
        assert [part["name"] for part in shown["parts"]] == ["scheduler", "worker"]
        assert (shown["external"], shown["unreachable"]) == (["postgres", "redis", "bucket"], [])
        assert not (guest.home / "data" / "postgres").exists()
        assert not [
            argument for process in psutil.process_iter() for argument in command_line(process) if secret in argument
        ]
        assert secret not in guest.run("status").stdout + home_at(guest.home).state_file.read_text()
    assert guest.run("status").returncode == 1
    assert pids(line) == before


def test_no_part_listens_on_a_port(line: Line) -> None:
    parts = [supervisor_of(line), *(psutil.Process(pid) for pid in pids(line).values())]
    family = {one for part in parts for one in (part, *part.children(recursive=True))}
    sockets = {one.laddr for part in family for one in part.net_connections("unix") if one.laddr}
    assert {Path(str(name)).name for name in sockets} >= {"redis.sock", ".s.PGSQL.5432"}
    open_ports = [
        f"{part.name()} {one.laddr}"
        for part in family
        for one in part.net_connections("inet")
        if one.type == socket.SOCK_DGRAM or one.status == psutil.CONN_LISTEN
    ]
    assert open_ports == []


NOBODY_THERE = {
    "postgres": ("MARROWLINE_DATABASE_URL", "postgresql://me:c4n/ry@127.0.0.1:1/x"),
    "redis": ("MARROWLINE_BROKER_URL", "redis://:c4nary@127.0.0.1:1/0"),
    "bucket": ("MARROWLINE_BUCKET", "/no/such/folder"),
}


@pytest.mark.parametrize("part", NOBODY_THERE)
def test_a_given_server_that_is_away_stops_a_start_with_its_name(fresh: Line, part: str) -> None:
    setting, address = NOBODY_THERE[part]
    done = Line(home=fresh.home, environment={**fresh.environment, setting: address}).run("up", timeout_s=60)
    assert done.returncode == 1
    assert f"marrowline: {part} at {re.sub('//.*@', '//', address)} cannot be reached: " in done.stderr
    assert f"correct {setting}" in done.stderr
    assert "c4n" not in done.stdout + done.stderr
    assert fresh.json("status", exit_code=1)["phase"] == "down"


def test_a_device_that_is_not_there_is_named_by_up_and_by_status(fresh: Line) -> None:
    line = Line(home=fresh.home, environment={**fresh.environment, "MARROWLINE_DEVICES": "cuda:99"})
    up = line.run("up")
    assert up.returncode == 1
    assert "marrowline: worker does not start: 'cuda:99' was asked for" in up.stderr
    assert "MARROWLINE_DEVICES" in up.stderr
    shown = line.run("status")
    assert shown.returncode == 1
    assert "worker does not start: 'cuda:99' was asked for" in shown.stdout


@pytest.mark.parametrize("part", NOBODY_THERE)
def test_status_names_a_given_server_that_is_away(line: Line, part: str) -> None:
    setting, address = NOBODY_THERE[part]
    guest = Line(home=line.home, environment={**line.environment, setting: address})
    (away,) = guest.json("status", exit_code=1)["unreachable"]
    assert (away["name"], away["address"]) == (part, re.sub("//.*@", "//", address))
    told = guest.run("status").stdout
    assert re.search(rf"^{part} +unreachable", told, re.MULTILINE)
    assert setting in told
    assert "c4n" not in told + json.dumps(away)


def test_the_brokers_password_stands_in_no_command_line_log_state_or_answer(line: Line) -> None:
    password = (line.home / "redis" / "password").read_text()
    commands = [argument for process in psutil.process_iter() for argument in command_line(process)]
    logs = [log.read_text() for log in (line.home / "logs").iterdir()]
    state = home_at(line.home).state_file.read_text()
    answers = [line.run(*words).stdout for words in (["status"], ["status", "--json"], ["doctor"])]
    assert any("own socket" in answer for answer in answers)
    assert [text for text in (*commands, *logs, state, *answers) if password in text] == []


def test_two_homes_never_meet_and_a_stopped_one_leaves_nothing_but_its_data(fresh: Line, line: Line) -> None:
    before, home = pids(line), home_at(fresh.home)
    fresh.json("up")
    assert [home.sockets] == folders_outside(fresh)
    assert not set(pids(fresh).values()) & set(before.values())
    assert fresh.json("down") == {"stopped": True, "home": str(fresh.home)}
    assert pids(line) == before
    assert orphans(home) == fresh.processes() == []
    assert {path.name for path in home.run.iterdir()} == {"id", "lock"}
    assert fresh.json("down")["stopped"] is False

    assert fresh.sql("SELECT count(*) AS n FROM report.runs") == [{"n": 0}]
    assert orphans(home) == folders_outside(fresh) == []


def test_neither_interruption_nor_haste_nor_old_traces_stop_a_start(fresh: Line) -> None:
    home, call = home_at(fresh.home), [str(COMMAND), "up"]
    interrupted = subprocess.Popen(call, env=dict(fresh.environment), start_new_session=True)
    eventually((home.postgres / "PG_VERSION").is_file, within_s=30, what="the start has begun")
    os.killpg(interrupted.pid, signal.SIGINT)
    assert interrupted.wait(30) != 0
    fresh.json("down")

    (home.postgres / "postmaster.pid").write_text(f"{os.getpid()}\n{home.postgres}\n0\n5432\n\n\n0 0\nready\n")
    (home.redis / "appendonly.aof").write_bytes(b"no queue file at all")
    both = [subprocess.Popen(call, env=dict(fresh.environment), stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [start.wait(120) for start in both] == [0, 0]
    assert up_with_all_parts(fresh)
    assert list(home.redis.glob("appendonly.damaged-*"))
    supervisors = [process for process in fresh.processes() if "supervisor" in " ".join(command_line(process))]
    eventually(lambda: sum(one.is_running() for one in supervisors) == 1, within_s=40, what="one supervisor is left")
