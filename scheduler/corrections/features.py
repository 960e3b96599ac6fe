"""The features of a GeoJSON file one by one, so that a slide of 500,000 cells needs no more memory than one cell."""

from __future__ import annotations

import gzip
import json
import re
from codecs import BOM_UTF8, getincrementaldecoder
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from worker.errors import BadRequestError

_CHUNK = 1 << 20
_LONGEST = 64 << 20
"""Characters of the longest value; a cell has some hundreds."""
_LONGEST_WORD = 16
"""Characters of what stands outside strings, as `-Infinity`; an escape within one is no longer."""
_DIGITS = re.compile(r"[0-9.eE+-]*")
_SPACE = re.compile(r"[ \t\r\n]*")


def features(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the features of a collection, of a list of features, or the single one of a file, also one packed by gzip.

    Raises BadRequestError where it cannot be read or is no GeoJSON, naming the file, the feature, and the bytes before.
    """
    read = 0
    try:
        with _opened(path) as file:
            for one in _features(_Reader(file)):
                yield one
                read += 1
    except (OSError, EOFError) as error:
        raise BadRequestError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except ValueError as error:
        raise BadRequestError(f"{path.name}, feature {read + 1}: no GeoJSON ({error}); export it again") from error


def _feature(value: Any, where: Callable[[], str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.get("type") != "Feature":
        raise ValueError(f"it is no feature, {where()}")
    return value


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


class _Reader:
    """JSON values off a file; only the one that is being read is held. Its errors name their place in the file."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self._text, self._at, self._ended = "", 0, False
        self._decoder, self._letters = json.JSONDecoder(), getincrementaldecoder("utf-8")()
        head = file.read(len(BOM_UTF8))
        self._unread = b"" if head == BOM_UTF8 else head
        self._passed = len(head) - len(self._unread)  # bytes of the file before the text that is held
        self._began = 0  # where the last value does in that text
        self._whose = " of what it unpacks to" if isinstance(file, gzip.GzipFile) else " of the file"

    def here(self) -> str:
        """Return in words how much of the file lies before the next character."""
        return self._place(self._at)

    def began(self) -> str:
        """Return in words how much of the file lies before the value that was just read."""
        return self._place(self._began)

    def next_sign(self) -> str:
        """Return the next character that is no space, '' at the end, and leave it there."""
        while True:
            self._at = cast(re.Match[str], _SPACE.match(self._text, self._at)).end()
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def take(self, signs: str) -> str:
        """Return the next character, which must be one of these. Raises ValueError."""
        found = self.next_sign()
        if not found or found not in signs:
            raise ValueError(f"{found or 'the end'!r} where one of {signs!r} should be, {self.here()}")
        self._at += 1
        return found

    def value(self) -> Any:
        """Return the next value. Raises ValueError."""
        self.next_sign()
        self._began = self._at
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or self._is_damage(error):
                    raise ValueError(f"{error.msg}, {self._place(error.pos)}") from error
            except RecursionError as error:
                raise ValueError(f"nested too deeply, {self.began()}") from error
            else:
                if self._ended or cast(re.Match[str], _DIGITS.match(self._text, end)).end() < len(self._text):
                    self._at = end
                    return found  # otherwise it may be a number that goes on
            self._more()

    def _is_damage(self, error: json.JSONDecodeError) -> bool:
        """Tell an error that more of the file cannot mend; a string may go on, and so may a word at the very end."""
        return not error.msg.startswith("Unterminated string") and error.pos + _LONGEST_WORD < len(self._text)

    def _place(self, at: int) -> str:
        return self._after(self._passed + len(self._text[:at].encode()))

    def _after(self, passed: int) -> str:
        return f"after {passed:,} byte{'' if passed == 1 else 's'}{self._whose}"

    def _more(self) -> None:
        rest = self._text[self._at :]
        if len(rest) > _LONGEST:
            raise ValueError(f"a value is longer than any cell's, {self.here()}")
        self._passed += len(self._text[: self._at].encode())
        raw = self._unread + self._file.read(max(_CHUNK, len(rest)))
        self._unread = b""
        self._text, self._at, self._began, self._ended = rest + self._decoded(rest, raw), 0, 0, not raw

    def _decoded(self, rest: str, raw: bytes) -> str:
        """Return the text of these bytes; up to a byte that is none, which is refused when all before it was read."""
        try:
            return self._letters.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            if not error.start:
                where = self._after(self._passed + len(rest.encode()))
                raise ValueError(f"no UTF-8: {error.reason}, {where}") from error
            self._letters.reset()
            self._unread = error.object[error.start :]
            return error.object[: error.start].decode()


def _features(reader: _Reader) -> Iterator[dict[str, Any]]:
    if reader.next_sign() == "[":
        yield from _listed(reader)
        return
    begin = reader.here()
    reader.take("{")
    single: dict[str, Any] = {}
    while reader.next_sign() != "}":
        name = reader.value()
        reader.take(":")
        if name == "features":
            yield from _listed(reader)
        else:
            single[name] = reader.value()
        if reader.next_sign() != "}":
            reader.take(",")
    if single.get("type") != "FeatureCollection":
        yield _feature(single, lambda: begin)


def _listed(reader: _Reader) -> Iterator[dict[str, Any]]:
    reader.take("[")
    if reader.next_sign() == "]":
        reader.take("]")
        return
    while True:
        yield _feature(reader.value(), reader.began)
        if reader.take(",]") == "]":
            return
