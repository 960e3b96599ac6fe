from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from tests.support.cases import AT, case, with_evidence
from tests.support.report_pages import page_without_pictures as named_by_hand
from tests.support.report_pages import report_page
from tests.unit.worker.report.test_content import MORE, stop
from worker.errors import BadRequestError
from worker.outputs.report import pdf
from worker.outputs.report.content import FuzzyInput
from worker.outputs.report.html import rendered
from worker.outputs.report.pdf import typeset

FULL = with_evidence(case(quarantined=1), **MORE, counting=[stop(1, look=500, cells=512, reason="clear: so many")])


def words_of(document: bytes) -> str:
    """Return what the pages say, without spaces: where lines end differs from the page's."""
    text = " ".join(page.extract_text() for page in PdfReader(BytesIO(document)).pages)
    return re.sub(r"[\s\u2060\u202f-]+", "", text)


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u2060\u202f-]+", "", text)


def alts_of(node: Any) -> Iterator[str]:
    """Yield the words that stand for pictures in a document's structure."""
    node = node.get_object()
    for child in node if isinstance(node, list) else [node.get("/K")] if isinstance(node, dict) else []:
        if child is not None:
            yield from alts_of(child)
    if isinstance(node, dict) and node.get("/S") == "/Figure":
        yield str(node["/Alt"])


@pytest.fixture(scope="module")
def document() -> bytes:
    return typeset(report_page(FULL), at=AT)


def test_paper_says_what_the_page_says(document: bytes) -> None:
    content = report_page(FULL)
    said = words_of(document)
    rows = [row for one in content.differentials for group in one.groups for row in group.rows]
    expected = [
        content.headline,
        *content.plain,
        content.next_step,
        content.reason,
        content.reading,
        *(f"{row.name}{row.count}{row.share}" for row in rows),
        *(one.remedy for one in content.open_slides),
        *(f"{one.share}" for one in content.criteria),
        *(share.text for one in content.comparisons for share in one.shares),
        *(rule.value for one in content.fuzzy for rule in one.rules),
        *(fact.value for fact in (*content.provenance, *content.files, *content.of_model)),
        *content.limits,
        *(text for fact in content.persons for text in (fact.name, fact.value, fact.note)),
        *(one.chance for one in content.criteria),
        *(text for fact in content.stops for text in (fact.name, fact.value[1:], fact.note)),
        *(text for view in content.fuzzy for one in view.inputs for text in (one.name, one.value, one.holds)),
    ]
    assert [text for text in expected if squeezed(text) not in said] == []


@pytest.mark.parametrize("named", [0, 3])
def test_page_and_paper_say_who_has_looked_at_the_cells(named: int) -> None:
    page = named_by_hand(case(), named=named)
    assert page.made in rendered(page)
    assert squeezed(page.made) in words_of(typeset(page, at=AT))


def test_every_page_carries_the_notice(document: bytes) -> None:
    pages = PdfReader(BytesIO(document)).pages
    assert len(pages) > 1
    assert all("Research use only, not for diagnostic procedures" in page.extract_text() for page in pages)


def test_it_can_be_read_aloud_and_shows_every_picture(document: bytes) -> None:
    read = PdfReader(BytesIO(document))
    assert read.metadata is not None
    assert read.metadata.title == "Smear report: P-1"
    assert b"pdfuaid" in document
    content = report_page(FULL)
    shown = [cell.picture for group in content.gallery for cell in group.cells]
    shown += [one.picture for one in content.slides if one.picture]
    assert sorted(alts_of(read.root_object["/StructTreeRoot"])) == sorted(one.alt for one in shown)


def test_the_same_content_makes_the_same_bytes() -> None:
    assert typeset(report_page(case()), at=AT) == typeset(report_page(case()), at=AT)


def test_nothing_that_a_lab_writes_becomes_markup() -> None:
    hostile = '#panic("x") *bold* $x$ @ref <label> \\ #include "/etc/passwd"'
    fuzzy = {"ALL": {"system": hostile, "inputs": {hostile: 1.0}, "rules": [{"rule": hostile, "strength": 1}]}}
    said = words_of(typeset(report_page(with_evidence(case(patient=hostile), fuzzy=fuzzy)), at=AT))
    assert said.count(squeezed(hostile)) >= 3


def test_letters_that_no_font_has_stand_as_their_codes_and_all_others_as_they_are() -> None:
    page = replace(report_page(case(patient="患者 Жß→")), lab="\x07😀")
    said = words_of(typeset(page, at=AT))
    assert "[U+60A3][U+8005]Жß→" in said
    assert "[U+0007][U+1F600]" in said


def test_what_cannot_be_set_even_so_is_told_with_what_serves_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "unshown", lambda _document, _fonts: frozenset())
    page = report_page(case(patient="患者"))
    with pytest.raises(BadRequestError, match=r"患.*--format html"):
        typeset(page, at=AT)


def test_no_line_ends_between_a_word_and_how_far_it_holds() -> None:
    page = report_page(FULL)
    measured = FuzzyInput(
        name="Lymphoblasts: lower end of that share's plain 95 % interval", value="22.1\u202f%",
        holds="high 0.86, moderate 0.14", limits="low up to 10\u202f%, high from 30\u202f%",
    )  # fmt: skip
    page = replace(page, fuzzy=(replace(page.fuzzy[0], inputs=(measured,)),))
    pages = PdfReader(BytesIO(typeset(page, at=AT))).pages
    lines = [line.replace("\u00a0", " ") for one in pages for line in one.extract_text().splitlines()]
    assert any("high 0.86, moderate 0.14" in line for line in lines)
