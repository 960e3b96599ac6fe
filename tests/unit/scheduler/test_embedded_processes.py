from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scheduler.embedded import processes
from scheduler.embedded.processes import STACK_VARIABLE

SLEEP = ("sleep", "1047")
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEP, env={**os.environ, STACK_VARIABLE: "this-test"})
    until = time.monotonic() + 30
    while psutil.Process(process.pid).cmdline() != list(SLEEP) and time.monotonic() < until:
        time.sleep(0.01)  # until the new process has replaced our own image
    yield process
    process.kill()
    process.wait()


def test_a_recorded_process_is_found(child: subprocess.Popen[bytes]) -> None:
    stored = processes.record(child.pid, "1047").as_json()
    found = processes.find(processes.from_json(stored))
    assert found is not None
    assert found.pid == child.pid


def test_another_process_with_the_same_number_is_not_taken_for_it(child: subprocess.Popen[bytes]) -> None:
    known = processes.record(child.pid, "1047")
    assert processes.find(dataclasses.replace(known, started_at=known.started_at - 60)) is None
    assert processes.find(dataclasses.replace(known, token="redis-server")) is None


def test_a_zombie_is_not_alive(child: subprocess.Popen[bytes]) -> None:
    known = processes.record(child.pid, "1047")
    child.kill()
    process = psutil.Process(child.pid)
    until = time.monotonic() + 5
    while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.01)
    assert processes.find(known) is None


def test_processes_are_known_by_the_stack_they_carry(child: subprocess.Popen[bytes]) -> None:
    assert [process.pid for process in processes.marked("this-test")] == [child.pid]
    assert processes.marked("another-stack") == []


def test_a_server_is_known_by_its_name_and_folder(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP, cwd=tmp_path) as process:
        until = time.monotonic() + 5
        while not (found := processes.serving("sleep", tmp_path)) and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
    assert [one.pid for one in found] == [process.pid]
    assert processes.serving("sleep", tmp_path) == []


def test_who_does_not_end_when_asked_is_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        process = psutil.Process(stubborn.pid)
        processes.stop([process], first=signal.SIGTERM, wait_s=0.3)
        assert not processes.runs(process)


def test_a_zombie_is_not_waited_for() -> None:
    with subprocess.Popen(SLEEP) as child:
        began = time.monotonic()
        processes.stop([psutil.Process(child.pid)], first=signal.SIGTERM, wait_s=30)
        assert time.monotonic() - began < 5
