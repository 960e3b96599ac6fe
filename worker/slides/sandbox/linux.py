"""The few calls to Linux that Python does not offer, by ctypes."""

from __future__ import annotations

import ctypes
import os

from worker.slides.sandbox.constants import CAPABILITY_VERSION_3

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call by its number; numbers go as 64-bit words, buffers and None as pointers.

    Raises:
        OSError: with the call's errno.
    """
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, *arguments: int | ctypes.Array[ctypes.c_char]) -> int:
    """Change or ask what the kernel keeps about this process; absent arguments are 0.

    Raises:
        OSError: with the call's errno.
    """
    padded = [*arguments, 0, 0, 0, 0][:4]
    words = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in padded]
    result = int(_libc.prctl(ctypes.c_int(option), *words))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def unshare(flags: int) -> None:
    """Leave the named namespaces for new ones.

    Raises:
        OSError: with the call's errno.
    """
    if _libc.unshare(ctypes.c_int(flags)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def drop_capabilities() -> None:
    """Give up every capability of this thread for good.

    Raises:
        OSError: with the call's errno.
    """
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    if _libc.capset(header, none):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
