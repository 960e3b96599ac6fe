"""A bucket behind any S3 endpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.records import StoredObject
from worker.errors import BadRequestError, ObjectChangedError, StoreRefusedError
from worker.key_range import KeyRange, ranges_between
from worker.part_log import Parts
from worker.s3_client import AbsentError, ReplacedError, translated
from worker.s3_download import download
from worker.s3_upload import upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef


class S3Store:
    """An ObjectStore in one S3 bucket, below a prefix that is empty or ends in `/`."""

    def __init__(self, client: S3Client, bucket: str, *, prefix: str = "", page_keys: int = 1000) -> None:
        self._client = client
        self.name = bucket
        self.prefix = prefix
        self._page_keys = page_keys

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects page by page, in the endpoint's order; see ObjectStore.list."""
        return self._listed(self._pages(self.prefix + prefix))

    def ranges(self, most: int) -> Sequence[KeyRange]:
        """Return ranges parted between the folders below the prefix; see ObjectStore.ranges."""
        if most == 1:
            return (KeyRange(),)
        pages = self._pages(self.prefix, Delimiter="/")
        folders = (entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", []))
        # A range ends before the slash: the index `x.mrxs` of the folder `x/` comes before that, too.
        bounds = (folder[:-1] for folder in folders if folder != "/")
        return ranges_between(sorted(bounds, key=str.encode), most)

    def list_range(self, keys: KeyRange) -> Iterator[StoredObject]:
        """See ObjectStore.list_range."""
        pages = self._pages(self.prefix, StartAfter=keys.after) if keys.after else self._pages(self.prefix)
        return takewhile(lambda obj: not keys.is_behind(obj.key), self._listed(pages))

    def _pages(self, prefix: str, **more: Any) -> Iterator[ListObjectsV2OutputTypeDef]:
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix, PaginationConfig={"PageSize": self._page_keys}, **more
            )
        )
        while True:
            with translated("list", self.name):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _listed(self, pages: Iterable[ListObjectsV2OutputTypeDef]) -> Iterator[StoredObject]:
        for page in pages:
            for entry in page.get("Contents", []):
                yield StoredObject(
                    bucket=self.name,
                    key=entry["Key"],
                    etag=entry["ETag"].strip('"'),
                    size=entry["Size"],
                    last_modified=entry["LastModified"],
                )

    def head(self, key: str, version_id: str = "") -> StoredObject | None:
        """See ObjectStore.head."""
        try:
            with translated("head", self.name):
                if version_id:
                    reply = self._client.head_object(Bucket=self.name, Key=key, VersionId=version_id)
                else:
                    reply = self._client.head_object(Bucket=self.name, Key=key)
        except AbsentError:
            return None
        except StoreRefusedError:
            if version_id or not self._is_hidden(key):
                raise
            return None
        version = reply.get("VersionId", "")
        return StoredObject(
            bucket=self.name,
            key=key,
            version_id="" if version == "null" else version,  # "null" is a version without an id of its own
            etag=reply["ETag"].strip('"'),
            size=reply["ContentLength"],
            last_modified=reply["LastModified"],
        )

    def read_small(self, key: str, limit: int = 65_536) -> bytes | None:
        """See ObjectStore.read_small."""
        try:
            with translated("get", self.name):
                reply = self._client.get_object(Bucket=self.name, Key=key)
                with closing(reply["Body"]) as body:
                    if reply["ContentLength"] > limit:
                        raise BadRequestError(f"longer than the {limit} bytes that are read of it")
                    return body.read()
        except AbsentError:
            return None
        except StoreRefusedError:
            if not self._is_hidden(key):
                raise
            return None

    def _is_hidden(self, key: str) -> bool:
        """Tell whether a key that was refused is absent: who may not list the whole bucket is not told so in words.

        Raises StoreRefusedError when the listing below the key is refused too.
        """
        return all(obj.key != key for obj in islice(self._listed(self._pages(key)), 1))

    def fetch(
        self,
        obj: StoredObject,
        to: Path,
        *,
        progress: Callable[[int], None] | None = None,
        parts: Parts | None = None,
    ) -> str:
        """See ObjectStore.fetch."""
        try:
            download(self._client, obj, to, progress=progress, parts=parts)
        except AbsentError as error:
            raise ObjectChangedError("the object is not in the bucket any more") from error
        except ReplacedError as error:
            raise ObjectChangedError("the object was replaced since it was registered") from error
        with to.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def put_file(self, key: str, path: Path, *, progress: Callable[[int], None] | None = None) -> None:
        """See ObjectStore.put_file."""
        with translated("put", self.name):
            upload(self._client, self.name, key, path, progress=progress)

    def put_bytes(self, key: str, data: bytes) -> None:
        """See ObjectStore.put_bytes."""
        with translated("put", self.name):
            self._client.put_object(Bucket=self.name, Key=key, Body=data)

    def delete(self, key: str) -> None:
        """See ObjectStore.delete."""
        with translated("delete", self.name):
            self._client.delete_object(Bucket=self.name, Key=key)
