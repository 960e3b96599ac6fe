"""The policies of deploy/s3/policies on a server that enforces them: who may do what to whose objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support.rgw import Gateway, lacking, running_gateway

POLICIES = Path(__file__).resolve().parents[2] / "deploy" / "s3" / "policies"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lacking()), reason=f"Ceph's gateway cannot run here, it lacks {', '.join(lacking())}"),
]
USERS = {"scheduler": "scheduler", "worker": "worker", "central": "lab", "north": "lab", "stranger": None}
SLIDE, STATUS = "central/P1/a.svs", "central/P1/a.svs.status.json"
# g get, p put, d delete; the object; who may.
EXPECTED = {
    ("get", SLIDE): {"scheduler", "worker"},
    ("get", STATUS): {"scheduler", "worker", "central"},
    ("put", SLIDE): {"central"},
    ("put", STATUS): {"scheduler"},
    ("put", "north/P1/a.svs"): {"north"},
    ("put", "other.svs"): set(),
    ("delete", SLIDE): set(),
    ("list", ""): {"scheduler"},
    ("versions", ""): {"scheduler"},
    ("policy", ""): set(),
    ("multipart", SLIDE): {"central"},
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway() as gateway:
        gateway.add_user("admin", caps="users=*;user-policy=*")
        admin = gateway.client("admin")
        admin.create_bucket(Bucket="slides")
        for key in (SLIDE, STATUS):
            admin.put_object(Bucket="slides", Key=key, Body=b"x")
        rights = gateway.client("admin", "iam")
        for user, policy in USERS.items():
            gateway.add_user(user)
            if policy is not None:
                document = (POLICIES / f"{policy}.json").read_text(encoding="utf-8").replace("LAB", user)
                rights.put_user_policy(UserName=user, PolicyName=policy, PolicyDocument=document)
        yield gateway


def may(gateway: Gateway, user: str, verb: str, key: str) -> bool:
    s3 = gateway.client(user)
    calls = {
        "get": lambda: s3.get_object(Bucket="slides", Key=key),
        "put": lambda: s3.put_object(Bucket="slides", Key=key, Body=b"y"),
        "delete": lambda: s3.delete_object(Bucket="slides", Key=key),
        "list": lambda: s3.list_objects_v2(Bucket="slides"),
        "versions": lambda: s3.list_object_versions(Bucket="slides"),
        "policy": lambda: s3.put_bucket_policy(Bucket="slides", Policy="{}"),
        "multipart": lambda: s3.create_multipart_upload(Bucket="slides", Key=key),
    }
    try:
        calls[verb]()
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise
        return False
    return True


@pytest.mark.parametrize(("verb", "key"), EXPECTED)
def test_exactly_these_may(gateway: Gateway, verb: str, key: str) -> None:
    assert {user for user in USERS if may(gateway, user, verb, key)} == EXPECTED[verb, key]


def test_a_bucket_that_refuses_what_comes_in_the_clear_does(gateway: Gateway) -> None:
    assert may(gateway, "worker", "get", SLIDE)
    policy = (POLICIES / "bucket.json").read_text(encoding="utf-8")
    gateway.client("admin").put_bucket_policy(Bucket="slides", Policy=policy)  # from here on refuses its owner too
    assert not [user for user in (*USERS, "admin") if may(gateway, user, "get", SLIDE)]
