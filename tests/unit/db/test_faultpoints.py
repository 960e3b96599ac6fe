from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from db.faultpoints import Action, Fault, Striker, faultpoint, reaching, strikes, write

POINT = "batch.read"
REACHES = "from db.faultpoints import faultpoint; faultpoint('batch.read'); print('went on')"


def fault(action: Action = Action.RAISE, **changes: object) -> Fault:
    return Fault(**{"name": "f", "point": POINT, "action": action, **changes})  # type: ignore[arg-type]


def armed(folder: Path, *faults: Fault) -> Path:
    write(folder / "faults.json", list(faults))
    return folder / "faults.json"


def process(path: Path) -> subprocess.Popen[str]:
    environment = {"MARROWLINE_FAULTS": str(path)}
    return subprocess.Popen([sys.executable, "-c", REACHES], env=environment, stdout=subprocess.PIPE, text=True)


def test_without_the_setting_a_point_is_a_function_that_does_nothing() -> None:
    assert faultpoint is reaching(None)
    assert faultpoint.__code__.co_names == ()


def test_a_fault_strikes_at_its_point_and_no_other(tmp_path: Path) -> None:
    reach = Striker(armed(tmp_path, fault())).reach
    reach("another")
    with pytest.raises(RuntimeError, match=r"fault f at batch\.read"):
        reach(POINT)
    assert strikes(tmp_path / "faults.json", "f") == 1


def test_a_fault_passes_over_the_first_and_ends_after_its_times(tmp_path: Path) -> None:
    reach = Striker(armed(tmp_path, fault(skip=2, times=2))).reach
    struck = []
    for number in range(6):
        try:
            reach(POINT)
        except RuntimeError:
            struck.append(number)
    assert struck == [2, 3]


def test_the_times_are_those_of_all_processes_together(tmp_path: Path) -> None:
    path = armed(tmp_path, fault())
    with pytest.raises(RuntimeError):
        Striker(path).reach(POINT)
    Striker(path).reach(POINT)


def test_faults_may_change_while_the_program_runs(tmp_path: Path) -> None:
    path = armed(tmp_path)
    reach = Striker(path).reach
    reach(POINT)
    armed(tmp_path, fault())
    with pytest.raises(RuntimeError):
        reach(POINT)


def test_a_file_that_is_not_there_holds_no_fault(tmp_path: Path) -> None:
    Striker(tmp_path / "none.json").reach(POINT)


def test_a_process_may_end_at_a_point(tmp_path: Path) -> None:
    child = process(armed(tmp_path, fault(Action.EXIT)))
    assert child.communicate(timeout=60)[0] == ""
    assert child.returncode == 9


def test_a_process_may_stand_still_at_a_point(tmp_path: Path) -> None:
    child = process(armed(tmp_path, fault(Action.STOP)))
    try:
        end = time.monotonic() + 60
        while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < end, "it does not stand still"
            time.sleep(0.01)
        psutil.Process(child.pid).resume()
        assert child.communicate(timeout=60)[0] == "went on\n"
    finally:
        child.kill()


def test_two_meet_at_a_point(tmp_path: Path) -> None:
    path = armed(tmp_path, fault(Action.MEET, times=2, seconds=60))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(Striker(path).reach, POINT)
        assert not first.done()
        pool.submit(Striker(path).reach, POINT).result(timeout=60)
        first.result(timeout=60)
    assert strikes(path, "f") == 2


def test_a_meeting_is_not_waited_for_longer_than_it_says(tmp_path: Path) -> None:
    Striker(armed(tmp_path, fault(Action.MEET, times=2, seconds=0.05))).reach(POINT)
