"""What annotations take from a DICOM slide's headers: the identity of its level 0, and where it is filed."""

from __future__ import annotations

import struct
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from worker.errors import BadRequestError
from worker.slides.files.dicom_series import HEADER_BYTES, series_uid

_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_FILED = ("PatientID", "StudyID", "StudyDate", "StudyTime")
_BLANK = ("PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber")
"""They must stand in every object and may be empty."""
_CHOSEN = ("ImageType", "TotalPixelMatrixColumns", "InstanceNumber")
_UNREADABLE = (
    InvalidDicomError, AttributeError, EOFError, KeyError, NotImplementedError, OSError, RecursionError, TypeError,
    ValueError, struct.error,
)  # fmt: skip
"""How pydicom ends on a header that is none; it runs here and not in the sandbox, in Python alone."""


def level_0(path: Path) -> Dataset:
    """Return the identity of the slide's largest image, found among the files beside `path`.

    Raises BadRequestError when there is none, or when its header lacks a UID that annotations must refer to.
    """
    images = [image for file in sorted(path.parent.glob("*.dcm")) if (image := _image(file)) is not None]
    if not images:
        raise BadRequestError("no header of the slide's files tells which image the cells lie on")
    # A level may be spread over several instances: the first one stands for it.
    largest = min(
        images, key=lambda image: (-int(image.TotalPixelMatrixColumns), int(image.get("InstanceNumber") or 0))
    )
    if missing := [name for name in _NEEDED if not largest.get(name)]:
        raise BadRequestError(f"the slide's header lacks {', '.join(missing)}, which annotations must refer to")
    return _identity(largest)


def _image(file: Path) -> Dataset | None:
    """Return the header of a level of the slide; None of a label, an overview and anything else."""
    with file.open("rb") as stream:
        if series_uid(stream.read(HEADER_BYTES)) is None:  # packed ones among them, which would unpack to any size
            return None
    try:
        found = dcmread(file, stop_before_pixels=True, specific_tags=[*_NEEDED, *_FILED, *_CHOSEN])
        return found if "VOLUME" in found.ImageType and int(found.TotalPixelMatrixColumns) > 0 else None
    except _UNREADABLE:
        return None


def _identity(image: Dataset) -> Dataset:
    """Return what annotations repeat of the image, and nothing else."""
    made = Dataset()
    for name in _NEEDED:
        setattr(made, name, image.get(name))
    for name in _FILED:
        setattr(made, name, image.get(name) or "")
    for name in _BLANK:
        setattr(made, name, "")
    made.Modality = "SM"
    return made
