from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    VLWholeSlideMicroscopyImageStorage,
    generate_uid,
)

from tests.support.slide_sets import write_dicom
from worker.errors import BadSlideError
from worker.slides.files.dicom_series import series_uid
from worker.slides.files.formats import open_slide_file

SERIES = "1.2.826.0.1.3680043.8.498.1"
OTHER_KIND = UID("1.2.840.10008.5.1.4.1.1.88.33")  # a report


def header(
    syntax: UID = ExplicitVRLittleEndian, kind: UID = VLWholeSlideMicroscopyImageStorage, *, items: int = 0
) -> bytes:
    """Return a file whose first tags hold so many references to other series, each in one more sequence."""
    inner = Dataset()
    inner.SeriesInstanceUID = generate_uid()
    for _ in range(items):
        outer = Dataset()
        inner.is_undefined_length_sequence_item = True
        outer.ReferencedSeriesSequence = Items([inner])
        outer["ReferencedSeriesSequence"].is_undefined_length = True
        inner = outer
    dataset = inner if items else Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = kind
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PatientComments = "x" * 300
    dataset.SeriesInstanceUID = SERIES
    stream = BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("items", [0, 1, 4])
def test_the_series_is_the_files_own_and_none_that_it_refers_to(syntax: UID, items: int) -> None:
    assert series_uid(header(syntax, items=items)) == SERIES.encode()


@pytest.mark.parametrize(("syntax", "kind"), [(ExplicitVRBigEndian, None), (ExplicitVRLittleEndian, OTHER_KIND)])
def test_files_that_are_no_slide_to_any_reader_have_none(syntax: UID, kind: UID | None) -> None:
    assert series_uid(header(syntax, kind or VLWholeSlideMicroscopyImageStorage)) is None


@given(st.integers(132, 700), st.binary(max_size=60))
def test_altered_and_cut_headers_end_in_an_answer(at: int, changed: bytes) -> None:
    whole = header(items=2)
    for altered in (whole[:at] + changed + whole[at + len(changed) :], whole[:at]):
        assert series_uid(altered) is None or isinstance(series_uid(altered), bytes)


def test_two_series_in_one_folder_are_refused_and_told_apart(tmp_path: Path) -> None:
    write_dicom(tmp_path / "s")
    write_dicom(tmp_path / "other")
    for file in (tmp_path / "other").iterdir():
        file.rename(tmp_path / "s" / f"other {file.name}")
    with pytest.raises(BadSlideError, match="holds 2 DICOM series") as refused:
        open_slide_file(tmp_path / "s" / "level 0.dcm")
    assert refused.value.code == "several_series"
    assert "folder of its own" in refused.value.remedy


def test_a_report_beside_a_series_is_no_second_one(tmp_path: Path) -> None:
    write_dicom(tmp_path / "s")
    (tmp_path / "s" / "report.dcm").write_bytes(header(kind=OTHER_KIND))
    (tmp_path / "s" / "notes.dcm").write_bytes(b"none of them")
    open_slide_file(tmp_path / "s" / "level 0.dcm").close()
    assert dcmread(tmp_path / "s" / "report.dcm").SeriesInstanceUID == SERIES
