"""Real slides of several files: laid into a folder or an S3 bucket, registered, staged, opened, pixels as drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from scheduler import comparison
from scheduler.changes import Memory
from scheduler.config import SchedulerSettings
from scheduler.listing import reconcile
from tests.support.rows import decide, taken
from tests.support.slide_sets import MPP_UM, write_dicom, write_mrxs, write_vms
from tests.support.swift import S3Server
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.sandbox.reader import open_sandboxed
from worker.slides.slide import RgbImage
from worker.staging import CacheSpec, staged
from worker.storage import ObjectStore, open_store
from worker.store_folder import FolderStore

SETTINGS = SchedulerSettings(set_quiet_s=0)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        (tmp_path / "bucket").mkdir()
        return FolderStore(tmp_path / "bucket")
    server: S3Server = request.getfixturevalue("s3_server")
    return open_store(server.settings(f"s3://{server.make_bucket()}/site"))


@pytest.mark.parametrize(
    ("write", "vendor"),
    [
        (write_mrxs, "mirax"),
        (write_vms, "hamamatsu"),
        (lambda folder: write_dicom(folder / "series"), "dicom"),
    ],
    ids=["mrxs", "vms", "dicom"],
)
def test_a_set_goes_from_the_bucket_to_its_pixels(
    store: ObjectStore,
    lab: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], RgbImage],
    vendor: str,
) -> None:
    drawn = write(tmp_path / "drawn")
    for path in sorted((tmp_path / "drawn").rglob("*")):
        if path.is_file():
            store.put_file(f"{store.prefix}lab/patient/{path.relative_to(tmp_path / 'drawn').as_posix()}", path)
    memory = Memory()
    [run_id] = [run_id for _ in range(3) for run_id in reconcile(store, lab, SETTINGS, decide, memory=memory).new]
    with monkeypatch.context() as patched:
        patched.setattr(comparison, "take_in", lambda *_, **__: pytest.fail("looked at again"))
        reconcile(store, lab, SETTINGS, decide, memory=memory)
    claim = taken(lab, run_id)
    cache = CacheSpec(folder=tmp_path / "cache", max_bytes=10**9, reserve_bytes=0)
    with staged(store, claim.obj, cache, files=claim.files) as file:
        assert file.size == claim.obj.size
        source = open_slide_file(file.path)
        try:
            assert (source.info.vendor, source.info.mpp_um) == (vendor, MPP_UM)
            whole = Box(x=0, y=0, width=drawn.shape[1], height=drawn.shape[0])
            np.testing.assert_array_equal(source.read_lv(0, whole), drawn)
        finally:
            source.close()
        reader = open_sandboxed(file.path)
        try:
            np.testing.assert_array_equal(reader.region(0, whole), drawn)
        finally:
            reader.close()
