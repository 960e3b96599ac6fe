"""A slide's process shuts itself in, before it opens the slide; nothing of this can be undone.

Each means is used where the machine grants it, and what was granted is reported, not assumed.
"""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from worker.slides.sandbox import constants, landlock, linux, seccomp
from worker.slides.sandbox.spec import Level, Reached, SandboxSpec

NOBODY = 65534
_OPEN_FILES = 256  # a set of slide files is open at once
_THREADS = 4096  # counted over all processes of the user
_REQUIRED = ("no_new_privs", "limits", "landlock", "seccomp")
_HIGHEST = ("own_uid", "namespaces")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What stays reachable."""

    folder_fd: int  # of the folder that the slide lies in
    name: str  # the slide's file name there
    whole_folder: bool  # whether the files beside it belong to the slide


def enter_namespaces() -> bool:
    """Leave the machine's network, IPC, mounts and host name; tell whether the machine let us."""
    flags = constants.CLONE_NEWNET | constants.CLONE_NEWIPC | constants.CLONE_NEWNS | constants.CLONE_NEWUTS
    try:
        linux.unshare(flags)
    except OSError:
        return False
    return True


def lock(target: Target, spec: SandboxSpec, *, namespaces: bool, host_pid: int) -> Reached:
    """Shut this process in around one slide and return how firmly; it must have one thread only.

    Args:
        namespaces: whether the process was started in namespaces of its own.
        host_pid: the parent, with which this process is to die.

    Raises:
        OSError: when the slide's folder cannot be entered.
    """
    os.fchdir(target.folder_fd)
    os.close(target.folder_fd)
    granted = {"namespaces"} if namespaces else set()
    with _noted(granted, "own_uid"):
        _give_up_root(target)
    with _noted(granted, "no_new_privs"):
        linux.prctl(constants.PR_SET_NO_NEW_PRIVS, 1)
        linux.prctl(constants.PR_SET_DUMPABLE, 0)
    _die_with(host_pid)
    with _noted(granted, "limits"):
        _limit(spec)
    path = "." if target.whole_folder else target.name
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("landlock", lambda: landlock.restrict(path, folder=target.whole_folder)),
        ("seccomp", seccomp.restrict),
    )
    for name, step in steps:
        with _noted(granted, name):
            step()
    return _reached(granted)


def _reached(granted: set[str]) -> Reached:
    missing = tuple(name for name in (*_REQUIRED, *_HIGHEST) if name not in granted)
    if not missing:
        return Reached(level=Level.FULL, missing=())
    strong = granted.issuperset(_REQUIRED)
    return Reached(level=Level.STRONG if strong else Level.WEAK, missing=missing)


@contextmanager
def _noted(granted: set[str], name: str) -> Iterator[None]:
    """Note a means as granted unless the machine refuses it."""
    try:
        yield
    except (OSError, ValueError):
        return
    granted.add(name)


def _give_up_root(target: Target) -> None:
    """As root, see nothing but the slide's folder and become nobody, or the file's owner where nobody cannot read it.

    Raises:
        PermissionError: when this process has no user id of its own in the end.
    """
    if os.geteuid() != 0:
        raise PermissionError("only root can become somebody else")
    try:
        user, group = _reader_of(target)
        with suppress(OSError):
            os.chroot(".")
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    finally:  # whatever of this a container does not grant
        linux.drop_capabilities()
    if user != NOBODY:
        raise PermissionError("the slide can be read by its owner only")


def _reader_of(target: Target) -> tuple[int, int]:
    file, folder = os.stat(target.name), os.stat(".")  # noqa: PTH116 - relative to a folder without a known path
    needed = stat.S_IROTH | stat.S_IXOTH if target.whole_folder else stat.S_IXOTH
    if file.st_mode & stat.S_IROTH and folder.st_mode & needed == needed:
        return NOBODY, NOBODY
    return file.st_uid, file.st_gid


def _die_with(host_pid: int) -> None:
    """End this process when its parent ends; asked for after the change of user, which would undo it."""
    with suppress(OSError):
        linux.prctl(constants.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != host_pid:
        os._exit(1)


def _limit(spec: SandboxSpec) -> None:
    limits = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, _THREADS),
        (resource.RLIMIT_AS, spec.memory_bytes),
    )
    for kind, wanted in limits:
        value = _within_hard(kind, wanted)
        resource.setrlimit(kind, (value, value))
    # At the lower limit comes SIGXCPU, which says what happened; at the upper one SIGKILL.
    last = _within_hard(resource.RLIMIT_CPU, spec.cpu_s + 10)
    resource.setrlimit(resource.RLIMIT_CPU, (min(spec.cpu_s, last), last))


def _within_hard(kind: int, wanted: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
