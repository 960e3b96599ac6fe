from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.support.elements import Elements, elements_of
from tests.support.outcomes import outcome
from worker.training.classification.evaluation.page import write_report


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = [
        outcome(arch=arch, draw=draw, protocol=protocol)
        for draw, arch in enumerate(("hybrid", "vgg16", "colour"))
        for protocol in ("paper", "grouped")
    ]
    types = outcome(task="pbc", classes=("a", "b", "c"), positive=(), grouping="image", arch="svm")
    return write_report([*made, types], tmp_path_factory.mktemp("report"), notes=["crops of 64 px & <more>"])


@pytest.fixture(scope="module")
def elements(page: Path) -> Elements:
    return elements_of(page.read_text(encoding="utf-8"))


def test_the_page_is_whole_and_says_what_it_is_not_for(page: Path, elements: Elements) -> None:
    assert elements.open == []
    text = page.read_text(encoding="utf-8")
    assert text.count("Research use only, not for diagnostic procedures") == 2
    assert "Positive means malignant" in text
    assert "image-level" in text
    assert "crops of 64 px &amp; &lt;more&gt;" in text


def test_the_page_needs_no_other_file_and_no_network(page: Path, elements: Elements) -> None:
    assert {tag for tag, _ in elements.found}.isdisjoint({"script", "link", "iframe", "object"})
    sources = [str(attributes["src"]) for tag, attributes in elements.found if tag == "img"]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"url\(|@import|https?://", page.read_text(encoding="utf-8"))


def test_pictures_have_words_and_headings_cells(elements: Elements) -> None:
    assert all(attributes.get("alt") for tag, attributes in elements.found if tag == "img")
    assert all(attributes.get("scope") for tag, attributes in elements.found if tag == "th")
    names = [str(attributes["id"]) for _, attributes in elements.found if "id" in attributes]
    assert len(names) == len(set(names))
    links = [str(attributes["href"]) for tag, attributes in elements.found if tag == "a"]
    assert {link.removeprefix("#") for link in links} <= set(names)


def test_beside_the_page_lie_its_plots_tables_and_figures(page: Path) -> None:
    written = {path.name for path in page.parent.iterdir()}
    of_task = {f"{what}.png" for what in ("roc", "pr", "folds", "reliability-grouped", "confusion-grouped")}
    assert {f"segpc-{name}" for name in of_task} | {f"pbc-{name}" for name in of_task} <= written
    assert {"overview.png", "differences.png", "tables.md", "figures.json"} <= written
    for path in page.parent.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.width >= 300, path.name
            assert "research use only" in picture.info["Description"]
    assert len(json.loads((page.parent / "figures.json").read_text(encoding="utf-8"))["systems"]) == 7
    tables = (page.parent / "tables.md").read_text(encoding="utf-8")
    assert "**Research use only, not for diagnostic procedures.**" in tables
    assert "### Table 3: VGG16+VGG19 (hybrid, parallel)" in tables


def test_the_same_predictions_make_the_same_report(tmp_path: Path) -> None:
    again = [write_report([outcome(arch="svm")], tmp_path / name, notes=[]).read_bytes() for name in ("a", "b")]
    assert again[0] == again[1]
