"""Fetches one pinned version of an S3 object in parallel ranges; a cut range goes on where it stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.records import StoredObject
from worker.errors import ServiceError, StoreRefusedError
from worker.s3_client import THREADS, ReplacedError, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_PART_BYTES = 8 * 2**20
_CHUNK_BYTES = 2**18
_TRIES = 8
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0


@dataclass(frozen=True, kw_only=True)
class _Transfer:
    """One object on its way into one open file."""

    client: S3Client
    obj: StoredObject
    fd: int
    stop: threading.Event


def download(client: S3Client, obj: StoredObject, to: Path, *, progress: Callable[[int], None] | None = None) -> None:
    """Write exactly that version of the object to the file.

    AbsentError or ReplacedError when the bucket has it no longer; ServiceError when some range could not be had.
    """
    fd = os.open(to, os.O_RDWR | os.O_CREAT, 0o600)
    transfer = _Transfer(client=client, obj=obj, fd=fd, stop=threading.Event())
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="download")
    try:
        os.ftruncate(fd, obj.size)
        starts = range(0, obj.size, _PART_BYTES)
        parts = [pool.submit(_fill, transfer, at, min(at + _PART_BYTES, obj.size)) for at in starts]
        for part in as_completed(parts):
            moved = part.result()
            if progress:
                progress(moved)
    finally:
        transfer.stop.set()
        pool.shutdown(cancel_futures=True)
        os.close(fd)


def _fill(transfer: _Transfer, start: int, end: int) -> int:
    """Write bytes start..end of the object to the file and return how many those are."""
    at, trouble = start, ServiceError(f"bucket {transfer.obj.bucket}: an object ended early")
    for attempt in range(_TRIES):
        if attempt:
            transfer.stop.wait(min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S))
        if transfer.stop.is_set():
            break
        try:
            for chunk in _chunks(transfer, at, end):
                os.pwrite(transfer.fd, chunk, at)
                at += len(chunk)
        except StoreRefusedError:  # asking again gives the same answer
            raise
        except ServiceError as error:
            trouble = error
        if at == end:
            return end - start
    raise trouble


def _chunks(transfer: _Transfer, start: int, end: int) -> Iterator[bytes]:
    bucket = transfer.obj.bucket
    with translated("get", bucket):
        reply = _get(transfer, f"bytes={start}-{end - 1}")
        with closing(reply["Body"]) as body:
            served = reply.get("ContentRange", "")
            if not served.endswith(f"/{transfer.obj.size}"):
                raise ReplacedError(f"bucket {bucket}: an object is not of the size it was registered with")
            if served != f"bytes {start}-{end - 1}/{transfer.obj.size}":
                raise StoreRefusedError(f"bucket {bucket}: the endpoint does not serve ranges")
            yield from body.iter_chunks(_CHUNK_BYTES)


def _get(transfer: _Transfer, span: str) -> GetObjectOutputTypeDef:
    """Ask for a range of the version that was registered, and of no other."""
    obj, client = transfer.obj, transfer.client
    if obj.version_id:
        return client.get_object(Bucket=obj.bucket, Key=obj.key, Range=span, VersionId=obj.version_id)
    return client.get_object(Bucket=obj.bucket, Key=obj.key, Range=span, IfMatch=f'"{obj.etag}"')
