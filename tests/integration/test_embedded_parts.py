from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from scheduler.embedded.parts import Part, PartSpec, trim_log

Make = Callable[..., Part]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Part] = []

    def part(*command: str, **changed: object) -> Part:
        spec = PartSpec(
            name="part",
            command=command or ("sleep", "1047"),
            token="",
            log=tmp_path / "part.log",
            environment=dict(os.environ),
            stop_wait_s=0.5,
            **changed,  # type: ignore[arg-type]
        )
        made.append(Part(spec))
        return made[-1]

    yield part
    for one in made:
        one.ask_to_stop()
        one.stop()


def watch(part: Part, until: Callable[[], bool], within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not until():
        assert time.monotonic() < end
        part.watch()
        time.sleep(0.01)


def pid_of(part: Part) -> int:
    return int(part.as_json()["process"]["pid"])


def test_a_killed_part_is_started_again(make: Make) -> None:
    part = make()
    part.start()
    first = pid_of(part)
    os.kill(first, signal.SIGKILL)
    watch(part, lambda: part.restarts == 1)
    assert pid_of(part) != first
    assert part.last_end == "killed by SIGKILL"


def test_a_part_that_ends_at_once_is_started_ever_less_often(make: Make) -> None:
    part = make("false")
    part.start()
    watch(part, lambda: part.restarts == 2)
    began = time.monotonic()
    watch(part, lambda: part.restarts == 3)
    assert time.monotonic() - began > 1.5
    assert part.last_end == "exit 1"


def test_the_sentence_that_a_part_ends_with_is_kept_and_no_other_line(make: Make) -> None:
    part = make("sh", "-c", "echo starting; echo 'marrowline: no such device' >&2; exit 1")
    part.start()
    watch(part, lambda: part.last_end != "")
    assert (part.last_end, part.as_json()["refusal"]) == ("exit 1", "no such device")
    crashed = make("sh", "-c", "echo 'marrowline: earlier' >&2; echo 'Segmentation fault' >&2; exit 139")
    crashed.start()
    watch(crashed, lambda: crashed.last_end != "")
    assert crashed.as_json()["refusal"] == ""


@pytest.mark.parametrize("silent", [("sh", "-c", "kill -9 $$"), ("/nowhere/at-all",)])
def test_the_sentence_of_an_earlier_run_is_not_told_of_this_one(make: Make, silent: tuple[str, ...]) -> None:
    refused = make("sh", "-c", "echo 'marrowline: no such device' >&2; exit 1")
    refused.start()
    watch(refused, lambda: refused.last_end != "")
    part = make(*silent)
    assert part.spec.log.read_text() == "marrowline: no such device\n"
    part.start()
    watch(part, lambda: part.last_end != "")
    assert part.as_json()["refusal"] == ""


def test_a_sentence_is_found_in_a_log_that_was_trimmed_since_the_start(make: Make, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    part = make("sh", "-c", "read line < $0; echo 'marrowline: no room' >&2; exit 1", str(go))
    part.spec.log.write_bytes(b"x" * (20 * 2**20 + 1))
    part.start()
    trim_log(part.spec.log)
    go.write_text("\n")
    watch(part, lambda: part.last_end != "")
    assert part.as_json()["refusal"] == "no room"


def test_a_program_that_is_not_there_is_no_crash(make: Make) -> None:
    part = make("/nowhere/at-all")
    part.start()
    assert not part.running
    assert "not started" in part.last_end


def test_children_go_with_their_killed_main_process(make: Make) -> None:
    part = make("sh", "-c", "sleep 1048 & echo $!; wait")
    part.start()
    log = part.spec.log
    watch(part, lambda: log.is_file() and bool(log.read_text()))
    child = psutil.Process(int(log.read_text()))
    os.kill(pid_of(part), signal.SIGKILL)
    watch(part, lambda: part.restarts == 1)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_part_that_ignores_its_signal_is_ended(make: Make) -> None:
    ignoring = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    part = make(sys.executable, "-c", ignoring)
    part.start()
    watch(part, lambda: "up" in part.spec.log.read_text())
    part.ask_to_stop()
    part.stop()
    assert part.last_end == ""
    assert not part.running


def test_a_part_clears_up_before_each_start(make: Make) -> None:
    cleared: list[int] = []
    part = make("false", before=lambda: cleared.append(1))
    part.start()
    watch(part, lambda: part.restarts == 1)
    assert len(cleared) == 2


def test_a_long_log_is_cut_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (20 * 2**20 + 1))
        writer.flush()
        trim_log(log)
        writer.write(b"more")
    assert log.read_bytes() == b"more"
    assert (tmp_path / "a.1.log").stat().st_size > 20 * 2**20
