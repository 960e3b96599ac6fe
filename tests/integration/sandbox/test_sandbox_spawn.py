"""The host of the sandbox lives and dies with its worker, whichever way that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from tests.support.line import eventually
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
    return [one for one in psutil.Process().children() if spawn.HOST_COMMAND[-1] in command_of(one)]


def command_of(process: psutil.Process) -> list[str]:
    """Return its command line; one that has ended, or ends just now, has none."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def runs(process: psutil.Process) -> bool:
    """Tell whether it runs; it may be taken away between two looks."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_end(processes: list[psutil.Process]) -> None:
    """Wait until none of them runs."""
    eventually(lambda: not any(map(runs, processes)), within_s=10, what=f"the end of {processes}")


def test_host_and_slide_end_with_a_worker_that_is_killed(field: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WORKER, str(field)], stdout=subprocess.PIPE) as worker:
        assert worker.stdout
        assert worker.stdout.readline() == b"open\n"
        below = psutil.Process(worker.pid).children(recursive=True)
        assert len(below) == 2  # host and slide
        worker.kill()
    wait_for_end(below)


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
    wait_for_end(slides)
    eventually(lambda: not host.children(), within_s=10, what="no zombies are left either")


def test_a_forked_worker_gets_a_host_of_its_own(field: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKING, str(field)], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_opened_files_do_not_pile_up(field: Path) -> None:
    open_sandboxed(field).close()
    before = psutil.Process().num_fds()
    for _ in range(20):
        open_sandboxed(field).close()
    assert psutil.Process().num_fds() == before
