"""Uploads a file to S3 in parts; an upload that was cut off goes on from the parts the bucket already holds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from worker.errors import ServiceError
from worker.s3_client import THREADS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_PART_BYTES = 8 * 2**20
_MOST_PARTS = 9_000  # S3 takes 10 000
_NOT_ALLOWED = frozenset({"AccessDenied", "MethodNotAllowed", "NotImplemented", "403"})


@dataclass(frozen=True, kw_only=True)
class _Upload:
    """One file on its way into one key."""

    client: S3Client
    bucket: str
    key: str
    path: Path
    size: int
    part_bytes: int

    @property
    def numbers(self) -> range:
        """The numbers of the parts, from 1 as S3 counts them."""
        return range(1, -(-self.size // self.part_bytes) + 1)


def upload(
    client: S3Client, bucket: str, key: str, path: Path, *, progress: Callable[[int], None] | None = None
) -> None:
    """Store the file under the key, whole or not at all; raises what boto3 raises.

    ServiceError when the file changed while it was read. The parts stay in the bucket after an error, so that a
    repeated call has less to do.
    """
    before = path.stat()
    part_bytes = part_bytes_of(before.st_size)
    job = _Upload(client=client, bucket=bucket, key=key, path=path, size=before.st_size, part_bytes=part_bytes)
    if job.size <= part_bytes:
        client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        if progress:
            progress(job.size)
        return
    upload_id, stored = _begin(job)
    parts = _send(job, upload_id, stored, progress)
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise ServiceError(f"{path.name} changed while it was uploaded; upload it again")
    client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})


def part_bytes_of(size: int) -> int:
    """Return the size of the parts that a file of so many bytes is uploaded in; one that fits goes in one piece."""
    return max(_PART_BYTES, -(-size // _MOST_PARTS))


def etag_of(path: Path) -> str:
    """Return the ETag that S3 gives to the file as `upload` stores it, unless the bucket encrypts with keys of KMS."""
    size = path.stat().st_size
    part_bytes = part_bytes_of(size)
    with path.open("rb") as file:
        parts = [hashlib.md5(part, usedforsecurity=False) for part in iter(lambda: file.read(part_bytes), b"")]
    if size <= part_bytes:
        return parts[0].hexdigest() if parts else hashlib.md5(usedforsecurity=False).hexdigest()
    whole = hashlib.md5(b"".join(part.digest() for part in parts), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(parts)}"


def _begin(job: _Upload) -> tuple[str, dict[int, str]]:
    """Return an upload's id with the ETags of its parts: the newest unfinished one, or a new one."""
    try:
        unfinished = sorted(_unfinished(job))
        if unfinished:
            upload_id = unfinished[-1][1]
            return upload_id, dict(_stored(job, upload_id))
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_ALLOWED:  # else: may put, may not list
            raise
    reply = job.client.create_multipart_upload(Bucket=job.bucket, Key=job.key)
    return reply["UploadId"], {}


def _unfinished(job: _Upload) -> Iterator[tuple[float, str]]:
    """Yield the start and id of each unfinished upload of this very key."""
    pages = job.client.get_paginator("list_multipart_uploads").paginate(Bucket=job.bucket, Prefix=job.key)
    for page in pages:
        for found in page.get("Uploads", []):
            if found["Key"] == job.key:
                yield found["Initiated"].timestamp(), found["UploadId"]


def _stored(job: _Upload, upload_id: str) -> Iterator[tuple[int, str]]:
    pages = job.client.get_paginator("list_parts").paginate(Bucket=job.bucket, Key=job.key, UploadId=upload_id)
    for page in pages:
        for part in page.get("Parts", []):
            yield part["PartNumber"], part["ETag"].strip('"')


def _send(
    job: _Upload, upload_id: str, stored: dict[int, str], progress: Callable[[int], None] | None
) -> list[CompletedPartTypeDef]:
    """Upload what is not stored yet and return all parts in order."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="upload")
    try:
        sent = [pool.submit(_send_part, job, upload_id, number, stored.get(number)) for number in job.numbers]
        parts: list[CompletedPartTypeDef] = []
        for number, future in zip(job.numbers, sent, strict=True):
            parts.append({"PartNumber": number, "ETag": future.result()})
            if progress:
                progress(min(job.part_bytes, job.size - (number - 1) * job.part_bytes))
        return parts
    finally:
        pool.shutdown(cancel_futures=True)


def _send_part(job: _Upload, upload_id: str, number: int, stored: str | None) -> str:
    """Return the part's ETag; bytes that the bucket holds already, by their MD5, are not sent again."""
    with job.path.open("rb") as file:
        data = os.pread(file.fileno(), job.part_bytes, (number - 1) * job.part_bytes)
    if stored == hashlib.md5(data, usedforsecurity=False).hexdigest():
        return f'"{stored}"'
    reply = job.client.upload_part(Bucket=job.bucket, Key=job.key, UploadId=upload_id, PartNumber=number, Body=data)
    return reply["ETag"]
