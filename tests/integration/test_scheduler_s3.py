"""A real S3 server and a real Postgres: from an upload by boto3 to rows."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine

from db import runs
from db.session import transaction
from scheduler.changes import Memory
from scheduler.comparison import ListingReport
from scheduler.config import SchedulerSettings
from scheduler.listing import reconcile
from scheduler.status import Desk, tell_labs
from tests.support.rows import decide, read, scalar, standing, taken
from tests.support.swift import S3Server
from worker.s3_client import make_client
from worker.staging import CacheSpec, staged
from worker.storage import ObjectStore, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY = "site/lab/patient/x.svs"


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    return s3_server.make_bucket()


@pytest.fixture
def lab_client(s3_server: S3Server) -> S3Client:
    """What a lab uploads with."""
    return make_client(s3_server.settings(""))


@pytest.fixture
def store(s3_server: S3Server, bucket: str) -> ObjectStore:
    return open_store(s3_server.settings(f"s3://{bucket}/site"))


def _look(store: ObjectStore, lab: Engine, memory: Memory) -> ListingReport:
    return reconcile(store, lab, SchedulerSettings(), decide, memory=memory)


def test_an_upload_is_registered_claimed_and_staged(
    store: ObjectStore, bucket: str, lab_client: S3Client, lab: Engine, tmp_path: Path
) -> None:
    lab_client.put_object(Bucket=bucket, Key=f"{KEY}.json", Body=b'{"mpp": 0.25, "specimen": "blood"}')
    lab_client.put_object(Bucket=bucket, Key=KEY, Body=b"slide")
    lab_client.put_object(Bucket=bucket, Key="elsewhere/lab/patient/y.svs", Body=b"slide")
    memory = Memory()
    [run_id] = _look(store, lab, memory).new
    assert _look(store, lab, memory).new == ()
    claim = taken(lab, run_id)
    assert (claim.obj.bucket, claim.obj.key, claim.declared_mpp_um) == (bucket, KEY, 0.25)
    cache = CacheSpec(folder=tmp_path / "cache", max_bytes=10_000, reserve_bytes=0)
    with staged(store, claim.obj, cache) as file:
        assert file.path.read_bytes() == b"slide"


def test_every_listing_agrees_with_what_was_registered(
    store: ObjectStore, bucket: str, lab_client: S3Client, lab: Engine
) -> None:
    for number in range(5):
        lab_client.put_object(Bucket=bucket, Key=f"site/lab/patient/{number}.svs", Body=b"slide")
    memory = Memory()
    assert len(_look(store, lab, memory).new) == 5
    before = scalar(lab, "SELECT max(rev) FROM patient")
    for _ in range(3):
        assert _look(store, lab, memory).new == ()
    assert scalar(lab, "SELECT max(rev) FROM patient") == before


def test_replaced_and_deleted_objects(store: ObjectStore, bucket: str, lab_client: S3Client, lab: Engine) -> None:
    memory = Memory()
    lab_client.put_object(Bucket=bucket, Key=KEY, Body=b"slide")
    [old] = _look(store, lab, memory).new
    read(lab, old)
    lab_client.put_object(Bucket=bucket, Key=KEY, Body=b"another slide")
    [new] = _look(store, lab, memory).new
    read(lab, new, ["lymphocyte"] * 3)
    lab_client.delete_object(Bucket=bucket, Key=KEY)
    assert [len(_look(store, lab, memory).missing) for _ in range(3)] == [0, 1, 0]
    with transaction(lab) as conn:
        assert standing(conn).finding == "incomplete"
    assert scalar(lab, "SELECT string_agg(state, ' ' ORDER BY id) FROM slide") == "superseded missing"


def test_versions_of_a_versioned_bucket_are_slides_of_their_own(
    store: ObjectStore, bucket: str, lab_client: S3Client, lab: Engine
) -> None:
    lab_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    memory = Memory()
    for body in (b"first", b"second"):
        lab_client.put_object(Bucket=bucket, Key=KEY, Body=body)
        assert len(_look(store, lab, memory).new) == 1
        assert _look(store, lab, memory).new == ()
    assert scalar(lab, "SELECT string_agg(state, ' ' ORDER BY id) FROM slide") == "superseded current"


def _modified(store: ObjectStore) -> datetime:
    found = store.head(KEY)
    assert found is not None
    return found.last_modified


def test_a_lab_is_told_beside_its_upload_and_the_same_bytes_again_replay(
    store: ObjectStore, bucket: str, lab_client: S3Client, lab: Engine
) -> None:
    memory, desk = Memory(), Desk(store=store, engine=lab)
    lab_client.put_object(Bucket=bucket, Key=KEY, Body=b"slide")
    [run_id] = _look(store, lab, memory).new
    runs.fail(lab, taken(lab, run_id), code="truncated", cause="half of it", remedy="upload again", decide=decide)
    assert tell_labs(desk) == 1
    told = lab_client.get_object(Bucket=bucket, Key=f"{KEY}.status.json")["Body"].read()
    assert (json.loads(told)["state"], json.loads(told)["cause"]) == ("quarantined", "half of it")
    before = _modified(store)
    while _modified(store) == before:  # the server tells whole seconds
        lab_client.put_object(Bucket=bucket, Key=KEY, Body=b"slide")
    assert _look(store, lab, memory).new == (run_id,)
    assert tell_labs(desk) == 1
    told = lab_client.get_object(Bucket=bucket, Key=f"{KEY}.status.json")["Body"].read()
    assert json.loads(told)["state"] == "queued"
    assert _look(store, lab, memory).listed == 1
