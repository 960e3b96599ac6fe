"""The boto3 client of a queue, and what its errors mean here; no message carries an address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from worker.config import StoreSettings
from worker.errors import ServiceError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_REGION = re.compile(r"(?:^|\.)sqs(?:-fips)?\.([a-z0-9-]+)\.")


def make_client(queue_url: str, store: StoreSettings, *, wait_s: int) -> SQSClient:
    """Return a client for the server in the queue's address, whose region is told by it or else that of the bucket.

    It has the bucket's keys; without any, boto3 looks for them in its usual places.
    wait_s: how long one answer may keep us waiting.
    """
    address = urlsplit(queue_url)
    named = _REGION.search(address.hostname or "")
    return boto3.client(
        "sqs",
        endpoint_url=f"{address.scheme}://{address.netloc}",
        region_name=named[1] if named else store.s3_region or "us-east-1",
        aws_access_key_id=store.s3_access_key.get_secret_value() if store.s3_access_key else None,
        aws_secret_access_key=store.s3_secret_key.get_secret_value() if store.s3_secret_key else None,
        config=Config(
            connect_timeout=5, read_timeout=wait_s + 15, retries={"mode": "standard", "total_max_attempts": 3}
        ),
    )


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn boto3's errors into ServiceError."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error without a code")
        raise ServiceError(f"the queue of MARROWLINE_SQS_URL: {action} was answered with {code}") from error
    except (BotoCoreError, HTTPError) as error:
        raise ServiceError(f"the queue of MARROWLINE_SQS_URL: {action} failed with {type(error).__name__}") from error
