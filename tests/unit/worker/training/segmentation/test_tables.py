from __future__ import annotations

import json

import pytest

from worker.training.segmentation.clumps import ClumpCounts
from worker.training.segmentation.figures import figures
from worker.training.segmentation.metrics import Counts
from worker.training.segmentation.partial import PartialCounts
from worker.training.segmentation.scores import FieldScore, Masks, SourceScore
from worker.training.segmentation.sets import Known
from worker.training.segmentation.tables import FORMAT, to_json, to_markdown


def masks(dice: float, found: int) -> Masks:
    counts = Counts(truth=2, found=found, hits=1, iou_sum=0.8, dice_sum=0.9)
    return Masks(dice=dice, jaccard=dice / 2, aggregated_jaccard=dice / 3, counts=counts)


def every(source: str = "smears") -> SourceScore:
    fields = tuple(
        FieldScore(
            name=f"f{n}",
            group=f"g{n}",
            whole=masks(dice, 2 + n),
            clumps=ClumpCounts(clumps=1, truth=4, found=3 + n, off=n),
        )
        for n, dice in enumerate((0.8, 0.9))
    )
    return SourceScore(source=source, segmenter="mine", known=Known.EVERY_CELL, fields=fields)


def middle() -> SourceScore:
    field = FieldScore(name="m", group="g", whole=masks(0.7, 2), without_rim=masks(0.95, 1), nucleus_dice=0.91)
    return SourceScore(source="crops", segmenter="mine", known=Known.MIDDLE_CELL, fields=(field,))


def some() -> SourceScore:
    strict = Counts(truth=10, found=7, hits=7, iou_sum=6.0, dice_sum=6.3)
    joined = Counts(truth=10, found=9, hits=9, iou_sum=8.0, dice_sum=8.1)
    single = Counts(truth=6, found=6, hits=6, iou_sum=5.0, dice_sum=5.4)
    partial = PartialCounts(strict=strict, joined=joined, single=single, merged=3, crumbs=1)
    field = FieldScore(name="s", group="g", partial=partial)
    return SourceScore(source="marrow", segmenter="mine", known=Known.SOME_CELLS, fields=(field,))


def cells(markdown: str, source: str) -> list[list[str]]:
    """Return the cells of every row of a source, in the order of the tables."""
    rows = [line for line in markdown.splitlines() if line.startswith(f"| {source}")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_main_row_has_every_figure_in_its_place() -> None:
    row, clumps = cells(to_markdown([every()]), "smears")
    assert row[:5] == ["smears", "mine", "2", "4", "0.850 (0.800 to 0.900)"]
    assert row[5:10] == ["-", "0.283", "0.356", "0.400", "0.500"]
    assert row[10].startswith("0.444 (")
    assert row[11] == "0.50 (+25.0%)"
    assert clumps == ["smears", "mine", "2", "8", "7", "-12.5%", "12.5%"]


def test_a_table_has_as_many_cells_in_each_row_as_in_its_head() -> None:
    for block in to_markdown([every(), middle(), some()]).split("\n\n"):
        rows = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1


def test_where_some_cells_are_outlined_only_what_can_be_told_is() -> None:
    row, partial = cells(to_markdown([some()]), "marrow")
    assert row == ["marrow \\*", "mine", "1", "10", "0.900", "-", "-", "-", "-", "0.700", "-", "-"]
    assert partial == ["marrow", "mine", "10", "0.700", "0.900", "3", "1", "1.000", "0.900", "0.900"]
    assert {"f1", "precision", "panoptic_quality", "dice"}.isdisjoint(figures(some()))


def test_the_figure_that_counts_strangers_stands_first() -> None:
    row, rim = cells(to_markdown([middle()]), "crops")
    assert row[4:6] == ["0.700", "0.910"]
    assert rim == ["crops", "mine", "0.700", "0.950", "0.500", "0.667"]


def test_tables_without_rows_are_left_out() -> None:
    assert to_markdown([middle()]).count("| data set |") == 2
    assert to_markdown([some()]).count("| data set |") == 2


def test_the_document_holds_figures_and_every_field() -> None:
    document = json.loads(to_json([every(), some()], part="val"))
    assert (document["format"], document["part"]) == (FORMAT, "val")
    whole, partial = document["scores"]
    assert whole["figures"]["dice"] == {"value": 0.85, "low": 0.8, "high": 0.9}
    assert whole["figures"]["f1"]["value"] == pytest.approx(0.4444)
    assert [field["whole"]["dice"] for field in whole["fields"]] == [0.8, 0.9]
    assert (partial["outlined"], partial["partial"]["merged"]) == ("some cells", 3)
    assert partial["figures"]["recall_joined"]["value"] == 0.9
