from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ParamValidationError, ReadTimeoutError
from pydantic import SecretStr

from worker.config import StoreSettings
from worker.errors import BadRequestError, MarrowlineError, ServiceError, StoreRefusedError
from worker.s3_client import AbsentError, ReplacedError, make_client, translated

_URL = "http://host/bucket/lab/patient"


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("404", 404, AbsentError),
        ("NoSuchKey", 404, AbsentError),
        ("NoSuchVersion", 404, AbsentError),
        ("PreconditionFailed", 412, ReplacedError),
        ("KeyTooLongError", 400, BadRequestError),
        ("NoSuchBucket", 404, StoreRefusedError),
        ("AccessDenied", 403, StoreRefusedError),
        ("SlowDown", 503, ServiceError),
        ("TooManyRequests", 429, ServiceError),
        ("InternalError", 500, ServiceError),
    ],
)
def test_answers_have_one_meaning_each(code: str, status: int, meaning: type[MarrowlineError]) -> None:
    answer = {"Error": {"Code": code, "Message": _URL}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(meaning) as told, translated("get", "bucket"):
        raise ClientError(answer, "GetObject")  # type: ignore[arg-type]
    assert type(told.value) is meaning
    assert "patient" not in str(told.value)


@pytest.mark.parametrize("error", [ConnectTimeoutError(endpoint_url=_URL), ReadTimeoutError(endpoint_url=_URL)])
def test_silence_is_worth_asking_again(error: Exception) -> None:
    with pytest.raises(ServiceError, match="bucket b: head failed with") as told, translated("head", "b"):
        raise error
    assert type(told.value) is ServiceError
    assert "patient" not in str(told.value)


def test_a_request_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(BadRequestError), translated("head", "b"):
        raise ParamValidationError(report="key too short")


def test_other_servers_are_addressed_by_path_and_spared_trailing_checksums() -> None:
    for endpoint, style, checksums in (
        ("http://127.0.0.1:9", "path", "when_required"),
        ("https://s3.eu-central-1.amazonaws.com", "auto", "when_supported"),
        (None, "auto", "when_supported"),
    ):
        config: Any = make_client(_settings(endpoint)).meta.config
        assert config.s3["addressing_style"] == style
        assert config.request_checksum_calculation == checksums


def test_a_region_is_only_asked_of_amazon() -> None:
    assert make_client(_settings("http://127.0.0.1:9")).meta.region_name == "us-east-1"


def _settings(endpoint: str | None) -> StoreSettings:
    return StoreSettings(
        bucket="s3://b", s3_endpoint=endpoint, s3_access_key=SecretStr("k"), s3_secret_key=SecretStr("s")
    )
