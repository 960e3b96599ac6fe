"""The filter of files: the slide can be read, and nothing else can be opened, made or changed.

Landlock (Linux 5.13) grew by versions; all that the kernel knows of is denied, and only reading is allowed again.
Structures: include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import struct

from worker.slides.sandbox import constants, linux

_FILE_RIGHTS = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
"""From which version on the kernel can deny which ways of using files."""
_NET_SINCE, _NET_RIGHTS = 4, 0b11  # TCP bind and connect
_SCOPE_SINCE, _SCOPES = 6, 0b11  # abstract Unix sockets, and signals to processes outside


def version() -> int:
    """Return the kernel's version of Landlock.

    Raises:
        OSError: when the kernel has none, or it is switched off.
    """
    return linux.syscall(constants.SYS_LANDLOCK_CREATE_RULESET, None, 0, constants.LANDLOCK_CREATE_RULESET_VERSION)


def restrict(path: str, *, folder: bool) -> None:
    """Let this thread, and those that it starts, read a file, or all beneath a folder, and use no other file.

    Needs no_new_privs. It cannot be undone.

    Raises:
        OSError: when the kernel refuses.
    """
    rules = _make_rules(version())
    try:
        _allow_reading(rules, path, folder=folder)
        linux.syscall(constants.SYS_LANDLOCK_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _make_rules(abi: int) -> int:
    files = sum(rights for since, rights in _FILE_RIGHTS if abi >= since)
    attributes = struct.pack("Q", files)
    if abi >= _NET_SINCE:
        attributes += struct.pack("Q", _NET_RIGHTS)
    if abi >= _SCOPE_SINCE:
        attributes += struct.pack("Q", _SCOPES)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return linux.syscall(constants.SYS_LANDLOCK_CREATE_RULESET, buffer, len(attributes), 0)


def _allow_reading(rules: int, path: str, *, folder: bool) -> None:
    rights = constants.LANDLOCK_READ_FILE | (constants.LANDLOCK_READ_DIR if folder else 0)
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, beneath)
        buffer = ctypes.create_string_buffer(rule, len(rule))
        linux.syscall(constants.SYS_LANDLOCK_ADD_RULE, rules, constants.LANDLOCK_RULE_PATH_BENEATH, buffer, 0)
    finally:
        os.close(beneath)
