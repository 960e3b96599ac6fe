"""The filter's program, run by a small machine of our own for both kinds of processors."""

from __future__ import annotations

import errno
import os

import pytest

from worker.slides.sandbox import constants, syscalls
from worker.slides.sandbox.seccomp import Instruction, program_for

PID = 4711
ALLOW, KILL = constants.SECCOMP_RET_ALLOW, constants.SECCOMP_RET_KILL_PROCESS
REFUSE = constants.SECCOMP_RET_ERRNO | errno.EPERM
MACHINES = pytest.mark.parametrize("machine", syscalls.MACHINES)


def verdict(program: tuple[Instruction, ...], architecture: int, number: int, arguments: dict[int, int]) -> int:
    """Run the program on one system call, as the kernel's classic BPF machine would."""
    data = {0: number, 4: architecture}
    for place in range(6):
        value = arguments.get(place, 0)
        data |= {16 + 8 * place: value & 0xFFFFFFFF, 20 + 8 * place: value >> 32}
    at, accumulator = 0, 0
    while True:
        code, when_true, when_false, constant = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = data[constant]
            case 0x06:
                return constant
            case 0x15:
                at += when_true if accumulator == constant else when_false
            case 0x35:
                at += when_true if accumulator >= constant else when_false
            case 0x45:
                at += when_true if accumulator & constant else when_false
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def call(machine: str, name: str, **arguments: int) -> int:
    tables = {**syscalls.ALLOWED, **syscalls.ARGUMENTS, **syscalls.KILLED}
    number = syscalls.numbers(tables, machine)[name]
    passed = {int(place[1:]): value for place, value in arguments.items()}
    return verdict(program_for(machine, PID), constants.AUDIT_ARCH[machine], number, passed)


@MACHINES
def test_every_listed_call_gets_its_verdict(machine: str) -> None:
    assert {call(machine, name) for name in syscalls.numbers(syscalls.ALLOWED, machine)} == {ALLOW}
    assert {call(machine, name) for name in syscalls.numbers(syscalls.KILLED, machine)} == {KILL}


@MACHINES
def test_no_call_is_listed_twice(machine: str) -> None:
    tables = (syscalls.ALLOWED, syscalls.ARGUMENTS, syscalls.KILLED)
    listed = [number for table in tables for number in syscalls.numbers(table, machine).values()]
    assert len(listed) == len(set(listed))


@MACHINES
def test_an_unknown_call_is_refused_and_another_architecture_killed(machine: str) -> None:
    program = program_for(machine, PID)
    assert verdict(program, constants.AUDIT_ARCH[machine], 999, {}) == REFUSE
    assert verdict(program, 0x40000003, 0, {}) == KILL  # 32-bit x86, where numbers mean other calls


def test_the_second_door_to_the_calls_of_x86_is_shut() -> None:
    assert verdict(program_for("x86_64", PID), constants.AUDIT_ARCH["x86_64"], 0x40000000, {}) == KILL


@MACHINES
@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (os.O_RDONLY | os.O_CLOEXEC, ALLOW),
        (os.O_RDONLY | os.O_DIRECTORY, ALLOW),
        (os.O_WRONLY, REFUSE),
        (os.O_RDWR, REFUSE),
        (os.O_RDONLY | os.O_CREAT, REFUSE),
        (os.O_RDONLY | os.O_TRUNC, REFUSE),
        (os.O_WRONLY | os.O_TMPFILE, REFUSE),
    ],
)
def test_files_are_opened_for_reading_only(machine: str, flags: int, wanted: int) -> None:
    assert call(machine, "openat", _2=flags) == wanted


@MACHINES
def test_arguments_decide(machine: str) -> None:
    assert call(machine, "mmap", _2=3) == call(machine, "mprotect", _2=1) == ALLOW
    assert call(machine, "mmap", _2=4) == call(machine, "mprotect", _2=5) == REFUSE
    assert call(machine, "clone", _0=constants.CLONE_THREAD | 0x100) == ALLOW
    assert call(machine, "clone", _0=17) == KILL
    assert call(machine, "clone3") == constants.SECCOMP_RET_ERRNO | errno.ENOSYS
    assert call(machine, "tgkill", _0=PID) == ALLOW
    assert call(machine, "tgkill", _0=PID + 1) == KILL
    assert call(machine, "prlimit64", _2=0) == ALLOW
    assert call(machine, "prlimit64", _2=0x7FFF_0000_0000) == call(machine, "prlimit64", _2=8) == REFUSE
    assert call(machine, "fcntl", _1=3) == ALLOW
    assert call(machine, "fcntl", _1=8) == REFUSE  # F_SETOWN: would direct signals at others
    assert call(machine, "prctl", _0=constants.PR_SET_NAME) == ALLOW
    assert call(machine, "prctl", _0=constants.PR_SET_DUMPABLE) == REFUSE
