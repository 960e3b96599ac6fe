"""The filter of system calls: what a decoder needs is allowed, attack is killed, all else is refused.

A filter is a program for the kernel's classic BPF machine, which sees the call's number and arguments as in
`struct seccomp_data`: number at 0, architecture at 4, argument n at 16 + 8 n, low half first. Every rule is a block
that ends in a verdict, so that no jump is longer than its block.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from typing import TypeAlias

from worker.slides.sandbox import constants, linux, syscalls

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32_CALLS = 0x40000000
"""On x86-64 the same calls are reachable a second time above this number."""
_ALLOW = constants.SECCOMP_RET_ALLOW
_KILL = constants.SECCOMP_RET_KILL_PROCESS
_REFUSE = constants.SECCOMP_RET_ERRNO | errno.EPERM
_UNKNOWN = constants.SECCOMP_RET_ERRNO | errno.ENOSYS

_O_TMPFILE = 0o20000000  # without O_DIRECTORY, which os.O_TMPFILE includes
_NOT_READ_ONLY = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | _O_TMPFILE
_PROT_EXEC = 4
# Duplicating a descriptor, its flags, and the locks that SQLite takes for reading; none that sends signals.
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 1030)

Instruction: TypeAlias = tuple[int, int, int, int]
"""Code, jump when true, jump when false, constant."""


def restrict() -> None:
    """Filter every later system call of this process; it cannot be undone.

    Raises:
        OSError: when the kernel, or this kind of machine, has no filter of calls.
    """
    machine = platform.machine()
    if machine not in syscalls.MACHINES:
        raise OSError(errno.ENOSYS, f"no filter is written for {machine}")
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in program_for(machine, os.getpid()))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    # Without SPEC_ALLOW older kernels slow the whole process down to hide its memory from itself: it holds no secret.
    flags = constants.SECCOMP_FILTER_FLAG_TSYNC | constants.SECCOMP_FILTER_FLAG_SPEC_ALLOW
    linux.syscall(
        constants.SYS_SECCOMP[machine],
        constants.SECCOMP_SET_MODE_FILTER,
        flags,
        ctypes.create_string_buffer(header, len(header)),
    )


def program_for(machine: str, pid: int) -> tuple[Instruction, ...]:
    """Return the filter for one of syscalls.MACHINES and a process that may send signals to itself only."""
    return tuple(_program(machine, pid))


def _program(machine: str, pid: int) -> Iterator[Instruction]:
    yield _LOAD, 0, 0, 4
    yield _IF_EQUAL, 1, 0, constants.AUDIT_ARCH[machine]
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, 0
    if machine == "x86_64":
        yield _IF_AT_LEAST, 0, 1, _X32_CALLS
        yield _RETURN, 0, 0, _KILL
    for table, verdict in ((syscalls.ALLOWED, _ALLOW), (syscalls.KILLED, _KILL)):
        for number in syscalls.numbers(table, machine).values():
            yield _IF_EQUAL, 0, 1, number
            yield _RETURN, 0, 0, verdict
    blocks = _argument_rules(pid)
    for name, number in syscalls.numbers(syscalls.ARGUMENTS, machine).items():
        yield _IF_EQUAL, 0, len(blocks[name]), number
        yield from blocks[name]
    yield _RETURN, 0, 0, _REFUSE


def _argument_rules(pid: int) -> dict[str, tuple[Instruction, ...]]:
    no_new_limit = (_low(2), (_IF_EQUAL, 1, 0, 0), _end(_REFUSE), _high(2), (_IF_EQUAL, 0, 1, 0), _end(_ALLOW))
    return {
        "open": _any_bit(1, _NOT_READ_ONLY, _REFUSE, _ALLOW),
        "openat": _any_bit(2, _NOT_READ_ONLY, _REFUSE, _ALLOW),
        "mmap": _any_bit(2, _PROT_EXEC, _REFUSE, _ALLOW),
        "mprotect": _any_bit(2, _PROT_EXEC, _REFUSE, _ALLOW),
        "clone": _any_bit(0, constants.CLONE_THREAD, _ALLOW, _KILL),
        "clone3": (_end(_UNKNOWN),),  # its flags lie in memory, unseen from here: the C library then uses clone
        "fcntl": _one_of(1, _FCNTL, _REFUSE),
        "prctl": _one_of(0, (constants.PR_SET_NAME, constants.PR_GET_NAME), _REFUSE),
        "prlimit64": (*no_new_limit, _end(_REFUSE)),
        "tgkill": _one_of(0, (pid,), _KILL),  # abort() sends itself SIGABRT by it
    }


def _any_bit(argument: int, mask: int, verdict: int, otherwise: int) -> tuple[Instruction, ...]:
    return (_low(argument), (_IF_ANY_BIT, 0, 1, mask), _end(verdict), _end(otherwise))


def _one_of(argument: int, values: tuple[int, ...], otherwise: int) -> tuple[Instruction, ...]:
    tests = [step for value in values for step in ((_IF_EQUAL, 0, 1, value), _end(_ALLOW))]
    return (_low(argument), *tests, _end(otherwise))


def _low(argument: int) -> Instruction:
    return _LOAD, 0, 0, 16 + 8 * argument


def _high(argument: int) -> Instruction:
    return _LOAD, 0, 0, 20 + 8 * argument


def _end(verdict: int) -> Instruction:
    return _RETURN, 0, 0, verdict
