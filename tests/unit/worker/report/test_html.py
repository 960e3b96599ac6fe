from __future__ import annotations

import itertools
import re
from html import unescape

import pytest

from tests.support.cases import case, with_evidence
from tests.support.elements import elements_of
from tests.support.report_pages import report_page
from tests.unit.worker.report.test_content import MORE, stop
from worker.outputs.report.html import rendered


@pytest.fixture(scope="module")
def page() -> str:
    return rendered(report_page(case(quarantined=1)))


def test_the_page_is_whole_and_carries_the_notice_above_and_below(page: str) -> None:
    assert elements_of(page).open == []
    body = page[page.index("<body>") :]
    assert body.index("Research use only, not for diagnostic procedures") < body.index("Incomplete")
    assert body.rindex("Research use only, not for diagnostic procedures") > body.index("What this report cannot say")


def test_the_page_says_where_counting_stopped_and_what_the_fuzzy_rules_were_told() -> None:
    stopped = stop(1, look=500, cells=512, reason="clear: so many")
    content = report_page(with_evidence(case(), **MORE, counting=[stopped]))
    said = unescape(rendered(content))
    told = [one.note for one in content.stops] + [one.name for view in content.fuzzy for one in view.inputs]
    assert [text for text in (content.reading, content.stops_lead, *told) if text not in said] == []
    assert said.count("Stopped at 512 counted cells") == 1
    assert "Where counting stopped" not in rendered(report_page(case()))


def test_the_page_needs_no_other_file_no_script_and_no_network(page: str) -> None:
    found = elements_of(page).found
    assert {tag for tag, _ in found}.isdisjoint({"script", "link", "iframe", "object", "form"})
    sources = [str(attributes["src"]) for tag, attributes in found if tag == "img"]
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"url\(|@import|https?://|\son\w+=", page)


def test_pictures_and_bars_have_words_tables_heads_and_links_ends(page: str) -> None:
    found = elements_of(page).found
    assert all(attributes.get("alt") for tag, attributes in found if tag == "img")
    assert all(attributes.get("aria-label") for _, attributes in found if attributes.get("role") == "img")
    assert all(attributes.get("scope") for tag, attributes in found if tag == "th")
    names = [str(attributes["id"]) for _, attributes in found if "id" in attributes]
    assert len(names) == len(set(names))
    ends = {str(attributes["href"]).removeprefix("#") for tag, attributes in found if tag == "a"}
    assert ends | {str(a["aria-labelledby"]) for _, a in found if "aria-labelledby" in a} <= set(names)


def test_headings_skip_no_level(page: str) -> None:
    levels = [int(tag[1]) for tag, _ in elements_of(page).found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_nothing_that_a_lab_writes_becomes_markup() -> None:
    hostile = '<script>alert("x")</script>'
    fuzzy = {"ALL": {"system": hostile, "inputs": {hostile: 1.0}, "rules": [{"rule": hostile, "strength": 1}]}}
    found = elements_of(rendered(report_page(with_evidence(case(patient=hostile, quarantined=1), fuzzy=fuzzy))))
    assert "script" not in {tag for tag, _ in found.found}
    assert "are" not in {tag for tag, _ in found.found}  # of the reason "its tiles <are torn>"


def test_bars_stay_on_their_axis(page: str) -> None:
    places = [float(one) for one in re.findall(r"left:([0-9.]+)%", page)]
    assert places
    assert all(0 <= place <= 100 for place in places)
