"""The elements of a page, for tests of what is written as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "img", "br", "path", "circle"}

Attributes = dict[str, str | None]


class Elements(HTMLParser):
    """Collects elements, and proves that what was opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, Attributes]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements_of(page: str) -> Elements:
    """Return what a page consists of; what was opened last and not closed is at the end of `open`."""
    found = Elements()
    found.feed(page)
    return found
