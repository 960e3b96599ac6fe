from __future__ import annotations

import pytest

from scheduler.externals import without_login


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:p/w@d@host:5432/name?password=x", "postgresql://host:5432/name"),
        ("redis+socket://me:pw@/run/redis.sock?virtual_host=3", "redis+socket:///run/redis.sock"),
        ("rediss://queue/1", "rediss://queue/1"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("/a/folder", "/a/folder"),
    ],
)
def test_an_address_shows_neither_login_nor_options(url: str, shown: str) -> None:
    assert without_login(url) == shown
