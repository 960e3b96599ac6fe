"""Reads which files a slide's index names. An index is hostile: it is cut to size, and only plain names count."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from worker.errors import BadSlideError
from worker.slide_sets import MOST_FILES, SLIDEDAT, SetKind, is_plain_name

LIMIT_BYTES = {SetKind.MRXS: 2**20, SetKind.HAMAMATSU: 2**16}
"""The longest index that is read; OpenSlide has the same limits."""
_HAMAMATSU_FILES = re.compile(r"(ImageFile(\([0-9, ]{1,20}\))?|MapFile|OptimisationFile|MacroImage)")
_HAMAMATSU_SECTIONS = ("Virtual Microscope Specimen", "Uncompressed Virtual Microscope Specimen")


def named_files(kind: SetKind, index: bytes) -> frozenset[str]:
    """Return the names of the files that a set needs beside its index, relative to its folder.

    MRXS: `index` is the content of Slidedat.ini, which is among the names; VMS, VMU: that of the index itself.
    Raises BadSlideError (`bad_index`) when it cannot be understood.
    """
    if len(index) > LIMIT_BYTES[kind]:
        raise _bad("it is too long")
    sections = _sections(index.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"))
    names = frozenset(_mrxs(sections) if kind is SetKind.MRXS else _hamamatsu(sections))
    if len(names) > MOST_FILES:
        raise _bad("it names too many files")
    if not names or not all(is_plain_name(name) for name in names):
        raise _bad("a file that it names has no plain name" if names else "it names no files")
    return names


def _mrxs(sections: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    data = sections.get("DATAFILE", {})
    count = data.get("FILE_COUNT", "")
    if not re.fullmatch(r"[0-9]{1,5}", count) or not 0 < int(count) <= MOST_FILES:
        raise _bad("its number of data files is no number, or too large")
    yield SLIDEDAT
    yield sections.get("HIERARCHICAL", {}).get("INDEXFILE", "")
    for number in range(int(count)):
        yield data.get(f"FILE_{number}", "")


def _hamamatsu(sections: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for section in _HAMAMATSU_SECTIONS:
        for key, value in sections.get(section, {}).items():
            if value and _HAMAMATSU_FILES.fullmatch(key):
                yield value


def _sections(text: str) -> dict[str, dict[str, str]]:
    """Return the keys and values of each section, as GLib's key files have them; the last of equal keys holds."""
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in text.split("\n"):
        content = line.strip()
        if content.startswith("[") and content.endswith("]"):
            section = sections.setdefault(content[1:-1], {})
        elif content and not content.startswith("#"):
            key, _, value = content.partition("=")
            section[key.strip()] = value.strip()
    return sections


def _bad(cause: str) -> BadSlideError:
    return BadSlideError("bad_index", f"its index cannot be understood: {cause}", "Export the slide again.")
