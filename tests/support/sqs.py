"""A server for a test session that speaks like Amazon's S3 and SQS, events from the one to the other included: moto's.

It delivers each event once, in order; what real ones do beyond that, tests send themselves.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from pydantic import SecretStr

from worker.config import StoreSettings
from worker.s3_client import make_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

KEY, SECRET = "testing", "secret-of-one-test-session"
REGION: Final = "eu-central-1"
_PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class SqsServer:
    """Where the server is, with its clients."""

    endpoint: str

    def settings(self, bucket: str) -> StoreSettings:
        """Return store settings for one of its buckets."""
        return StoreSettings(
            bucket=f"s3://{bucket}",
            s3_endpoint=self.endpoint,
            s3_region=REGION,
            s3_access_key=SecretStr(KEY),
            s3_secret_key=SecretStr(SECRET),
        )

    def s3(self) -> S3Client:
        """Return what a lab uploads with."""
        return make_client(self.settings("any"))

    def sqs(self) -> SQSClient:
        """Return what an administrator makes queues with."""
        keys: Any = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
        return boto3.client("sqs", endpoint_url=self.endpoint, region_name=REGION, **keys)

    def new_queue(self) -> str:
        """Make a queue and return its address."""
        return self.sqs().create_queue(QueueName=f"events-{uuid.uuid4().hex[:12]}")["QueueUrl"]

    def new_bucket(self, queue_url: str) -> str:
        """Make a bucket whose events go to the queue."""
        name, client = f"slides-{uuid.uuid4().hex[:12]}", self.s3()
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        arn = f"arn:aws:sqs:{REGION}:123456789012:{queue_url.rsplit('/', 1)[1]}"
        events: Any = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        client.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": [events]}
        )
        return name


@pytest.fixture(scope="session")
def sqs_server() -> Iterator[SqsServer]:
    """Run the server for the session, and end this process and no other."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _await(endpoint, process)
        yield SqsServer(endpoint=endpoint)
    finally:
        process.kill()
        process.wait()


def _await(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(endpoint, timeout=5).close()  # noqa: S310 - our own http address
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"moto's server did not come up (exit {process.poll()}): is flask installed?")
