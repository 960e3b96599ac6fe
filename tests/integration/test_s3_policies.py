"""The policies of deploy/s3/policies on a server that enforces them: who may do what to whose objects."""

from __future__ import annotations

import os
import subprocess
import sys
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
USERS = {
    "scheduler": ("scheduler",),
    "worker": ("worker",),
    "central": ("lab",),
    "north": ("lab",),
    "east": ("lab", "lab-submit"),
    "stranger": (),
}
SLIDE, STATUS = "central/P1/a.svs", "central/P1/a.svs.status.json"
REPORT = "marrowline-results/central/report-1.html"
# g get, p put, d delete; the object; who may.
EXPECTED = {
    ("get", SLIDE): {"scheduler", "worker"},
    ("get", STATUS): {"scheduler", "worker", "central"},
    ("get", REPORT): {"scheduler", "worker", "central"},
    ("put", SLIDE): {"central"},
    ("put", STATUS): {"scheduler"},
    ("put", REPORT): {"worker"},
    ("delete", REPORT): set(),
    ("put", "north/P1/a.svs"): {"north"},
    ("put", "east/P1/a.svs"): {"east"},
    ("get", "east/P1/a.svs"): {"scheduler", "worker", "east"},
    ("put", "east/P1/a.svs.status.json"): {"scheduler"},
    ("delete", "east/P1/a.svs"): set(),
    ("put", "other.svs"): set(),
    ("delete", SLIDE): set(),
    ("list", ""): {"scheduler"},
    ("list", "central/"): {"scheduler"},
    ("list", "east/"): {"scheduler", "east"},
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
        for key in (SLIDE, STATUS, REPORT, "east/P1/a.svs"):
            admin.put_object(Bucket="slides", Key=key, Body=b"x")
        rights = gateway.client("admin", "iam")
        for user, policies in USERS.items():
            gateway.add_user(user)
            for policy in policies:
                document = (POLICIES / f"{policy}.json").read_text(encoding="utf-8").replace("LAB", user)
                rights.put_user_policy(UserName=user, PolicyName=policy, PolicyDocument=document)
        yield gateway


def may(gateway: Gateway, user: str, verb: str, key: str) -> bool:
    s3 = gateway.client(user)
    calls = {
        "get": lambda: s3.get_object(Bucket="slides", Key=key),
        "put": lambda: s3.put_object(Bucket="slides", Key=key, Body=b"y"),
        "delete": lambda: s3.delete_object(Bucket="slides", Key=key),
        "list": lambda: s3.list_objects_v2(Bucket="slides", Prefix=key),
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


@pytest.mark.parametrize(("user", "code"), [("east", 0), ("central", 1)])
def test_submit_needs_the_policy_that_is_for_it(gateway: Gateway, tmp_path: Path, user: str, code: int) -> None:
    slide = tmp_path / "b.tif"
    slide.write_bytes(b"what a slide holds is not asked here")
    environment = {
        "MARROWLINE_S3_ENDPOINT": f"http://127.0.0.1:{gateway.port}",
        "MARROWLINE_S3_ACCESS_KEY": f"{user}-access",
        "MARROWLINE_S3_SECRET_KEY": f"{user}-secret",
        "MARROWLINE_HOME": str(tmp_path),
    }
    command = ["submit", str(slide), "--to", "s3://slides", "--lab", user, "--patient", "P2"]
    for _ in range(2):  # the second time it finds what the first has stored
        ended = subprocess.run(
            [sys.executable, "-m", "scheduler.cli", *command],
            env={**os.environ, **environment},
            check=False,
            capture_output=True,
        )
        assert ended.returncode == code, ended.stderr.decode()
    stored = [one["Key"] for one in gateway.client("admin").list_objects_v2(Bucket="slides")["Contents"]]
    assert (f"{user}/P2/b.tif" in stored) == (code == 0)


def test_a_bucket_that_refuses_what_comes_in_the_clear_does(gateway: Gateway) -> None:
    assert may(gateway, "worker", "get", SLIDE)
    policy = (POLICIES / "bucket.json").read_text(encoding="utf-8")
    gateway.client("admin").put_bucket_policy(Bucket="slides", Policy=policy)  # from here on refuses its owner too
    assert not [user for user in (*USERS, "admin") if may(gateway, user, "get", SLIDE)]
