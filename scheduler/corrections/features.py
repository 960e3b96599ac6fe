"""The features of a GeoJSON file one by one, so that a slide of 500,000 cells needs no more memory than one cell."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from worker.errors import BadRequestError

_CHUNK = 1 << 20
_LONGEST = 64 << 20
"""Characters of the longest value; a cell has some hundreds."""
_DIGITS = re.compile(r"[0-9.eE+-]*")
_SPACE = re.compile(r"[ \t\r\n]*")


def features(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the features of a collection, of a list of features, or the single one of a file, also one packed by gzip.

    Raises BadRequestError, naming the file and the feature, where it cannot be read or is no GeoJSON.
    """
    read = 0
    try:
        with _opened(path) as file:
            for one in _features(_Reader(file)):
                yield _feature(one)
                read += 1
    except (OSError, EOFError) as error:
        raise BadRequestError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"{path.name}, feature {read + 1}: no GeoJSON ({error}); export it again") from error


def _feature(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or value.get("type") != "Feature":
        raise ValueError("it is no feature")
    return value


def _opened(path: Path) -> TextIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig") if packed else path.open(encoding="utf-8-sig"))


class _Reader:
    """JSON values off a text file; only the one that is being read is held."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text, self._at, self._ended = "", 0, False
        self._decoder = json.JSONDecoder()

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
            raise ValueError(f"{found or 'the end'!r} where one of {signs!r} should be")
        self._at += 1
        return found

    def value(self) -> Any:
        """Return the next value. Raises ValueError."""
        self.next_sign()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise
            else:
                if self._ended or cast(re.Match[str], _DIGITS.match(self._text, end)).end() < len(self._text):
                    self._at = end
                    return found  # otherwise it may be a number that goes on
            self._more()

    def _more(self) -> None:
        rest = self._text[self._at :]
        if len(rest) > _LONGEST:
            raise ValueError("a value is longer than any cell's")
        added = self._file.read(max(_CHUNK, len(rest)))
        self._text, self._at, self._ended = rest + added, 0, not added


def _features(reader: _Reader) -> Iterator[Any]:
    if reader.next_sign() == "[":
        yield from _listed(reader)
        return
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
        yield single


def _listed(reader: _Reader) -> Iterator[Any]:
    reader.take("[")
    if reader.next_sign() == "]":
        reader.take("]")
        return
    while True:
        yield reader.value()
        if reader.take(",]") == "]":
            return
