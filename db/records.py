"""Values that cross the packages, but those of counting (db/counts.py): frozen, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Specimen(StrEnum):
    """What was smeared."""

    MARROW = "marrow"
    BLOOD = "blood"
    UNKNOWN = "unknown"


class Preparation(StrEnum):
    """What a lab can say that its slide is, where its looks leave doubt."""

    SMEAR = "smear"


class SlideState(StrEnum):
    """Where a stored object version stands."""

    INCOMPLETE = "incomplete"
    CURRENT = "current"
    SUPERSEDED = "superseded"
    MISSING = "missing"


class RunState(StrEnum):
    """Where the reading of one slide by one model version stands."""

    PENDING = "pending"
    RUNNING = "running"
    RETRY_WAIT = "retry_wait"
    DONE = "done"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


class Finding(StrEnum):
    """The value of a verdict."""

    CONSISTENT_WITH_ALL = "consistent_with_ALL"
    CONSISTENT_WITH_MM = "consistent_with_MM"
    NO_EVIDENCE = "no_evidence"
    INDETERMINATE = "indeterminate"
    INSUFFICIENT = "insufficient"
    INCOMPLETE = "incomplete"


class CellClass(StrEnum):
    """The classes a call can name; a weight file may know fewer, never others."""

    LYMPHOBLAST = "lymphoblast"
    BLAST_OTHER = "blast_other"
    PLASMA_CELL = "plasma_cell"
    LYMPHOCYTE = "lymphocyte"
    MONOCYTE = "monocyte"
    NEUTROPHIL = "neutrophil"
    EOSINOPHIL = "eosinophil"
    BASOPHIL = "basophil"
    IMMATURE_GRANULOCYTE = "immature_granulocyte"
    ERYTHROBLAST = "erythroblast"
    MEGAKARYOCYTE = "megakaryocyte"
    PLATELET = "platelet"
    SMUDGE = "smudge"
    ARTEFACT = "artefact"


NOT_COUNTED = frozenset({CellClass.MEGAKARYOCYTE, CellClass.PLATELET, CellClass.SMUDGE, CellClass.ARTEFACT})
"""Classes outside the denominator of every share."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One version of one object, as the store itself describes it."""

    bucket: str
    key: str
    version_id: str = ""
    etag: str = ""
    size: int
    last_modified: datetime


@dataclass(frozen=True, kw_only=True)
class SlideFacts:
    """What is known of a slide before it is opened: from its key and its sidecar."""

    lab: str
    patient: str
    specimen: Specimen | None = None  # None: the lab's default
    stain: str | None = None
    preparation: Preparation | None = None  # None: to be recognised by its looks
    mpp_um: float | None = None
    taken_at: datetime | None = None
    urgent: bool = False  # to be read before others


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How often a calibrated model called held-out cells of each true class what; the matrix of its card."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]  # row: true class; column: called class in the same order, last: abstained

    def __post_init__(self) -> None:
        """Raise ValueError unless there is a row for each class, with a column for each and one more."""
        wide = len(self.classes) + 1
        if len(self.counts) != len(self.classes) or any(len(row) != wide for row in self.counts):
            raise ValueError(f"a confusion of {len(self.classes)} classes has as many rows, of {wide} counts each")
        if any(count < 0 for row in self.counts for count in row):
            raise ValueError("a confusion counts cells: no count is negative")


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """Weights with their preprocessing and class list, as registered in the database."""

    name: str
    weights_sha256: str
    classes: tuple[str, ...]
    preprocess: Mapping[str, Any]
    confusion: Confusion | None = None  # None: not measured


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to write one run's results until the lease ends or a newer fence is given."""

    run_id: int
    fence: int
    attempt: int
    slide_id: int
    patient_id: int
    obj: StoredObject
    files: tuple[StoredObject, ...]  # those of a slide that is several, its index among them
    sha256: str | None  # of the object's bytes, once some worker has read them
    specimen: Specimen
    stain: str | None
    preparation: Preparation | None
    declared_mpp_um: float | None
    site_mpp_um: float | None
    rule: str  # the name of the lab's rule set
    model: ModelVersion
    lease_s: float


@dataclass(frozen=True, kw_only=True)
class Area:
    """A connected region of a slide in which cells are counted, by the box around it."""

    kind: str
    x_l0: int
    y_l0: int
    width_l0: int
    height_l0: int
    mm2: float  # of the region itself


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a run reads its slide; a take-over with the same digest may skip batches already written."""

    digest: str
    n_batches: int
    document: Mapping[str, Any]  # JSON: tiles, areas, fits, engine
    mpp_um: float
    mpp_source: str  # header | sidecar | site | estimated
    sha256: str  # of the slide's bytes
    mpp_error_um: float | None = None  # standard error of an estimated scale
    reader: str | None = None  # what decoded the pixels
    sandbox: str | None = None  # how well the reading process was locked in: full | strong | weak
    areas: tuple[Area, ...] = ()
    area_shares: Mapping[str, float] = field(default_factory=dict)  # of the slide: counted, and why not elsewhere
    stain_profile: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One segmented nucleated cell and its call."""

    cell_no: int
    x_l0: float  # centroid, level-0 px
    y_l0: float
    cell_class: str
    abstained: bool
    probabilities: tuple[float, ...]  # in the order of the model version's classes
    features: Mapping[str, float]  # names of worker.cells.features.NAMES
    outline_l0: tuple[tuple[int, int], ...] = ()  # closed polygon without the repeated first point


@dataclass(frozen=True, kw_only=True)
class TileDefect:
    """A tile whose pixels could not be decoded: nothing was counted in it."""

    tile_no: int
    x_l0: int
    y_l0: int
    width_l0: int
    height_l0: int
    code: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The cells of the tiles that are written in one transaction."""

    no: int
    cells: tuple[Cell, ...]
    defects: tuple[TileDefect, ...] = ()
