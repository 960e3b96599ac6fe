"""Tiny slides of several files that OpenSlide opens, whose pixels the test knows.

MRXS and VMS are written by hand, as far as OpenSlide reads them (its `openslide-vendor-mirax.c` and `-hamamatsu.c`).
"""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, VLWholeSlideMicroscopyImageStorage, generate_uid

from tests.support.slide_files import pyramid, texture
from worker.slides.slide import RgbImage

MPP_UM = 0.25
_TILE = 256
_SLIDE_ID = "0123456789ABCDEF0123456789ABCDEF"


def write_mrxs(folder: Path, name: str = "x") -> RgbImage:
    """Write `name.mrxs` and its folder, two levels of lossless tiles; return level 0, (512, 768, 3)."""
    level0 = texture(2 * _TILE, 3 * _TILE)
    half = np.zeros((_TILE, 2 * _TILE, 3), dtype=np.uint8)
    half[:, : 3 * _TILE // 2] = pyramid(level0, [2])[0]
    inner = folder / name
    inner.mkdir(parents=True)
    (folder / f"{name}.mrxs").write_bytes(_encoded(half, ".jpg"))
    entries: list[list[tuple[int, int, int, int]]] = []
    with (inner / "Data0000.dat").open("wb") as first, (inner / "Data0001.dat").open("wb") as second:
        for file_no, (file, level, concat) in enumerate(((first, level0, 1), (second, half, 2))):
            entries.append([])
            for y, x in np.ndindex(level.shape[0] // _TILE, level.shape[1] // _TILE):
                tile = _encoded(level[y * _TILE : (y + 1) * _TILE, x * _TILE : (x + 1) * _TILE], ".png")
                entries[-1].append((y * concat * 3 + x * concat, file.tell(), len(tile), file_no))
                file.write(tile)
    (inner / "Index.dat").write_bytes(_mrxs_index(entries))
    (inner / "Slidedat.ini").write_text(_slidedat(), encoding="utf-8-sig", newline="\r\n")
    return level0


def _mrxs_index(entries: list[list[tuple[int, int, int, int]]]) -> bytes:
    start = b"01.02" + _SLIDE_ID.encode()
    table = len(start) + 8
    at = table + 4 * len(entries)
    pointers, pages = b"", b""
    for page in entries:
        pointers += struct.pack("<i", at)
        body = struct.pack("<ii", 0, at + 8) + struct.pack("<ii", len(page), 0)
        body += b"".join(struct.pack("<iiii", *entry) for entry in page)
        pages += body
        at += len(body)
    return start + struct.pack("<ii", table, 0) + pointers + pages


def _slidedat() -> str:
    levels = "".join(
        f"[LEVEL_{number}]\nIMAGE_CONCAT_FACTOR = {number}\nOVERLAP_X = 0\nOVERLAP_Y = 0\n"
        f"MICROMETER_PER_PIXEL_X = {MPP_UM * 2**number}\nMICROMETER_PER_PIXEL_Y = {MPP_UM * 2**number}\n"
        f"IMAGE_FILL_COLOR_BGR = 16777215\nDIGITIZER_WIDTH = {_TILE}\nDIGITIZER_HEIGHT = {_TILE}\nIMAGE_FORMAT = PNG\n"
        for number in (0, 1)
    )
    return (
        f"[GENERAL]\nSLIDE_ID = {_SLIDE_ID}\nIMAGENUMBER_X = 3\nIMAGENUMBER_Y = 2\nOBJECTIVE_MAGNIFICATION = 40\n"
        "[HIERARCHICAL]\nINDEXFILE = Index.dat\nHIER_COUNT = 1\nNONHIER_COUNT = 0\nHIER_0_NAME = Slide zoom level\n"
        "HIER_0_COUNT = 2\nHIER_0_VAL_0_SECTION = LEVEL_0\nHIER_0_VAL_1_SECTION = LEVEL_1\n"
        f"[DATAFILE]\nFILE_COUNT = 2\nFILE_0 = Data0000.dat\nFILE_1 = Data0001.dat\n{levels}"
    )


def write_vms(folder: Path, name: str = "x") -> RgbImage:
    """Write `name.vms` and its files, two JPEGs side by side; return level 0 as they decode, (256, 512, 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    level0 = texture(_TILE, 2 * _TILE)
    images = [_restarting(level0[:, x : x + _TILE]) for x in (0, _TILE)]
    map_image = pyramid(level0, [16])[0]
    contents = {
        f"{name}.jpg": images[0],
        f"{name}(1,0).jpg": images[1],
        f"{name}_map2.jpg": _restarting(map_image),
        f"{name}.opt": b"",
        f"{name}.vms": (
            "[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=2\nNoJpegRows=1\n"
            f"ImageFile={name}.jpg\nImageFile(1,0)={name}(1,0).jpg\nMapFile={name}_map2.jpg\n"
            f"OptimisationFile={name}.opt\nPhysicalWidth={int(2 * _TILE * MPP_UM * 1000)}\n"
            f"PhysicalHeight={int(_TILE * MPP_UM * 1000)}\nSourceLens=40\n"
        ).encode(),
    }
    for file_name, content in contents.items():
        (folder / file_name).write_bytes(content)
    return np.hstack([_decoded(image) for image in images])


def _restarting(image: RgbImage) -> bytes:
    """Return a JPEG with a restart marker after every row of blocks, as the format wants it."""
    return _encoded(
        image,
        ".jpg",
        cv2.IMWRITE_JPEG_RST_INTERVAL,
        image.shape[1] // 8,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    )


def write_dicom(folder: Path, *, levels: int = 2) -> RgbImage:
    """Write a series of one file a level, uncompressed; return level 0, (512, 768, 3)."""
    folder.mkdir(parents=True)
    level0 = texture(2 * _TILE, 3 * _TILE)
    series, study = generate_uid(), generate_uid()
    for number, level in enumerate(pyramid(level0, [2**number for number in range(levels)])):
        dataset = _dicom_level(level, MPP_UM * 2**number)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.InstanceNumber = study, series, number + 1
        dataset.save_as(folder / f"level {number}.dcm", enforce_file_format=True)
    return level0


def _dicom_level(level: RgbImage, mpp_um: float) -> Dataset:
    height, width = level.shape[:2]
    down, across = -(-height // _TILE), -(-width // _TILE)
    padded = np.full((down * _TILE, across * _TILE, 3), 255, dtype=np.uint8)
    padded[:height, :width] = level
    tiles = padded.reshape(down, _TILE, across, _TILE, 3).swapaxes(1, 2)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = VLWholeSlideMicroscopyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Modality = "SM"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.TotalPixelMatrixColumns, dataset.TotalPixelMatrixRows = width, height
    dataset.DimensionOrganizationType = "TILED_FULL"
    dataset.Rows = dataset.Columns = _TILE
    dataset.NumberOfFrames = down * across
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [mpp_um / 1000, mpp_um / 1000]
    shared.PixelMeasuresSequence = Items([measures])
    dataset.SharedFunctionalGroupsSequence = Items([shared])
    dataset.PixelData = tiles.tobytes()
    return dataset


def _encoded(image: RgbImage, extension: str, *how: int) -> bytes:
    done, data = cv2.imencode(extension, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), list(how))
    assert done
    return data.tobytes()


def _decoded(data: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
