"""Letters that paper cannot show: found by asking Typst, and spelt as their codes, so that none is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typst

STANDARD: Final = "ua-1"
"""PDF/UA: what readers aloud need is in the file, or it is not written."""
_PROBE: Final = """#set document(title: "probe")
#set text(font: ("Roboto", "DejaVu Sans Mono"), lang: "en")
#sys.inputs.text"""


def unshown(document: Any, fonts: Path) -> frozenset[str]:
    """Return the letters in a document's texts that none of the fonts has."""
    letters = {letter for text in _texts(document) for letter in text}
    return frozenset(one for one in letters if not (one.isascii() and one.isprintable()) and not _is_shown(one, fonts))


def spelt(document: Any, letters: Iterable[str]) -> Any:
    """Return a document with these letters as their codes: `[U+60A3]`."""
    return _spelt(document, {ord(letter): f"[U+{ord(letter):04X}]" for letter in letters})


def _is_shown(letter: str, fonts: Path) -> bool:
    given: Any = [fonts]  # typed as of the source's own kind, bytes
    try:
        typst.compile(
            _PROBE.encode(),
            format="pdf",
            pdf_standards=STANDARD,
            font_paths=given,
            ignore_system_fonts=True,
            sys_inputs={"text": letter},
        )
    except typst.TypstError:
        return False
    return True


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _spelt(value: Any, codes: Mapping[int, str]) -> Any:
    if isinstance(value, str):
        return value.translate(codes)
    if isinstance(value, list):
        return [_spelt(one, codes) for one in value]
    return {name: _spelt(one, codes) for name, one in value.items()} if isinstance(value, dict) else value
