"""A process that has loaded the product's code and starts its parts by forking: a start costs no seconds of imports.

It is driven by lines of JSON and answers each with one. A part is the product's own main function with its own
environment, session, working folder and log; only the loading of its modules is shared.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

FAULTS = Path("faults") / "faults.json"
"""Where every part looks for its faults, below its own working folder: the point function is bound at the import."""
_MODULES = ("scheduler.commands.parts", "scheduler.commands.webhook", "worker.cli", "worker.tasks")


class Nursery:
    """The harness' side: starts parts and tells how they ended."""

    def __init__(
        self,
        environment: Mapping[str, str],
        inherited: Mapping[str, str] = MappingProxyType({}),
        *,
        program: str = sys.executable,
        folder: Path | None = None,
    ) -> None:
        """Start it. inherited: what it and its parts have in their environment beside.

        program: the interpreter; folder: where it starts, and so whose code it loads.
        """
        self.inherited = inherited
        self._process = subprocess.Popen(
            [program, "-m", "tests.faults.nursery"],
            env={**environment, **inherited, "MARROWLINE_FAULTS": str(FAULTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=folder,
        )

    def start(self, part: str, *, environment: Mapping[str, str], folder: Path, log: Path, change: str = "") -> int:
        """Fork a part, `scheduler`, `webhook` or `worker`; return its process id."""
        return int(
            self._ask(part=part, environment=dict(environment), folder=str(folder), log=str(log), change=change)["pid"]
        )

    def code(self, pid: int) -> int | None:
        """Return a part's exit code, below zero for a signal; None while it runs."""
        code = self._ask(pid=pid)["code"]
        return None if code is None else int(code)

    def close(self) -> None:
        """End the process, and by that every part that is left."""
        self._process.communicate()

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def main() -> None:
    """Load the parts' code, then answer until the harness hangs up."""
    for module in _MODULES:
        import_module(module)
    codes: dict[int, int | None] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        if "part" in request:
            pid = os.fork()
            if pid == 0:
                _become(request)
            codes[pid] = None
            answer = {"pid": pid}
        else:
            pid = request["pid"]
            if codes[pid] is None:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    codes[pid] = os.waitstatus_to_exitcode(status)
            answer = {"code": codes[pid]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in (pid for pid, code in codes.items() if code is None):
        os.kill(pid, signal.SIGKILL)


def _become(request: Mapping[str, Any]) -> NoReturn:
    """Be the part that is asked for, to its end."""
    code: object = 1
    try:
        os.setsid()
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        sys.argv = ["marrowline", request["part"]]
        _run(request["part"], request["change"])
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    os._exit(code if isinstance(code, int) else 1)


def _run(part: str, change: str) -> None:
    loaded: list[Any] = [import_module(name) for name in _MODULES]
    parts, hook, cli, tasks = loaded
    if change:
        import_module("tests.faults.changes").CHANGES[change]()
    if part == "scheduler":
        parts.scheduler()
    elif part == "webhook":
        hook.webhook()
    else:
        tasks._stopping = mmap.mmap(-1, 1)  # made at the import: workers of one nursery would share it
        # The probe starts one more interpreter, and every row reads its slides through the sandbox anyway.
        tasks.reached_level = lambda least: least
        cli.worker("cpu")


if __name__ == "__main__":
    main()
