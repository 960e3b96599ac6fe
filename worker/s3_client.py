"""The boto3 client, and what its errors mean here.

No message carries a key or an address: keys hold patients' pseudonyms, and messages go to logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from urllib3.exceptions import HTTPError

from worker.config import StoreSettings
from worker.errors import BadRequestError, MarrowlineError, ServiceError, StoreRefusedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS = 4
"""Parts of one object that are moved at once."""
_ABSENT = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})
_REPLACED = frozenset({"412", "PreconditionFailed"})
_AGAIN = frozenset({408, 425, 429})
_BAD_KEY = frozenset({"KeyTooLongError", "InvalidURI", "InvalidObjectName"})


class AbsentError(StoreRefusedError):
    """The bucket answers, and has no such object or version."""


class ReplacedError(StoreRefusedError):
    """The object is not the version that was asked for."""


def make_client(settings: StoreSettings) -> S3Client:
    """Return a client for the settings' endpoint, or for AWS when they name none; threads may share it.

    Without keys in the settings boto3 looks for them in its usual places.
    """
    amazon = settings.s3_endpoint is None or _is_amazon(settings.s3_endpoint)
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region or (None if amazon else "us-east-1"),
        aws_access_key_id=settings.s3_access_key.get_secret_value() if settings.s3_access_key else None,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else None,
        config=Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=2 * THREADS,
            s3={"addressing_style": "auto" if amazon else "path"},
            # Servers other than Amazon's often know no trailing checksums.
            request_checksum_calculation="when_supported" if amazon else "when_required",
            response_checksum_validation="when_supported" if amazon else "when_required",
        ),
    )


@contextmanager
def translated(action: str, bucket: str) -> Iterator[None]:
    """Turn boto3's errors into this project's: AbsentError, ReplacedError, BadRequestError, StoreRefusedError,
    and ServiceError where asking again may help.
    """
    try:
        yield
    except ClientError as error:
        raise _meaning(error, action, bucket) from error
    except ParamValidationError as error:
        raise BadRequestError(f"bucket {bucket}: not a request to {action}") from error
    except (BotoCoreError, HTTPError) as error:
        raise ServiceError(f"bucket {bucket}: {action} failed with {type(error).__name__}") from error


def _meaning(error: ClientError, action: str, bucket: str) -> MarrowlineError:
    code = error.response.get("Error", {}).get("Code", "an error without a code")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _ABSENT:
        return AbsentError(f"bucket {bucket}: nothing there to {action}")
    if code in _REPLACED:
        return ReplacedError(f"bucket {bucket}: another version than the one to {action}")
    if code in _BAD_KEY:
        return BadRequestError(f"bucket {bucket} cannot hold such a key: {code}")
    if 400 <= status < 500 and status not in _AGAIN:
        return StoreRefusedError(f"bucket {bucket}: {action} was refused with {code}")
    return ServiceError(f"bucket {bucket}: {action} was answered with {code}")


def _is_amazon(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
