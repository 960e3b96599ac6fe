"""Scores as Markdown tables for readers and as one JSON document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from worker.training.segmentation.figures import figures
from worker.training.segmentation.scores import Figure, SourceScore
from worker.training.segmentation.sets import Known

FORMAT = "marrowline segmentation scores 1"
_NONE = "-"

Row = Sequence[str]


def to_markdown(scores: Sequence[SourceScore]) -> str:
    """Return the main table, and one for each thing that it cannot say, with what the figures mean."""
    parts = [
        _whole_table(scores),
        _some_cells_table([s for s in scores if s.known is Known.SOME_CELLS]),
        _middle_cell_table([s for s in scores if s.known is Known.MIDDLE_CELL]),
        _clumps_table([s for s in scores if s.clumps.clumps]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_json(scores: Sequence[SourceScore], **about: Any) -> str:
    """Return all figures and every field's, with what else is to be told about them."""
    return json.dumps({"format": FORMAT, **about, "scores": [_document(s) for s in scores]}, indent=1) + "\n"


def _whole_table(scores: Sequence[SourceScore]) -> str:
    head = (
        "data set", "segmenter", "images", "cells", "whole-cell Dice", "nucleus Dice", "AJI", "PQ",
        "precision", "recall", "F1", "count error",
    )  # fmt: skip
    note = (
        "Dice and AJI: mean over fields; the others over all cells of a data set, matched above an intersection over "
        "union of 0.5. In brackets the 95 % interval of a bootstrap over groups. Count error: cells too many or too "
        "few, mean over fields, and in all. \\* Only some cells are outlined: recall over them, and Dice of those "
        "matched; see below."
    )
    return _table(head, [_whole_row(s) for s in scores]) + f"\n\n{note}"


def _whole_row(score: SourceScore) -> Row:
    found, known, counts = figures(score), score.known is not Known.SOME_CELLS, score.counts
    return (
        score.source + ("" if known else " \\*"),
        score.segmenter,
        str(len(score.fields)),
        str(counts.truth),
        _with_interval(found.get("dice" if known else "matched_dice")),
        _plain(found.get("nucleus_dice")),
        _plain(found.get("aggregated_jaccard")),
        _plain(found.get("panoptic_quality")),
        _plain(found.get("precision")),
        _plain(found.get("recall")),
        _with_interval(found.get("f1")),
        f"{score.count_error:.2f} ({_signed(counts.found, counts.truth)})" if known else _NONE,
    )


def _some_cells_table(scores: Sequence[SourceScore]) -> str:
    head = (
        "data set", "segmenter", "components", "recall", "recall, joined", "look merged", "crumbs",
        "recall, single", "Dice of matched", "Dice of matched, joined",
    )  # fmt: skip
    note = (
        "Touching cells have one outline. Recall: components that one found cell matches, nothing left out. Joined: "
        "against the union of the found cells that lie in the component by more than half. Look merged: components "
        "too large for one cell, or large and notched. Crumbs: too small for one; missed all the same. Single: recall "
        "over the components that are neither."
    )
    return _table(head, [_some_cells_row(s) for s in scores]) + f"\n\n{note}" if scores else ""


def _some_cells_row(score: SourceScore) -> Row:
    found, partial = figures(score), score.partial
    return (
        score.source,
        score.segmenter,
        str(score.counts.truth),
        _with_interval(found.get("recall")),
        _with_interval(found.get("recall_joined")),
        str(partial.merged if partial else _NONE),
        str(partial.crumbs if partial else _NONE),
        _plain(found.get("recall_single")),
        _with_interval(found.get("matched_dice")),
        _plain(found.get("matched_dice_joined")),
    )


def _middle_cell_table(scores: Sequence[SourceScore]) -> str:
    head = ("data set", "segmenter", "whole-cell Dice", "without the rim", "F1", "without the rim")
    note = (
        "Only the middle cell is outlined, and others reach into the picture. The first figures count them as errors "
        "and are those of the table above; the second leave out what reaches the border and does not touch the "
        "outlined cell."
    )
    names = ("dice", "dice_without_rim", "f1", "f1_without_rim")
    rows = [(s.source, s.segmenter, *(_with_interval(figures(s).get(name)) for name in names)) for s in scores]
    return _table(head, rows) + f"\n\n{note}" if scores else ""


def _clumps_table(scores: Sequence[SourceScore]) -> str:
    head = ("data set", "segmenter", "clumps", "cells in them", "found", "in all", "clump by clump")
    note = "In all: splits make up for merges. Clump by clump: cells too many or too few in each clump, added up."
    rows = [
        (
            s.source,
            s.segmenter,
            str(s.clumps.clumps),
            str(s.clumps.truth),
            str(s.clumps.found),
            _signed(s.clumps.found, s.clumps.truth),
            f"{s.clumps.off_share:.1%}",
        )
        for s in scores
    ]
    return _table(head, rows) + f"\n\n{note}" if scores else ""


def _document(score: SourceScore) -> dict[str, Any]:
    return {
        "source": score.source,
        "segmenter": score.segmenter,
        "outlined": score.known.value,
        "images": len(score.fields),
        "groups": len({one.group for one in score.fields}),
        "counts": _rounded(asdict(score.counts)),
        "partial": _rounded(asdict(score.partial)) if score.partial else None,
        "clumps": asdict(score.clumps),
        "figures": {name: _rounded(asdict(figure)) for name, figure in figures(score).items()},
        "fields": [_rounded(asdict(one)) for one in score.fields],
    }


def _rounded(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with four decimals, which is more than any figure is worth."""
    return {
        key: _rounded(value) if isinstance(value, dict) else round(value, 4) if isinstance(value, float) else value
        for key, value in document.items()
    }


def _table(head: Row, rows: Iterable[Row]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def _with_interval(figure: Figure | None) -> str:
    if figure is None or figure.low is None or figure.high is None:
        return _plain(figure)
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _plain(figure: Figure | None) -> str:
    return _NONE if figure is None else f"{figure.value:.3f}"


def _signed(found: int, truth: int) -> str:
    return f"{(found - truth) / truth:+.1%}" if truth else _NONE
