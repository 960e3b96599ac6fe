"""What is known of a drawn slide, and the JSON document beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from db.records import CellClass
from worker.errors import BadRequestError

_FORMAT = "marrowline drawn smear 1"


@dataclass(frozen=True, kw_only=True)
class TrueCell:
    """Something drawn: its class, place and size."""

    x_l0: float  # mean column of its nucleus' pixels, of all its pixels where it has none
    y_l0: float
    cell_class: CellClass
    nucleus_area_um2: float  # 0 where it has none
    cell_area_um2: float
    touching: bool  # drawn against another nucleated cell


@dataclass(frozen=True, kw_only=True)
class SlideTruth:
    """All that was drawn on one slide, red cells left out."""

    width_px: int
    height_px: int
    mpp_um: float
    seed: int
    cells: tuple[TrueCell, ...]  # nucleated
    uncounted: tuple[TrueCell, ...]  # platelets, smudge cells, stain deposit

    @property
    def composition(self) -> dict[CellClass, int]:
        """Number of nucleated cells per class, in the order of the classes, none with 0."""
        return composition(self.cells)


def composition(cells: Sequence[TrueCell]) -> dict[CellClass, int]:
    """Count cells per class, in the order of the classes, none with 0."""
    counts = {name: sum(cell.cell_class is name for cell in cells) for name in CellClass}
    return {name: count for name, count in counts.items() if count}


def truth_path(slide: Path) -> Path:
    """Return where the truth of a slide file lies: `<stem>.truth.json` beside it."""
    return slide.with_name(f"{slide.stem}.truth.json")


def write_truth(slide: Path, truth: SlideTruth) -> Path:
    """Write the truth beside a slide file and return its path."""
    document = {"format": _FORMAT, "note": "drawn, no patient; research use only", **asdict(truth)}
    path = truth_path(slide)
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def read_truth(slide: Path) -> SlideTruth:
    """Read the truth beside a slide file. Raises BadRequestError when it is absent or not such a document."""
    path = truth_path(slide)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT:
            raise BadRequestError(f"{path} is of another format than {_FORMAT!r}")
        return SlideTruth(
            width_px=document["width_px"],
            height_px=document["height_px"],
            mpp_um=document["mpp_um"],
            seed=document["seed"],
            cells=tuple(_cell(one) for one in document["cells"]),
            uncounted=tuple(_cell(one) for one in document["uncounted"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRequestError(f"{path} holds no truth of a drawn slide: {error}") from error


def _cell(fields: dict[str, Any]) -> TrueCell:
    return TrueCell(**{**fields, "cell_class": CellClass(fields["cell_class"])})
