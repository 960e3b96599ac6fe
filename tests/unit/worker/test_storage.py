from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from worker.config import StoreSettings
from worker.errors import BadRequestError
from worker.storage import open_store


def _settings(bucket: str) -> StoreSettings:
    return StoreSettings(bucket=bucket, s3_access_key=SecretStr("k"), s3_secret_key=SecretStr("s"), s3_region="eu-1")


def test_a_folder_is_named_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(_settings("slides"))
    assert (store.name, store.prefix) == (str(tmp_path / "slides"), "")


@pytest.mark.parametrize(
    ("address", "prefix"),
    [("s3://bucket", ""), ("s3://bucket/", ""), ("s3://bucket/site", "site/"), ("s3://bucket/a/b/", "a/b/")],
)
def test_an_s3_address_names_bucket_and_prefix(address: str, prefix: str) -> None:
    store = open_store(_settings(address))
    assert (store.name, store.prefix) == ("bucket", prefix)


@pytest.mark.parametrize("address", ["", "s3://", "https://host/bucket", "gs://bucket", "s3://bucket?x=1"])
def test_other_addresses_are_refused_with_the_fix(address: str) -> None:
    with pytest.raises(BadRequestError, match="give a folder or s3://bucket/prefix"):
        open_store(_settings(address))
