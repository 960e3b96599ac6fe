"""Writes the cells of DICOM slides as DICOM Microscopy Bulk Simple Annotations (PS3.3, A.87), for archives and viewers.

An object refers to the slide's own level 0 by its UIDs, in px of its total pixel matrix. Of the slide's headers it
repeats what files it beside the slide, the patient's number among that, and no name, date of birth or accession.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from highdicom import UID, AlgorithmIdentificationSequence
from highdicom.ann import AnnotationGroup, Measurements, MicroscopyBulkSimpleAnnotations
from pydicom import Dataset
from pydicom.sr.codedict import codes

from db.cases import Case, CaseCell, CaseSlide
from db.session import transaction
from worker.errors import BadRequestError
from worker.outputs.dicom_header import level_0
from worker.outputs.files import whole_bytes
from worker.outputs.panel import NOTICE
from worker.outputs.stored_cells import all_cells
from worker.slide_sets import SetKind, set_kind, suffix_of
from worker.staging import staged
from worker.workshop import Tell, Workshop

_AREA = "cell_area_um2"
_SERIES_NUMBER = 1001
"""Far from the numbers that scanners give."""


@dataclass(kw_only=True)
class _Group:
    """Cells that are alike in class, in whether they were abstained, and in whether their outline is known."""

    shapes: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    areas_um2: list[float] = field(default_factory=list)


def write(workshop: Workshop, case: Case, folder: Path, tell: Tell) -> list[Path]:
    """Write `slide-ID.ann.dcm` for every DICOM slide that the finding rests on; return the files.

    Raises BadRequestError when none of them is a DICOM slide, a header lacks what annotations must refer to, or the
    folder takes no file, ServiceError when the bucket does not serve.
    """
    slides = [slide for slide in case.read if _is_dicom(slide)]
    if not slides:
        raise BadRequestError(
            f"none of the slides of {case.report.patient} is a DICOM slide, and DICOM annotations refer to nothing "
            "else: use --format geojson"
        )
    written: list[Path] = []
    for slide in slides:
        path = folder / f"slide-{slide.slide_id}.ann.dcm"
        with (
            staged(workshop.store, slide.obj, workshop.cache, files=slide.files, sha256=slide.sha256) as file,
            transaction(workshop.engine) as conn,
        ):
            made = bulk_annotations(level_0(file.path), case, slide, all_cells(conn, slide))
        with whole_bytes(path) as to:
            made.save_as(to, enforce_file_format=True)
        written.append(path)
        tell(path.name, len(written), len(slides))
    return written


def bulk_annotations(
    image: Dataset, case: Case, slide: CaseSlide, cells: Iterable[CaseCell]
) -> MicroscopyBulkSimpleAnnotations:
    """Return the cells as annotations of the image: a group for each class, called cells and abstained ones apart."""
    model = AlgorithmIdentificationSequence(
        name=case.model.model_version,
        family=codes.DCM.ArtificialIntelligence,
        version=case.model.weights_sha256[:16],
        source="Marrowline",
    )
    grouped = _grouped(slide, cells)
    return MicroscopyBulkSimpleAnnotations(
        source_images=[image],
        annotation_coordinate_type="2D",
        annotation_groups=[
            _group(number, name, group, model) for number, (name, group) in enumerate(sorted(grouped.items()), start=1)
        ],
        series_instance_uid=UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer="Marrowline",
        manufacturer_model_name="Marrowline",
        software_versions=version("marrowline"),
        device_serial_number=case.model.weights_sha256[:16],
        content_label="CELLS",
        content_description=NOTICE,
    )


def _is_dicom(slide: CaseSlide) -> bool:
    return set_kind(slide.obj.key) is SetKind.DICOM or suffix_of(slide.obj.key) == ".dcm"


def _grouped(slide: CaseSlide, cells: Iterable[CaseCell]) -> dict[tuple[str, str, str], _Group]:
    area = slide.feature_names.index(_AREA) if _AREA in slide.feature_names else None
    groups: dict[tuple[str, str, str], _Group] = {}
    for cell in cells:
        kind = "POLYGON" if cell.outline_l0 else "POINT"
        abstained = cell.abstained and cell.corrected_class is None
        name = (cell.corrected_class or cell.cell_class, "abstained" if abstained else "", kind)
        group = groups.setdefault(name, _Group())
        points = cell.outline_l0 or (cell.x_l0, cell.y_l0)
        group.shapes.append(np.asarray(points, dtype=np.float32).reshape(-1, 2))
        group.probabilities.append(cell.probability)
        if area is not None:
            group.areas_um2.append(cell.features[area])
    return groups


def _group(
    number: int, name: tuple[str, str, str], group: _Group, model: AlgorithmIdentificationSequence
) -> AnnotationGroup:
    cell_class, abstained, kind = name
    said = [(codes.DCM.Probability, group.probabilities, codes.UCUM.NoUnits)]
    if group.areas_um2:
        said.append((codes.SCT.Area, group.areas_um2, codes.UCUM.SquareMicrometer))
    return AnnotationGroup(
        number=number,
        uid=UID(),
        label=f"{cell_class}, {abstained}" if abstained else cell_class,
        annotated_property_category=codes.SCT.AnatomicalStructure,
        annotated_property_type=codes.SCT.Cell,
        graphic_type=kind,
        graphic_data=group.shapes,
        algorithm_type="AUTOMATIC",
        algorithm_identification=model,
        measurements=[
            Measurements(name=what, values=np.asarray(values, dtype=np.float32), unit=unit)
            for what, values, unit in said
        ],
    )
