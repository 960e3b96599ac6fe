"""What a slide's process can reach, tried from inside a real one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.sandbox_probe import command
from worker.slides.sandbox.messages import GoneError
from worker.slides.sandbox.spawn import Ended, Host, SlideProcess, Wish
from worker.slides.sandbox.spec import Level, SandboxSpec

SPEC = SandboxSpec()


@pytest.fixture(scope="module")
def probing() -> Iterator[Host]:
    """A host whose children try what they are told."""
    with closing(Host(command("probe"))) as host:
        yield host


@pytest.fixture
def wish(tmp_path: Path) -> Wish:
    """A slide in a folder with other files around it, all of which everybody may read."""
    folder = tmp_path / "slide"
    (folder / "below").mkdir(parents=True)
    cv2.imwrite(str(folder / "field.png"), np.zeros((20, 30), dtype=np.uint8))
    for other in ("neighbour.txt", "below/data.txt", "../secret.txt"):
        (folder / other).write_text("other data")
    for path in (tmp_path, folder, folder / "below"):
        path.chmod(0o777)  # the folder can even be written, as far as its mode says
    for path in folder.rglob("*.*"):
        path.chmod(0o666)
    return Wish(folder=folder, name="field.png", whole_folder=False, threads=1, spec=SPEC)


def attempts(host: Host, wish: Wish, *names: str) -> list[Any]:
    """Return what came of each attempt in one process: a value, the name of an errno, or how the process ended."""
    process = host.start(wish)
    with closing(process):
        assert process.receive(within_s=20)["re"] == "hello"
        return [_attempt(process, name) for name in names]


def _attempt(process: SlideProcess, name: str) -> Any:
    try:
        process.send({"op": name}, within_s=5)
        answer = process.receive(within_s=5)
    except GoneError:
        return process.end()
    return answer.get("errno", answer.get("value"))


def test_the_slide_itself_can_be_read(probing: Host, wish: Wish) -> None:
    assert attempts(probing, wish, "read the slide", "start a thread") == ["\x89PNG\r\n\x1a\n\0\0", "ran"]


def test_the_environment_is_empty_and_only_the_intended_descriptors_are_open(probing: Host, wish: Wish) -> None:
    environment, descriptors = attempts(probing, wish, "environment", "descriptors")
    assert environment == {}
    character_device, sock = "0o2", "0o14"
    assert descriptors == {"0": character_device, "1": character_device, "2": character_device, "3": sock}


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/shadow",
        "above the folder",
        "a neighbour",
        "below the folder",
        "own environ",
        "parent's environ",
    ],
)
def test_no_other_file_can_be_read(probing: Host, wish: Wish, path: str) -> None:
    (outcome,) = attempts(probing, wish, f"read {path}")
    assert outcome in ("EACCES", "ENOENT", "EPERM")  # as root nothing but the folder is even there


def test_of_a_set_the_files_beside_and_below_the_index_can_be_read(probing: Host, wish: Wish) -> None:
    of_set = replace(wish, whole_folder=True)
    found = attempts(probing, of_set, "read a neighbour", "read below the folder", "read above the folder")
    assert found[:2] == ["other data", "other data"]
    assert found[2] in ("EACCES", "ENOENT")


@pytest.mark.parametrize("whole_folder", [False, True])
def test_nothing_can_be_written_made_or_changed_anywhere(probing: Host, wish: Wish, whole_folder: bool) -> None:
    names = [
        "write the slide",
        "cut the slide",
        "append to the slide",
        "write the slide in a thread",
        "make a file",
        "make a file in /tmp",
        "make a nameless file",
        "make a folder",
        "remove the slide",
        "rename the slide",
        "link the slide",
        "change its mode",
        "make memory files",
        "leave the folder",
    ]
    before = sorted(wish.folder.rglob("*"))
    found = dict(zip(names, attempts(probing, replace(wish, whole_folder=whole_folder), *names), strict=True))
    assert found == dict.fromkeys(names, "EPERM")
    assert sorted(wish.folder.rglob("*")) == before
    assert not Path("/tmp/marrowline-probe").exists()  # noqa: S108


def test_folders_other_than_the_slides_cannot_be_listed(probing: Host, wish: Wish) -> None:
    (outcome,) = attempts(probing, wish, "list the root")
    assert outcome == "EACCES"


@pytest.mark.parametrize(
    "name", ["map memory to run", "make memory executable", "raise the file size", "raise the memory"]
)
def test_code_cannot_be_brought_in_and_limits_stay(probing: Host, wish: Wish, name: str) -> None:
    (outcome,) = attempts(probing, wish, name)
    assert outcome == "EPERM"


@pytest.mark.parametrize(
    "name",
    [
        "open a socket",
        "open a local socket",
        "run a program",
        "fork",
        "spawn",
        "kill the parent",
        "signal a thread of the parent",
        "trace the parent",
        "read the parent's memory",
        "load a kernel program",
        "become root",
        "mount",
        "leave by chroot",
        "new namespaces",
    ],
)
def test_an_attack_ends_the_process_and_the_worker_learns_why(probing: Host, wish: Wish, name: str) -> None:
    assert attempts(probing, wish, name) == [Ended(signal=signal.SIGSYS)]
    assert attempts(probing, wish, "read the slide") != []  # the host is unharmed


def test_a_crash_inside_is_reported_as_one(probing: Host, wish: Wish) -> None:
    assert attempts(probing, wish, "send abort to itself") == [Ended(signal=signal.SIGABRT)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a slide's process a user id of its own")
def test_under_root_it_runs_as_nobody_or_as_the_owner_of_a_private_file(probing: Host, wish: Wish) -> None:
    assert attempts(probing, wish, "user") == [65534]
    path = wish.folder / wish.name
    path.chmod(0o600)
    os.chown(path, 12345, 12345)
    assert attempts(probing, wish, "user", "read the slide") == [12345, "\x89PNG\r\n\x1a\n\0\0"]


def test_the_level_is_full_under_root_and_strong_otherwise(probing: Host, wish: Wish) -> None:
    with closing(probing.start(wish)) as process:
        hello = process.receive(within_s=20)
    assert hello["level"] == (Level.FULL if os.geteuid() == 0 else Level.STRONG)
