"""A real S3 server for the rows that need one, with a proxy before it that can make trouble."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.faults.proxy import Proxy, proxied
from tests.faults.rig import Rig
from tests.support.swift import ACCESS_KEY, SECRET_KEY, S3Server, running, server_python
from worker.s3_client import make_client
from worker.store_s3 import S3Store


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A bucket on the server of one row."""

    server: S3Server
    bucket: str
    proxy: Proxy

    def put(self, rig: Rig, key: str, slide: str = "a", *, padding: int = 0) -> None:
        """Put a drawn slide under a key, with so many bytes behind it that no reader looks at."""
        self.put_bytes(key, rig.ground.slide(slide).read_bytes() + bytes(padding))
        rig.uploaded[key] = slide

    def put_bytes(self, key: str, data: bytes) -> None:
        """Put an object that is no slide."""
        make_client(self.server.settings(self.bucket)).put_object(Bucket=self.bucket, Key=key, Body=data)

    def settings(self, *, troubled: bool = False, secret: str = SECRET_KEY) -> dict[str, str]:
        """Return the settings that lead a part to the bucket; troubled: over the proxy."""
        return {
            "bucket": f"s3://{self.bucket}",
            "s3_endpoint": f"http://127.0.0.1:{self.proxy.port}" if troubled else self.server.endpoint,
            "s3_access_key": ACCESS_KEY,
            "s3_secret_key": secret,
            "prefetch": "false",
        }


def remote(rig: Rig) -> Remote:
    """Start a server that lives until the next row, with an empty bucket; no part runs as yet."""
    python = server_python()
    assert python.exists(), f"{python} is not there: `make test` installs it"
    rig.line(schedulers=())
    folder = rig.folder / "swift"
    folder.mkdir()
    rig.opened.callback(shutil.rmtree, folder)
    server = rig.opened.enter_context(running(python, folder))
    where = urlsplit(server.endpoint)
    assert where.hostname is not None
    assert where.port is not None
    proxy = rig.opened.enter_context(proxied((where.hostname, where.port)))
    bucket = server.make_bucket()
    rig.remote = S3Store(make_client(server.settings(bucket)), bucket)
    return Remote(server=server, bucket=bucket, proxy=proxy)
