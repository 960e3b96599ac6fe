"""`marrowline submit` into a real S3 server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.line import COMMAND
from tests.support.swift import S3Server
from worker.config import StoreSettings
from worker.storage import open_store


@pytest.fixture
def settings(s3_server: S3Server) -> StoreSettings:
    bucket = s3_server.make_bucket()
    return s3_server.settings(bucket).model_copy(update={"bucket": f"s3://{bucket}/incoming"})


def submit(settings: StoreSettings, *arguments: str | Path, exit_code: int = 0) -> Any:
    assert settings.s3_access_key is not None
    assert settings.s3_secret_key is not None
    keys = {
        "MARROWLINE_S3_ENDPOINT": settings.s3_endpoint or "",
        "MARROWLINE_S3_ACCESS_KEY": settings.s3_access_key.get_secret_value(),
        "MARROWLINE_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
    }
    call = [str(COMMAND), "submit", *map(str, arguments), "--to", settings.bucket, "--json"]
    done = subprocess.run(call, env={**os.environ, **keys}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == exit_code, done.stderr
    return json.loads(done.stdout) if exit_code == 0 else done.stderr


def test_slides_and_sidecars_arrive_once(settings: StoreSettings, tmp_path: Path) -> None:
    for name in ("a.svs", "b.tif"):
        (tmp_path / name).write_bytes(os.urandom(100_000))
    stored = submit(settings, tmp_path, "--patient", "P-1", "--lab", "A", "--mpp", "0.25")
    assert [one["stored"] for one in stored] == [True, True]

    store = open_store(settings)
    keys = [f"incoming/A/P-1/{name}" for name in ("a.svs", "a.svs.json", "b.tif", "b.tif.json")]
    assert [obj.key for obj in store.list()] == keys
    assert json.loads(store.read_small(keys[1]) or b"") == {"lab": "A", "patient": "P-1", "mpp": 0.25}
    again = submit(settings, tmp_path, "--patient", "P-1", "--lab", "A", "--mpp", "0.25")
    assert [one["stored"] for one in again] == [False, False]


def test_another_file_is_not_overwritten_by_chance(settings: StoreSettings, tmp_path: Path) -> None:
    slide = tmp_path / "a.svs"
    slide.write_bytes(b"one")
    submit(settings, slide, "--patient", "P-1")
    slide.write_bytes(b"two")
    assert "--replace" in submit(settings, slide, "--patient", "P-1", exit_code=2)
    assert submit(settings, slide, "--patient", "P-1", "--replace")[0]["stored"] is True


def test_a_large_slide_that_went_in_parts_is_known_again(settings: StoreSettings, tmp_path: Path) -> None:
    slide = tmp_path / "A" / "P-2" / "large.svs"
    slide.parent.mkdir(parents=True)
    slide.write_bytes(os.urandom(1000) * 9_000)
    assert [one["key"] for one in submit(settings, tmp_path)] == ["incoming/A/P-2/large.svs"]
    assert [one["stored"] for one in submit(settings, tmp_path)] == [False]
