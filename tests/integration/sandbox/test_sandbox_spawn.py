"""The host of the sandbox lives and dies with its worker, whichever way that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from worker.slides.sandbox import spawn
from worker.slides.sandbox.reader import open_sandboxed

WORKER = """
import sys, time
from pathlib import Path
from worker.slides.sandbox.reader import open_sandboxed
reader = open_sandboxed(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(60)
"""

FORKING = """
import os, sys
from pathlib import Path
import psutil
from worker.slides.sandbox.reader import open_sandboxed
field = Path(sys.argv[1])
open_sandboxed(field).close()
pid = os.fork()
open_sandboxed(field).close()  # the fork must not take this one's host along, nor use it
hosts = [one for one in psutil.Process().children() if one.pid != pid]
assert len(hosts) == 1, hosts
if pid:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


@pytest.fixture
def field(tmp_path: Path) -> Path:
    path = tmp_path / "field.png"
    cv2.imwrite(str(path), np.zeros((20, 30), dtype=np.uint8))
    return path


def hosts() -> list[psutil.Process]:
    """Return this process's hosts; a test process has other children besides, such as servers."""
    return [one for one in psutil.Process().children() if spawn.HOST_COMMAND[-1] in one.cmdline()]


def gone(processes: list[psutil.Process]) -> bool:
    """Wait until none of them runs."""
    ends_at = time.monotonic() + 10
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes):
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.02)
    return True


def test_host_and_slide_end_with_a_worker_that_is_killed(field: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WORKER, str(field)], stdout=subprocess.PIPE) as worker:
        assert worker.stdout
        assert worker.stdout.readline() == b"open\n"
        below = psutil.Process(worker.pid).children(recursive=True)
        assert len(below) == 2  # host and slide
        worker.kill()
    assert gone(below)


def test_a_host_that_was_killed_is_replaced_at_the_next_slide(field: Path) -> None:
    open_sandboxed(field).close()
    (host,) = hosts()
    os.kill(host.pid, signal.SIGKILL)
    host.wait(10)
    with suppress(ProcessLookupError):
        open_sandboxed(field).close()
    assert [one.pid for one in hosts()] != [host.pid]


def test_slides_share_one_host_and_their_processes_are_cleared_away(field: Path) -> None:
    spawn.stop_host()
    readers = [open_sandboxed(field) for _ in range(3)]
    (host,) = hosts()
    slides = host.children()
    assert len(slides) == 3
    for reader in readers:
        reader.close()
    assert gone(slides)
    ends_at = time.monotonic() + 5
    while host.children() and time.monotonic() < ends_at:
        time.sleep(0.02)
    assert not host.children()  # no zombies either


def test_a_forked_worker_gets_a_host_of_its_own(field: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKING, str(field)], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_opened_files_do_not_pile_up(field: Path) -> None:
    open_sandboxed(field).close()
    before = psutil.Process().num_fds()
    for _ in range(20):
        open_sandboxed(field).close()
    assert psutil.Process().num_fds() == before
