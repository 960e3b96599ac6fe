"""`marrowline webhook` as a process: it listens, says where, and stops when told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

from tests.support.line import COMMAND

SECRET = "s" * 32


def _environment(url: str, bucket: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARROWLINE_")}
    ours = {"DATABASE_URL": url, "BUCKET": str(bucket), "WEBHOOK_PORT": "0", **settings}
    return kept | {f"MARROWLINE_{name}": value for name, value in ours.items()}


def test_it_listens_until_it_is_told_to_stop(database_url: str, tmp_path: Path) -> None:
    environment = _environment(database_url, tmp_path, WEBHOOK_SECRET=SECRET)
    with subprocess.Popen([COMMAND, "webhook"], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            listening = json.loads(process.stderr.readline())
            address = f"http://127.0.0.1:{listening['port']}/healthz"
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
    assert json.loads(rest)["event"] == "stopped"
    assert SECRET not in json.dumps(listening) + rest


def test_it_does_not_start_when_nobody_could_push(database_url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "webhook"],
        env=_environment(database_url, tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, "MARROWLINE_WEBHOOK_SECRET" in done.stderr) == (2, True)
