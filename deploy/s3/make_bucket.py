"""Make the bucket that the settings name, and wait for the server to answer; harmless when the bucket exists."""

from __future__ import annotations

import sys

from botocore.exceptions import ClientError

from worker.config import StoreSettings
from worker.s3_client import make_client

_THERE = frozenset({"BucketAlreadyOwnedByYou"})


def main() -> int:
    """Make the bucket of `MARROWLINE_BUCKET`; any other error than that it exists rises."""
    settings = StoreSettings()
    name = settings.bucket.removeprefix("s3://").partition("/")[0]
    client = make_client(settings)
    try:
        client.create_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _THERE:
            raise
    client.head_bucket(Bucket=name)
    sys.stdout.write(f"bucket {name} is there\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
