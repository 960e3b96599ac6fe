from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import pytest

from scheduler.embedded.broker_login import broker_url
from scheduler.embedded.home import SOCKET_PATH_BYTES, Home, StackError, database_url, home_at, write_whole


def test_a_home_that_was_only_named_is_not_made(tmp_path: Path) -> None:
    assert not home_at(tmp_path / "h").exists
    assert not (tmp_path / "h").exists()


def test_created_twice_it_keeps_its_name(tmp_path: Path) -> None:
    home = home_at(tmp_path / "h")
    home.create()
    first = home.stack_id
    home.create()
    assert home.stack_id == first


def test_what_patients_are_in_is_closed_to_other_users_and_stays_as_it_was_opened(tmp_path: Path) -> None:
    home = home_at(tmp_path / "h")
    home.create()
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (home.bucket, home.cache, home.redis)} == {0o700}
    home.bucket.chmod(0o770)
    home.create()
    assert stat.S_IMODE(home.bucket.stat().st_mode) == 0o770


def test_two_homes_share_nothing(tmp_path: Path) -> None:
    homes = [home_at(tmp_path / name) for name in ("a", "b")]
    for home in homes:
        home.create()
    assert len({home.stack_id for home in homes}) == 2
    assert len({database_url(home) for home in homes} | {broker_url(home) for home in homes}) == 4


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home whose path is too long for sockets."""
    home = home_at(tmp_path / ("x" * 200))
    home.create()
    yield home
    home.clear_sockets()


def test_whoever_asks_while_a_stack_starts_and_stops_is_told_a_place(home: Home) -> None:
    def start_and_stop() -> None:
        for _ in range(200):
            home.place_sockets()
            home.clear_sockets()

    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(start_and_stop)
        while not stopped.done():
            assert home.sockets.is_absolute()
        stopped.result()


def short_folders() -> set[Path]:
    return set(Path(gettempdir()).glob("marrowline-????????"))


@pytest.mark.parametrize("length", [20, 60, 90, 200])
def test_sockets_fit_whatever_the_path(tmp_path: Path, length: int) -> None:
    home = home_at(tmp_path / ("x" * length))
    home.create()
    home.place_sockets()
    paths = [home.redis_socket, home.postgres_socket / ".s.PGSQL.5432"]
    assert all(len(os.fsencode(path)) <= SOCKET_PATH_BYTES for path in paths)
    home.clear_run()
    assert not home.postgres_socket.exists()


def test_a_home_that_runs_nothing_has_no_folder_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home_at(tmp_path / ("x" * 200)).create()
    assert not short_folders()


def test_a_short_socket_folder_is_used_again_after_a_crash_and_removed_with_the_stack(home: Home) -> None:
    home.place_sockets()
    short = home.sockets
    home.redis_socket.write_text("left by a server")
    (home.postgres_socket / ".s.PGSQL.5432").write_text("left by a server")
    home.create()
    home.place_sockets()
    assert home.sockets == short
    assert stat.S_IMODE(short.stat().st_mode) == 0o711
    home.clear_run()
    assert not short.exists()
    home.clear_run()


def test_a_socket_folder_of_somebody_else_is_neither_used_nor_emptied(home: Home, tmp_path: Path) -> None:
    home.place_sockets()
    short = home.sockets
    home.postgres_socket.rmdir()
    short.rmdir()
    theirs = tmp_path / "elsewhere" / "pg" / "kept"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("")
    short.symlink_to(tmp_path / "elsewhere")
    try:
        home.clear_sockets()
        assert theirs.exists()
        (home.run / "sockets").write_text(str(short))
        home.place_sockets()
        assert home.sockets != short
    finally:
        short.unlink()


def test_where_no_short_folder_can_be_made_the_remedy_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for wrong in (tmp_path / "absent", tmp_path / ("y" * 100)):
        monkeypatch.setattr("tempfile.tempdir", str(wrong))
        with pytest.raises(StackError, match="set TMPDIR"):
            home.place_sockets()
        wrong.with_name("y" * 100).mkdir(exist_ok=True)
    assert not any((tmp_path / ("y" * 100)).iterdir())


def test_a_home_that_is_a_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "h").write_text("")
    with pytest.raises(StackError, match="MARROWLINE_HOME"):
        home_at(tmp_path / "h").create()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket, wherever the tests run."""
    with TemporaryDirectory(prefix="ml") as folder:
        yield Path(folder)


def test_addresses_keep_odd_characters(short_folder: Path) -> None:
    home = home_at(short_folder / "a b%41?#")
    home.create()
    assert "a%20b%2541%3F%23" in database_url(home)
    assert "a%20b%2541%3F%23" in broker_url(home)


def test_a_half_written_state_is_no_state(tmp_path: Path) -> None:
    home = home_at(tmp_path / "h")
    home.create()
    assert home.read_state() is None
    home.state_file.write_text('{"phase": ')
    assert home.read_state() is None
    write_whole(home.state_file, '{"phase": "up"}')
    assert home.read_state() == {"phase": "up"}
