from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from scheduler.embedded.broker_login import broker_url, client_at, make_login, users_file
from scheduler.embedded.home import Home, home_at
from scheduler.embedded.resolve import resolve
from scheduler.embedded.servers import redis_command
from scheduler.embedded.stack import status


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = home_at(tmp_path / "h")
    home.create()
    return home


def password_in(url: str) -> str:
    password: str = client_at(url).connection_pool.connection_kwargs["password"]
    return password


def test_each_home_has_a_password_of_its_own_and_keeps_it(home: Home, tmp_path: Path) -> None:
    other = home_at(tmp_path / "other")
    other.create()
    make_login(home)
    make_login(other)
    first = password_in(broker_url(home))
    make_login(home)
    assert password_in(broker_url(home)) == first != password_in(broker_url(other))
    assert len(first) == 48


def test_only_the_owner_may_read_what_lets_somebody_in(home: Home) -> None:
    before = os.umask(0)
    try:
        make_login(home)
        (home.redis / "password").chmod(0o644)
        make_login(home)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in home.redis.iterdir()} == {0o600}


def test_the_servers_list_of_users_holds_a_hash_and_its_command_line_not_even_that(home: Home) -> None:
    make_login(home)
    password = password_in(broker_url(home))
    digest = sha256(password.encode()).hexdigest()
    users = users_file(home).read_text(encoding="utf-8")
    assert (f"#{digest} " in users, password in users) == (True, False)
    assert not any(secret in word for word in redis_command(home) for secret in (password, digest))


def test_a_home_without_a_password_is_reached_as_before(home: Home) -> None:
    assert "@" not in broker_url(home)
    assert client_at(broker_url(home)).connection_pool.connection_kwargs["path"] == str(home.redis_socket)


def test_another_user_may_ask_how_a_stack_stands(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    make_login(home)
    read_text = Path.read_text

    def closed(path: Path, encoding: str) -> str:
        if path.parent == home.redis:
            raise PermissionError(13, "Permission denied", str(path))  # tests may run as root, whom no mode stops
        return read_text(path, encoding)

    monkeypatch.setattr(Path, "read_text", closed)
    assert status(resolve(home)).phase == "down"
    assert resolve(home).settings_digest()


def test_the_password_does_not_show_in_what_is_logged(home: Home) -> None:
    make_login(home)
    stack = resolve(home)
    assert stack.environment()["MARROWLINE_BROKER_URL"] == broker_url(home)
    assert password_in(stack.broker_url) not in repr(stack) + stack.settings_digest()
