"""The contract and the faults of S3 storage, on a real server."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest
from botocore.awsrequest import AWSRequest

from db.records import StoredObject
from tests.support.cutting_proxy import cutting
from tests.support.store_contract import ObjectStoreContract
from tests.support.swift import S3Server
from worker.errors import ObjectChangedError, ServiceError, StoreRefusedError
from worker.s3_client import make_client
from worker.storage import ObjectStore, open_store
from worker.store_s3 import S3Store

_MIB = 2**20


class TestS3(ObjectStoreContract):
    @pytest.fixture
    def store(self, s3_server: S3Server) -> ObjectStore:
        return open_store(s3_server.settings(f"s3://{s3_server.make_bucket()}"))


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    return s3_server.make_bucket()


@pytest.fixture(scope="session")
def noise() -> bytes:
    return hashlib.shake_128(b"slide").digest(40 * _MIB + 5)


def test_ways_out_are_only_names(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    store = open_store(s3_server.settings(f"s3://{bucket}"))
    for key in ("../../etc/passwd", "a/../b.svs", "a/./b.svs", "a//b.svs", "/abs.svs"):
        store.put_bytes(key, key.encode())
        obj = store.head(key)
        assert obj is not None
        store.fetch(obj, tmp_path / "local")
        assert (tmp_path / "local").read_text() == key
    assert {obj.key for obj in store.list()} >= {"../../etc/passwd", "a/../b.svs", "a/./b.svs", "a//b.svs"}


def test_a_prefix_bounds_the_listing_and_stays_in_the_keys(s3_server: S3Server, bucket: str) -> None:
    whole, below = (open_store(s3_server.settings(address)) for address in (f"s3://{bucket}", f"s3://{bucket}/site"))
    for key in ("site/lab/p/x.svs", "site2/lab/p/x.svs", "x.svs"):
        whole.put_bytes(key, b"")
    assert [obj.key for obj in below.list()] == ["site/lab/p/x.svs"]
    assert [obj.key for obj in below.list("lab/")] == ["site/lab/p/x.svs"]
    assert below.head("site/lab/p/x.svs") is not None


def test_listing_goes_over_pages(s3_server: S3Server, bucket: str) -> None:
    store = S3Store(make_client(s3_server.settings("")), bucket, page_keys=4)
    keys = [f"lab/p/{number:02}.svs" for number in range(18)]
    for key in keys:
        store.put_bytes(key, b"")
    assert [obj.key for obj in store.list()] == keys


def test_cut_connections_are_resumed(s3_server: S3Server, bucket: str, noise: bytes, tmp_path: Path) -> None:
    obj = _stored(s3_server, bucket, noise)
    with cutting(s3_server.endpoint, after_bytes=3 * _MIB, cuts=6) as proxy:
        store = open_store(s3_server.settings(f"s3://{bucket}", endpoint=proxy.endpoint))
        assert store.fetch(obj, tmp_path / "local") == hashlib.sha256(noise).hexdigest()
        assert proxy.cut == 6
    assert (tmp_path / "local").read_bytes() == noise


def test_a_line_that_is_always_cut_ends_in_a_service_error(
    s3_server: S3Server, bucket: str, noise: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.s3_download._FIRST_PAUSE_S", 0.001)
    obj = _stored(s3_server, bucket, noise)
    with cutting(s3_server.endpoint, after_bytes=1_000, cuts=10_000) as proxy:
        store = open_store(s3_server.settings(f"s3://{bucket}", endpoint=proxy.endpoint))
        with pytest.raises(ServiceError, match="get failed with"):
            store.fetch(obj, tmp_path / "local")


def test_an_object_replaced_while_it_is_fetched_is_noticed(
    s3_server: S3Server, bucket: str, noise: bytes, tmp_path: Path
) -> None:
    obj = _stored(s3_server, bucket, noise)
    client, other = (make_client(s3_server.settings("")) for _ in range(2))
    asked: list[str] = []

    def replace_at_the_third_range(request: AWSRequest, **_: object) -> None:
        asked.append(request.headers["Range"])
        if len(asked) == 3:
            other.put_object(Bucket=bucket, Key=obj.key, Body=b"another slide")

    client.meta.events.register("before-sign.s3.GetObject", replace_at_the_third_range)
    with pytest.raises(ObjectChangedError):
        S3Store(client, bucket).fetch(obj, tmp_path / "local")


def test_an_old_version_is_fetched_by_its_id(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    client = make_client(s3_server.settings(""))
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = client.put_object(Bucket=bucket, Key="x.svs", Body=b"first")["VersionId"]
    client.put_object(Bucket=bucket, Key="x.svs", Body=b"second")
    store = open_store(s3_server.settings(f"s3://{bucket}"))
    first = store.head("x.svs", version)
    assert first is not None
    assert (first.version_id, first.size) == (version, 5)
    store.fetch(first, tmp_path / "local")
    assert (tmp_path / "local").read_bytes() == b"first"


def test_an_unfinished_upload_goes_on(s3_server: S3Server, bucket: str, noise: bytes, tmp_path: Path) -> None:
    (tmp_path / "slide").write_bytes(noise)
    client = make_client(s3_server.settings(""))
    begun = client.create_multipart_upload(Bucket=bucket, Key="lab/p/x.svs")["UploadId"]
    for number, body in enumerate((noise[: 8 * _MIB], b"of another file" * _MIB), start=1):
        client.upload_part(Bucket=bucket, Key="lab/p/x.svs", UploadId=begun, PartNumber=number, Body=body)
    other = client.create_multipart_upload(Bucket=bucket, Key="lab/p/x.svs2")["UploadId"]
    sent: list[int] = []
    client.meta.events.register(
        "before-send.s3.UploadPart", lambda request, **_: sent.append(int(request.headers["Content-Length"]))
    )
    store = S3Store(client, bucket)
    store.put_file("lab/p/x.svs", tmp_path / "slide")
    assert sorted(sent) == [5, *[8 * _MIB] * 4]  # part 1 was there already
    obj = store.head("lab/p/x.svs")
    assert obj is not None
    assert store.fetch(obj, tmp_path / "down") == hashlib.sha256(noise).hexdigest()
    unfinished = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert [upload["UploadId"] for upload in unfinished] == [other]


def test_a_file_that_changes_while_it_is_uploaded_is_not_stored(
    s3_server: S3Server, bucket: str, noise: bytes, tmp_path: Path
) -> None:
    (tmp_path / "slide").write_bytes(noise)
    store = open_store(s3_server.settings(f"s3://{bucket}"))
    with pytest.raises(ServiceError, match="changed while it was uploaded"):
        store.put_file("x.svs", tmp_path / "slide", progress=lambda _: (tmp_path / "slide").touch())
    assert store.head("x.svs") is None


def test_wrong_keys_are_refused(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    obj = _stored(s3_server, bucket, b"slide")
    store = open_store(s3_server.settings(f"s3://{bucket}", secret="wrong"))
    with pytest.raises(StoreRefusedError, match="refused with SignatureDoesNotMatch"):
        list(store.list())
    with pytest.raises(StoreRefusedError, match="refused with SignatureDoesNotMatch") as told:
        store.fetch(obj, tmp_path / "local")
    assert obj.key not in str(told.value)


def test_an_absent_bucket_is_not_an_empty_one(s3_server: S3Server) -> None:
    with pytest.raises(StoreRefusedError, match="NoSuchBucket"):
        list(open_store(s3_server.settings("s3://no-such-bucket")).list())


def test_a_server_that_is_away_is_a_service_error(s3_server: S3Server, bucket: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    store = open_store(s3_server.settings(f"s3://{bucket}", endpoint=f"http://127.0.0.1:{port}"))
    with pytest.raises(ServiceError, match="EndpointConnectionError") as told:
        store.head("lab/patient/x.svs")
    assert "patient" not in str(told.value)
    assert not isinstance(told.value, StoreRefusedError)


def _stored(server: S3Server, bucket: str, data: bytes) -> StoredObject:
    store = open_store(server.settings(f"s3://{bucket}"))
    store.put_bytes("lab/patient/x.svs", data)
    obj = store.head("lab/patient/x.svs")
    assert obj is not None
    return obj
