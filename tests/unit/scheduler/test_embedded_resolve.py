from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from scheduler.embedded.home import home_at
from scheduler.embedded.resolve import Stack, resolve
from worker.config import WorkerSettings
from worker.storage import open_store

SECRET = "s3cret"


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    return resolve_with(monkeypatch, tmp_path, {})


def resolve_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Mapping[str, str]) -> Stack:
    monkeypatch.chdir(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(f"MARROWLINE_{name}", value)
    stack = resolve()
    stack.home.create()
    return stack


def test_addresses_of_our_own_servers_follow_where_their_sockets_are_placed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack = resolve_with(monkeypatch, tmp_path, {"HOME": "x" * 200})
    stack.home.place_sockets()
    try:
        assert all(str(stack.home.sockets) in url for url in (stack.database_url, stack.broker_url))
        assert stack.environment()["MARROWLINE_DATABASE_URL"] == resolve().database_url
    finally:
        stack.home.clear_sockets()


def test_without_settings_all_servers_are_our_own(resolved: Stack, tmp_path: Path) -> None:
    assert (resolved.own_postgres, resolved.own_redis, resolved.own_bucket) == (True, True, True)
    assert resolved.home.root == tmp_path / ".marrowline"
    assert resolved.bucket == str(tmp_path / ".marrowline" / "bucket")


def test_given_servers_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": f"postgresql://me:{SECRET}@db/x",
        "BROKER_URL": f"rediss://:{SECRET}@q/1",
        "BUCKET": "s3://slides/here",
    }
    stack = resolve_with(monkeypatch, tmp_path, given)
    assert (stack.own_postgres, stack.own_redis, stack.own_bucket) == (False, False, False)
    environment = stack.environment()
    assert {name: environment[f"MARROWLINE_{name}"] for name in given} == given


def test_our_own_bucket_is_known_by_a_name_that_moving_the_home_does_not_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = []
    for place in ("here", "there"):
        stack = resolve_with(monkeypatch, tmp_path, {"HOME": place})
        names.append(open_store(stack.store_settings).name)
        assert stack.environment()["MARROWLINE_BUCKET_NAME"] == stack.bucket_name == names[-1]
    assert names == ["bucket", "bucket"]


@pytest.mark.parametrize(("given", "name"), [({}, ""), ({"BUCKET_NAME": "smears"}, "smears")])
def test_a_folder_of_yours_has_the_name_you_give_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], name: str
) -> None:
    stack = resolve_with(monkeypatch, tmp_path, {"BUCKET": "slides", **given})
    assert stack.bucket_name == name
    assert open_store(stack.store_settings).name == (name or str(tmp_path / "slides"))


def test_a_secret_does_not_show_in_what_is_logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack = resolve_with(monkeypatch, tmp_path, {"DATABASE_URL": f"postgresql://me:{SECRET}@db/x"})
    assert SECRET not in repr(stack)
    assert SECRET not in stack.settings_digest()


def test_paths_do_not_depend_on_where_a_process_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack = resolve_with(monkeypatch, tmp_path, {"BUCKET": "slides", "CACHE_DIR": "cache", "MODELS_DIR": "models"})
    environment = stack.environment()
    for name, folder in (("BUCKET", "slides"), ("CACHE_DIR", "cache"), ("MODELS_DIR", "models")):
        assert environment[f"MARROWLINE_{name}"] == str(tmp_path / folder)


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack = resolve_with(monkeypatch, tmp_path, {"DATABASE_URL": "", "BROKER_URL": "", "BUCKET": ""})
    assert (stack.own_postgres, stack.own_redis, stack.own_bucket) == (True, True, True)


def test_other_settings_are_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = resolve_with(monkeypatch, tmp_path, {}).settings_digest()
    assert resolve_with(monkeypatch, tmp_path, {"TILE_CORE_PX": "512"}).settings_digest() != before


@pytest.mark.parametrize(
    ("devices", "found"), [("auto", ("auto",)), ("cuda:0, cuda:1", ("cuda:0", "cuda:1")), (" ", ("auto",))]
)
def test_one_worker_for_each_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, devices: str, found: tuple[str, ...]
) -> None:
    assert resolve_with(monkeypatch, tmp_path, {"DEVICES": devices}).devices == found


def test_looking_often_is_only_a_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment = resolve_with(monkeypatch, tmp_path, {"LIST_S": "7"}).environment()
    assert environment["MARROWLINE_LIST_S"] == "7"
    assert float(environment["MARROWLINE_SWEEP_S"]) < 7


@pytest.mark.parametrize(
    ("given", "expected"), [({}, ".marrowline/models"), ({"HOME": "h"}, "h/models"), ({"MODELS_DIR": "m"}, "m")]
)
def test_models_of_ones_own_lie_in_the_home_unless_another_folder_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], expected: str
) -> None:
    stack = resolve_with(monkeypatch, tmp_path, given)
    assert stack.environment()["MARROWLINE_MODELS_DIR"] == str(tmp_path / expected)
    assert WorkerSettings().models_dir.absolute() == stack.models_dir == tmp_path / expected


def test_a_home_of_its_own_has_models_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve(home_at(tmp_path / "demo")).models_dir == tmp_path / "demo" / "models"
