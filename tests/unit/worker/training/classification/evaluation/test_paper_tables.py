from __future__ import annotations

import pytest

from tests.support.outcomes import outcome
from worker.training.classification.evaluation import paper_tables, reported, task_tables
from worker.training.classification.evaluation.findings import against_singles
from worker.training.classification.evaluation.judging import Judged, judge
from worker.training.classification.evaluation.tables import NONE, Table, to_markdown

_SYSTEMS = {"hybrid": 2.5, "vgg16": 2.4, "vgg19": 0.5, "svm": 1.0, "dcnn": 1.0}


@pytest.fixture(scope="module")
def judged() -> Judged:
    of_cells = [
        outcome(arch=arch, skill=skill, draw=draw, protocol=protocol, count=90, groups=30)
        for draw, (arch, skill) in enumerate(_SYSTEMS.items())
        for protocol in ("paper", "grouped")
    ]
    types = outcome(task="pbc", classes=("a", "b", "c"), positive=(), grouping="image")
    return judge([*of_cells, types])


def _row(table: Table, name: str) -> list[str]:
    return next([cell.text for cell in row.cells] for row in table.rows if name in row.name.detail)


def test_the_papers_numbers_go_with_its_systems(judged: Judged) -> None:
    ours = [table.title for table, _ in paper_tables.numbered(judged)]
    assert ours == [
        "Table 1: VGG19",
        "Table 2: VGG16",
        "Table 3: VGG16+VGG19 (hybrid, parallel)",
        "Table 5: SVM and VGG16+VGG19 (hybrid, parallel)",
    ]  # ResNet50 was not judged
    assert [table.title for table in paper_tables.others(judged)] == ["In the same shape: DCNN"]


def test_both_protocols_and_the_gap_stand_side_by_side(judged: Judged) -> None:
    table = paper_tables.numbered(judged)[0][0]
    assert table.columns[:3] == (("accuracy", "paper"), ("accuracy", "grouped"), ("accuracy", "gap"))
    accuracy = [judged.judgements["segpc", p, "vgg19"].figures["accuracy"].value for p in ("paper", "grouped")]
    row = _row(table, "segpc")
    assert row[:2] == [f"{100 * value:.1f}" for value in accuracy]
    assert float(row[2].replace("\N{MINUS SIGN}", "-")) == pytest.approx(100 * (accuracy[0] - accuracy[1]), abs=0.06)


def test_a_protocol_that_was_not_run_leaves_dashes(judged: Judged) -> None:
    row = _row(paper_tables.numbered(judged)[2][0], "pbc")
    assert row[0] == row[2] == NONE
    assert row[1] != NONE


def test_a_set_without_groups_is_called_image_level_and_its_averages_macro(judged: Judged) -> None:
    details = [row.name.detail for row in paper_tables.numbered(judged)[2][0].rows]
    assert details == ["segpc, by patient", "pbc, image-level, macro"]


def test_only_the_fifth_table_has_specificity(judged: Judged) -> None:
    heads = [{group for group, _ in table.columns} for table, _ in paper_tables.numbered(judged)]
    assert ["specificity" in head for head in heads] == [False, False, False, True]


def test_what_the_paper_reports_is_printed_as_there() -> None:
    assert [len(rows) for rows in reported.DATA_SETS.values()] == [5] * 4
    first = {arch: (rows[0].accuracy, rows[0].precision, rows[0].recall) for arch, rows in reported.DATA_SETS.items()}
    assert first == {
        "vgg19": (92.12, 95, 90.18),
        "vgg16": (90.58, 89.21, 99.99),
        "hybrid": (99.99, 100, 99.99),
        "resnet50": (96.23, 92.54, 91.45),
    }
    # Sums over the five rows of the paper's tables, added by hand.
    assert sum(row.accuracy for row in reported.DATA_SETS["hybrid"]) == pytest.approx(496.23)
    assert sum(row.recall for row in reported.DATA_SETS["resnet50"]) == pytest.approx(469.39)
    assert reported.COMPARED["svm"].specificity == 95.19


def test_the_section_on_single_networks_names_what_is_not_beaten(judged: Judged) -> None:
    table = task_tables.not_beaten(judged)
    assert {row.cells[0].text for row in table.rows} == {"VGG16"}
    assert {row.cells[-1].text for row in table.rows} == {"not told apart"}
    said = against_singles(judged, "grouped")
    assert "better in 1 (VGG19 on segpc) and worse in 0; in 1 the data cannot tell" in said


def test_a_better_single_network_is_called_so() -> None:
    pair = [outcome(arch=a, skill=s, draw=1, count=200, groups=40) for a, s in (("hybrid", 0.3), ("vgg16", 2.5))]
    judged = judge(pair)
    assert task_tables.not_beaten(judged).rows[0].cells[-1].text == "the single network is better"
    assert "worse in 1 (VGG16 on segpc)" in against_singles(judged, "grouped")


def test_the_headline_holds_the_hybrid_against_colour_alone() -> None:
    pair = [outcome(arch=a, skill=s, count=200, groups=40) for a, s in (("hybrid", 2.5), ("colour", 0.3))]
    judged = judge(pair)
    above = task_tables.headline(judged).rows[0].cells[-1].text
    expected = judged.comparisons[0].differences["balanced_accuracy"].value
    assert above == f"{100 * expected:+.1f}"


def test_the_positive_class_is_printed_with_the_figures(judged: Judged) -> None:
    assert "Positive = malignant: b." in task_tables.figures(judged, "segpc", "grouped").note
    assert "macro averages" in task_tables.figures(judged, "pbc", "grouped").note


def test_every_table_is_as_wide_as_its_head(judged: Judged) -> None:
    tables = [table for pair in paper_tables.numbered(judged) for table in pair]
    tables += [task_tables.overview(judged, "paper"), task_tables.headline(judged), task_tables.not_beaten(judged)]
    tables += [task_tables.figures(judged, "segpc", "grouped")]
    tables += [task_tables.confusion(one) for one in judged.judgements.values()]
    compared = task_tables.comparisons(judged, "segpc", "paper")
    assert compared is not None
    for table in [*tables, compared]:
        assert {len(row.cells) for row in table.rows} == {len(table.columns)}, table.title
        assert len({line.count("|") for line in to_markdown(table).splitlines() if line.startswith("|")}) == 1
    assert task_tables.comparisons(judged, "pbc", "paper") is None
