"""Cells as DICOM annotations that refer to the slide's own level 0, and to nobody by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom.ann
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from sqlalchemy import Engine

from db import runs
from db.cases import Case, CaseSlide, case_of
from db.records import Batch, StoredObject
from db.session import transaction
from tests.support.rows import add_slide, cell, decide, execute, plan, taken
from tests.support.slide_sets import write_dicom
from worker.config import WorkerSettings
from worker.errors import BadRequestError
from worker.outputs.dicom import write
from worker.staging import CacheSpec
from worker.store_folder import FolderStore
from worker.workshop import Workshop

KEY = "lab/patient/s/"
NAMED = {"PatientID": "MRN-77", "PatientName": "Canary^Person", "PatientBirthDate": "19700101", "StudyID": "S5"}
CELLS = (
    cell(0, "lymphoblast"),
    cell(1, "lymphocyte"),
    cell(2, "lymphoblast", abstained=True),
    replace(cell(3, "lymphoblast"), outline_l0=((10, 10), (40, 12), (30, 50), (8, 44))),
    replace(cell(4, "smudge"), outline_l0=()),
)


@pytest.fixture
def shop(lab: Engine, tmp_path: Path) -> Workshop:
    """A bucket with a DICOM slide of two levels and a label, and a database with cells of it."""
    folder = tmp_path / "bucket" / KEY
    write_dicom(folder)
    frame = generate_uid()
    for number, path in enumerate(sorted(folder.iterdir())):
        header = dcmread(path)
        for name, value in (NAMED | {"FrameOfReferenceUID": frame}).items():
            setattr(header, name, value)
        header.save_as(path)
        if number == 1:
            header.ImageType = ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]
            header.TotalPixelMatrixColumns, header.SOPInstanceUID = 9000, generate_uid()
            header.save_as(folder / "label.dcm")
    run_id = add_slide(lab)
    claim = taken(lab, run_id)
    runs.store_plan(lab, claim, plan())
    runs.write_batch(lab, claim, Batch(no=0, cells=CELLS))
    runs.finish(lab, claim, decide)
    return Workshop(
        engine=lab,
        store=FolderStore(tmp_path / "bucket", name="bucket"),
        cache=CacheSpec(folder=tmp_path / "cache", max_bytes=10**8, reserve_bytes=0),
        models_dir=tmp_path,
        settings=WorkerSettings(),
    )


def case_with(shop: Workshop, slide: dict[str, object]) -> Case:
    with transaction(shop.engine) as conn:
        case = case_of(conn, "patient")
    changed: CaseSlide = replace(case.slides[0], **{"sha256": None, **slide})  # type: ignore[arg-type]
    return replace(case, slides=(changed,))


@pytest.fixture
def case(shop: Workshop) -> Case:
    files = tuple(shop.store.list(KEY))
    whole = StoredObject(
        bucket="bucket", key=KEY, size=sum(one.size for one in files), last_modified=files[0].last_modified
    )
    return case_with(shop, {"obj": whole, "files": files})


def written(shop: Workshop, case: Case, folder: Path) -> Path:
    (path,) = write(shop, case, folder, lambda _what, _done, _total: None)
    return path


def test_annotations_refer_to_level_0_and_hold_every_cell_with_its_outline(
    shop: Workshop, case: Case, tmp_path: Path
) -> None:
    found = highdicom.ann.annread(written(shop, case, tmp_path))
    level_0 = dcmread(tmp_path / "bucket" / KEY / "level 0.dcm", stop_before_pixels=True)
    (reference,) = found.ReferencedImageSequence
    assert reference.ReferencedSOPInstanceUID == level_0.SOPInstanceUID
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == level_0.SeriesInstanceUID
    assert (found.StudyInstanceUID, found.PixelOriginInterpretation) == (level_0.StudyInstanceUID, "VOLUME")
    groups = {group.label: group for group in found.get_annotation_groups()}
    assert {label: group.number_of_annotations for label, group in groups.items()} == {
        "lymphoblast": 2, "lymphoblast, abstained": 1, "lymphocyte": 1, "smudge": 1,
    }  # fmt: skip
    drawn = groups["lymphoblast"].get_graphic_data(coordinate_type="2D")
    assert [shape.tolist() for shape in drawn] == [[list(point) for point in one.outline_l0] for one in CELLS[::3]]
    assert groups["smudge"].get_graphic_data(coordinate_type="2D")[0].tolist() == [[42.0, 20.25]]
    names, values, _ = groups["lymphoblast"].get_measurements()
    assert [name.meaning for name in names] == ["Probability"]
    assert values[:, 0] == pytest.approx(np.array([0.7, 0.7]))


def test_a_corrected_cell_stands_in_the_class_that_it_was_given(shop: Workshop, case: Case, tmp_path: Path) -> None:
    execute(
        shop.engine,
        "INSERT INTO correction (run_id, batch_no, cell_no, made_by, cell_class) VALUES (1, 0, 2, 'p', 'monocyte');"
        "INSERT INTO corrected_cell (run_id, batch_no, cell_no, cell_class, called, abstained, correction_id)"
        " VALUES (1, 0, 2, 'monocyte', 'lymphoblast', true, 1)",
    )
    groups = highdicom.ann.annread(written(shop, case, tmp_path)).get_annotation_groups()
    assert [group.label for group in groups] == ["lymphoblast", "lymphocyte", "monocyte", "smudge"]


def test_the_patients_number_files_it_and_no_name_goes_along(shop: Workshop, case: Case, tmp_path: Path) -> None:
    path = written(shop, case, tmp_path)
    found = highdicom.ann.annread(path)
    filed = ("PatientID", "StudyID", "PatientName", "PatientBirthDate")
    assert [str(found.get(name)) for name in filed] == ["MRN-77", "S5", "", ""]
    assert found.ContentDescription == "research use only, not for diagnostic procedures"
    assert path.name == f"slide-{case.slides[0].slide_id}.ann.dcm"
    assert b"Canary" not in path.read_bytes()


def test_another_slide_is_refused_with_what_serves_instead(shop: Workshop, tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"none of the slides of patient is a DICOM slide.*geojson"):
        written(shop, case_with(shop, {}), tmp_path)


def test_headers_that_cannot_be_referred_to_are_told(shop: Workshop, case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "bucket" / KEY
    for path in folder.iterdir():
        header = dcmread(path)
        del header.FrameOfReferenceUID
        header.save_as(path)
    files = tuple(shop.store.list(KEY))
    changed = replace(case.slides[0], files=files, obj=replace(case.slides[0].obj, size=sum(f.size for f in files)))
    with pytest.raises(BadRequestError, match="lacks FrameOfReferenceUID"):
        written(shop, replace(case, slides=(changed,)), tmp_path)


def test_a_folder_that_takes_no_file_is_told_and_holds_no_part_of_one(
    shop: Workshop, case: Case, tmp_path: Path
) -> None:
    target = tmp_path / "out" / f"slide-{case.slides[0].slide_id}.ann.dcm"
    target.mkdir(parents=True)
    with pytest.raises(BadRequestError, match=r"ann\.dcm cannot be written"):
        written(shop, case, target.parent)
    assert list(target.parent.iterdir()) == [target]
