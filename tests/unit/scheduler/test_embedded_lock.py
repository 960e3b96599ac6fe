from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.embedded.lock import HeldError, locked

HOLD = "import sys, time; from pathlib import Path; from scheduler.embedded.lock import locked\n"
HOLD += "with locked(Path(sys.argv[1])):\n print('held', flush=True)\n time.sleep(60)"


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path), pytest.raises(HeldError), locked(path, wait_s=0.1):
        pass
    with locked(path):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HeldError), locked(path):
            pass
        holder.kill()
        with locked(path, wait_s=5):
            pass
