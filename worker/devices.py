"""Whether this machine has the devices that are asked for.

Found out in a process of its own: CUDA that was looked for in this one would not survive a fork, and not every caller
loads torch.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

from worker.errors import DeviceError

_ALWAYS_THERE = frozenset({"auto", "cpu"})
_WAIT_S = 120.0


def refuse_absent(names: Iterable[str]) -> None:
    """Raise DeviceError when slides cannot be read on one of the devices."""
    asked = [name for name in names if name not in _ALWAYS_THERE]
    if not asked:
        return
    call = (sys.executable, "-P", "-m", "worker.nets.device", *asked)
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=_WAIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"{', '.join(asked)}: torch did not look within {_WAIT_S:.0f} s; see the driver") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"{asked}: exit {done.returncode}"])[-1]
        raise DeviceError(f"{last}; it is set by MARROWLINE_DEVICES, MARROWLINE_DEVICE or --device")
