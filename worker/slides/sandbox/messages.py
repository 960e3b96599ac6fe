"""Messages between the worker, the host and a slide's process: one JSON object per packet, bounded in size.

What comes from a slide's process is an attacker's word once it has parsed the slide: it is looked at field by field
(`Fields`), and strings of it become error texts only, cut and cleaned.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 32 * 2**10
_MAX_FDS = 4
_MAX_TEXT = 300


class MisbehavedError(Exception):
    """The other side said what it never says."""


class GoneError(Exception):
    """The other side has closed the connection."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends that keep the bounds of packets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(to: socket.socket, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
    """Send one message, with descriptors.

    Raises:
        GoneError: when nobody is there to read it.
        TimeoutError: when the socket has a time-out and nobody reads.
    """
    try:
        socket.send_fds(to, [json.dumps(message).encode()], list(fds))
    except (BrokenPipeError, ConnectionResetError):
        raise GoneError from None


def receive(source: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Wait for one message and the descriptors that came with it, of a side that is trusted with sending some.

    Raises:
        GoneError: when the other side has closed.
        MisbehavedError: for anything but a JSON object of at most MAX_BYTES.
        TimeoutError: when the socket has a time-out.
    """
    try:
        packet, fds, flags, _ = socket.recv_fds(source, MAX_BYTES, _MAX_FDS)
    except ConnectionResetError:
        raise GoneError from None
    return _parsed(packet, truncated=bool(flags & socket.MSG_TRUNC)), fds


def receive_plain(source: socket.socket) -> dict[str, Any]:
    """Wait for one message as `receive` does; descriptors that came with it are refused by the kernel."""
    try:
        packet, _, flags, _ = source.recvmsg(MAX_BYTES)
    except ConnectionResetError:
        raise GoneError from None
    return _parsed(packet, truncated=bool(flags & socket.MSG_TRUNC))


def _parsed(packet: bytes, *, truncated: bool) -> dict[str, Any]:
    if not packet:
        raise GoneError
    if truncated:
        raise MisbehavedError("a message is too long")
    try:
        message = json.loads(packet)
    except (ValueError, RecursionError):
        raise MisbehavedError("a message is no JSON") from None
    if not isinstance(message, dict):
        raise MisbehavedError("a message is no object")
    return message


@dataclass(frozen=True)
class Fields:
    """A message of an untrusted sender, read one checked field at a time; each method may raise MisbehavedError."""

    message: Mapping[str, Any]

    def whole(self, name: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        return _whole(self.message.get(name), name, low, high)

    def number(self, name: str, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        return _number(self.message.get(name), name, low, high)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.message.get(name)
        if not isinstance(value, bool):
            raise MisbehavedError(f"{name} is neither true nor false")
        return value

    def word(self, name: str) -> str:
        """Return a code: up to 40 small letters, digits, `_` and `-`."""
        value = self.message.get(name)
        if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9_-]{1,40}", value):
            raise MisbehavedError(f"{name} is no code")
        return value

    def text(self, name: str) -> str:
        """Return a text on one line, cut, without control characters and other unprintable ones."""
        value = self.message.get(name)
        if not isinstance(value, str):
            raise MisbehavedError(f"{name} is no text")
        return "".join(letter if letter.isprintable() else " " for letter in value[:_MAX_TEXT]).strip()

    def items(self, name: str, length: int | None = None, *, most: int = 64) -> list[Any]:
        """Return a list of the given length, or of up to `most`; its items are not checked."""
        value = self.message.get(name)
        if not isinstance(value, list) or len(value) > most or (length is not None and len(value) != length):
            raise MisbehavedError(f"{name} is no list of the right length")
        return value

    def whole_numbers(self, name: str, length: int, low: int, high: int) -> tuple[int, ...]:
        """Return so many whole numbers."""
        return tuple(_whole(item, name, low, high) for item in self.items(name, length))

    def inner(self, name: str) -> Fields:
        """Return an object inside this one."""
        value = self.message.get(name)
        if not isinstance(value, dict):
            raise MisbehavedError(f"{name} is no object")
        return Fields(value)


def _whole(value: object, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise MisbehavedError(f"{name} is no whole number in its range")
    return value


def _number(value: object, name: str, low: float, high: float) -> float:
    # A NaN is in no range.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise MisbehavedError(f"{name} is no number in its range")
    return float(value)
