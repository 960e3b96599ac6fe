"""Fetches one pinned version of an S3 object in parallel ranges; a cut range goes on where it stopped.

With a log of parts, so does a download whose process was killed.
"""

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
from worker.part_log import PART_BYTES, PartDigest, Parts
from worker.s3_client import THREADS, ReplacedError, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

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
    parts: Parts | None


def download(
    client: S3Client,
    obj: StoredObject,
    to: Path,
    *,
    progress: Callable[[int], None] | None = None,
    parts: Parts | None = None,
) -> None:
    """Write exactly that version of the object to the file; what `parts` knows to be there is not fetched again.

    AbsentError or ReplacedError when the bucket has it no longer; ServiceError when some range could not be had.
    """
    fd = os.open(to, os.O_RDWR | os.O_CREAT, 0o600)
    transfer = _Transfer(client=client, obj=obj, fd=fd, stop=threading.Event(), parts=parts)
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="download")
    try:
        os.ftruncate(fd, obj.size)
        kept = parts.kept(fd, obj.size) if parts else frozenset()
        wanted = (number for number in range(-(-obj.size // PART_BYTES)) if number not in kept)
        for part in as_completed([pool.submit(_fill, transfer, number) for number in wanted]):
            moved = part.result()
            if progress:
                progress(moved)
    finally:
        transfer.stop.set()
        pool.shutdown(cancel_futures=True)
        os.close(fd)


def _fill(transfer: _Transfer, number: int) -> int:
    """Write one part of the object to the file and return how many bytes those are."""
    start, end = number * PART_BYTES, min((number + 1) * PART_BYTES, transfer.obj.size)
    at, trouble = start, ServiceError(f"bucket {transfer.obj.bucket}: an object ended early")
    digest = PartDigest()
    for attempt in range(_TRIES):
        if attempt:
            transfer.stop.wait(min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S))
        if transfer.stop.is_set():
            break
        try:
            for chunk in _chunks(transfer, at, end):
                os.pwrite(transfer.fd, chunk, at)
                digest.update(chunk)
                at += len(chunk)
        except StoreRefusedError:  # asking again gives the same answer
            raise
        except ServiceError as error:
            trouble = error
        if at == end:
            if transfer.parts:
                transfer.parts.add(number, digest.text())
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
