"""Reports in a real browser: what is seen, what is asked of the network, and what fits on which screen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from db.cases import Case
from tests.support.browser import chromium
from tests.support.cases import MM_LIKE, NORMAL, case, with_evidence
from tests.support.report_pages import report_page
from worker.correction import Use
from worker.counting.evidence import MEANING
from worker.outputs.report import words
from worker.outputs.report.html import rendered

LONG = "a-pseudonym-without-any-place-to-break-it-" * 3
PERSONS = {
    "specimens": [{"specimen": "marrow", "cells": 40, "changed": 12, "corrected_shares": Use.UNFIT.value}],
    "meaning": MEANING,
}
CASES = {
    "ALL": (case(quarantined=0), "Consistent with acute lymphoblastic leukaemia (ALL)"),
    "MM": (case(MM_LIKE), "Consistent with multiple myeloma (MM)"),
    "none": (case(NORMAL), "No evidence of ALL or MM in the counted cells"),
    "corrected": (with_evidence(case(), persons=PERSONS), "Consistent with acute lymphoblastic leukaemia (ALL)"),
    "incomplete": (case(quarantined=2, patient=LONG), "Incomplete: not every slide has been read"),
}
WIDTHS = (390, 1280)
FACES = """
() => {
  const light = c => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
  const luminance = rgb => 0.2126 * light(rgb[0]) + 0.7152 * light(rgb[1]) + 0.0722 * light(rgb[2]);
  const parse = text => text.match(/[0-9.]+/g).map(Number);
  const back = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim()) continue;
    const [a, b] = [parse(getComputedStyle(element).color), back(element)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([texts.currentNode.textContent.trim(), ratio]);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    return {name: written(folder / f"{name}.html", of) for name, (of, _) in CASES.items()}


def written(path: Path, of: Case) -> Path:
    path.write_text(rendered(report_page(of)), encoding="utf-8")
    return path


def opened(browser: Browser, path: Path, width: int = 1280) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("name", CASES)
def test_the_finding_is_seen_first(browser: Browser, pages: dict[str, Path], name: str) -> None:
    page = opened(browser, pages[name])
    heading = page.get_by_role("heading", level=2).first
    box = heading.bounding_box()
    assert (heading.inner_text(), box is not None and box["y"] < 500) == (CASES[name][1], True)
    assert page.get_by_text("Research use only, not for diagnostic procedures").first.is_visible()
    page.close()


def test_nothing_is_asked_of_the_network_and_every_picture_shows(browser: Browser, pages: dict[str, Path]) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(pages["ALL"].as_uri())
    page.mouse.wheel(0, 20_000)
    page.wait_for_load_state("networkidle")
    assert [url for url in asked if not url.startswith("data:image/jpeg")] == [pages["ALL"].as_uri()]
    assert complaints == []
    shown = page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)")
    assert len(shown) > 40
    assert all(shown)
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", CASES)
def test_no_part_of_it_runs_off_the_screen(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    page = opened(browser, pages[name], width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    off = page.evaluate(
        "w => [...document.querySelectorAll('.sheet, .sheet *')].filter(e => !e.closest('.scroll')"
        " && (e.getBoundingClientRect().right > w + 1 || (e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1)))"
        ".map(e => e.outerHTML.slice(0, 80))",
        width,
    )
    assert off == []
    page.close()


BROKEN = """
() => {
  const found = [];
  for (const caption of document.querySelectorAll('figcaption')) {
    const texts = document.createTreeWalker(caption, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      for (const word of texts.currentNode.textContent.matchAll(/[^ ]+/g)) {
        const range = document.createRange();
        range.setStart(texts.currentNode, word.index);
        range.setEnd(texts.currentNode, word.index + word[0].length);
        if (range.getClientRects().length > 1) found.push(word[0]);
      }
    }
  }
  return found;
}
"""


@pytest.mark.parametrize("width", WIDTHS)
def test_no_word_of_a_caption_is_broken(browser: Browser, tmp_path: Path, width: int) -> None:
    page = report_page(case())
    cells = tuple(
        replace(page.gallery[0].cells[0], called=said)
        for name in words.SINGULAR.values()
        for said in (f"{name}?", f"corrected, was {name}")
    )
    groups = tuple(replace(one, cells=cells) for one in page.gallery)
    path = tmp_path / "page.html"
    path.write_text(rendered(replace(page, gallery=groups)), encoding="utf-8")
    shown = opened(browser, path, width)
    assert shown.locator("figcaption").count() > len(cells)
    assert shown.evaluate(BROKEN) == []
    shown.close()


@pytest.mark.parametrize("name", CASES)
def test_every_word_stands_out_from_its_ground(browser: Browser, pages: dict[str, Path], name: str) -> None:
    page = opened(browser, pages[name])
    assert page.evaluate(FACES) == []
    page.close()


def test_it_can_be_found_through_by_landmarks_headings_and_keys(browser: Browser, pages: dict[str, Path]) -> None:
    page = opened(browser, pages["ALL"])
    for role in ("main", "banner", "contentinfo", "navigation"):
        assert page.get_by_role(role).count() == 1, role
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the finding"
    page.get_by_role("link", name="Differential").click()
    assert page.get_by_role("heading", name="Differential of the marrow").is_visible()
    assert page.get_by_role("img", name="Lymphoblasts: 55.9").count() > 0
    page.close()


def test_printed_it_says_all_of_it_and_the_notice_on_each_sheet(browser: Browser, tmp_path: Path) -> None:
    path = written(tmp_path / "page.html", with_evidence(case(), more_cells=800))
    page = opened(browser, path)
    sheets = PdfReader(BytesIO(page.pdf(prefer_css_page_size=True))).pages
    texts = [" ".join(sheet.extract_text().split()) for sheet in sheets]
    assert all("Research use only, not for diagnostic procedures" in text for text in texts)
    assert "Consistent with acute lymphoblastic leukaemia" in texts[0]
    assert any("All classes on each slide" in text and "Neutrophils" in text for text in texts)
    assert round(float(sheets[0].mediabox.width)) == 595  # A4
    page.close()
