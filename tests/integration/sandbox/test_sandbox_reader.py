from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from tests.support.slide_files import REFUSED, data_folder, pyramid, texture, write_slide
from tests.support.slide_sets import write_dicom, write_mrxs, write_vms
from worker.errors import BadSlideError, ServiceError
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.reader import LocalReader, SlideReader
from worker.slides.sandbox.reader import open_sandboxed
from worker.slides.sandbox.spec import Level, SandboxSpec
from worker.slides.scale import Scale, WorkingPlane, plane_for
from worker.slides.slide import RgbImage

IMAGE = texture(1100, 1300)
GREEN = (10, 200, 30)


def written(kind: str, folder: Path) -> Path:
    """Write a slide or field of a kind; the folder can be read by everybody, as a staged one."""
    folder.chmod(0o755)
    path = folder / f"slide-{kind}.tif"
    if kind in ("png", "bmp", "jpg"):
        path = path.with_suffix(f".{kind}")
        cv2.imwrite(str(path), IMAGE)
    elif kind == "flat":
        tifffile.imwrite(path, IMAGE, photometric="rgb", compression="lzw")
    else:
        write_slide(path, pyramid(IMAGE, (1, 2, 4)), compression=kind)
    path.chmod(0o644)
    return path


@pytest.fixture(params=["deflate", "jpeg", "lzw", "png", "bmp", "jpg", "flat"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SlideReader, SlideReader]]:
    """The same slide read in this process and in a sandboxed one."""
    path = written(request.param, tmp_path)
    with closing(LocalReader(open_slide_file(path), threads=2)) as local, closing(open_sandboxed(path)) as shut_in:
        yield local, shut_in


def plane_of(reader: SlideReader) -> WorkingPlane:
    return plane_for(reader.info, Scale(mpp_um=0.25, source="header"), 0.375)


def boxes_of(plane: WorkingPlane) -> list[Box]:
    return [
        Box(x=x - 16, y=y - 16, width=256 + y, height=256)
        for y in range(0, plane.height_work, 256)
        for x in range(0, plane.width_work, 256)
    ]


def copies(reader: SlideReader) -> list[RgbImage]:
    plane = plane_of(reader)
    found = []
    for tile in reader.tiles(plane, boxes_of(plane), GREEN):
        assert not isinstance(tile, BadSlideError)
        found.append(tile.copy())
    return found


def test_a_sandboxed_reader_gives_what_a_local_one_gives(both: tuple[SlideReader, SlideReader]) -> None:
    local, shut_in = both
    assert shut_in.info == local.info
    for make in ("overview", "overview_within"):
        for limit in (7, 64, 500):
            ours, theirs = (getattr(reader, make)(limit) for reader in both)
            assert theirs.factor == ours.factor
            np.testing.assert_array_equal(theirs.rgb, ours.rgb)
    for level in range(len(local.info.level_sizes)):
        box = Box(x=13, y=27, width=200, height=101)
        np.testing.assert_array_equal(shut_in.region(level, box), local.region(level, box))
    box = Box(x=-20, y=-5, width=300, height=200)
    plane = plane_of(local)
    np.testing.assert_array_equal(shut_in.tile(plane, box, GREEN), local.tile(plane, box, GREEN))
    for ours, theirs in zip(copies(local), copies(shut_in), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def test_the_sandbox_of_this_machine_is_strong(tmp_path: Path) -> None:
    with closing(open_sandboxed(written("deflate", tmp_path))) as reader:
        assert reader.level.suffices(Level.STRONG)


def test_too_weak_a_sandbox_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    path = written("deflate", tmp_path)
    path.chmod(0o600)  # only its owner reads it, so nobody cannot
    with pytest.raises(ServiceError, match="of the level strong, and full is asked for; this machine lacks: own_uid"):
        open_sandboxed(path, spec=SandboxSpec(least=Level.FULL))


def test_a_stream_can_be_given_up_and_other_things_read_meanwhile(tmp_path: Path) -> None:
    with closing(open_sandboxed(written("deflate", tmp_path), threads=2)) as reader:
        plane, box = plane_of(reader), Box(x=30, y=40, width=50, height=60)
        wanted = reader.region(0, box)
        for taken in (0, 1, 3):
            with closing(reader.tiles(plane, boxes_of(plane), GREEN)) as tiles:
                for _ in range(taken):
                    next(tiles)
                np.testing.assert_array_equal(reader.region(0, box), wanted)
        assert len(copies(reader)) == len(boxes_of(plane))


def test_no_tiles_are_read_when_none_are_asked_for(tmp_path: Path) -> None:
    with closing(open_sandboxed(written("deflate", tmp_path))) as reader:
        assert list(reader.tiles(plane_of(reader), [], GREEN)) == []


def test_a_tile_that_cannot_be_decoded_stands_in_its_place(tmp_path: Path) -> None:
    path = written("deflate", tmp_path)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.dataoffsets[1]
    content = bytearray(path.read_bytes())
    content[offset : offset + 200] = bytes(200)
    path.write_bytes(content)
    boxes = [Box(x=x, y=0, width=100, height=100) for x in (0, 300, 900)]
    with closing(open_sandboxed(path)) as reader:
        plane = replace(plane_of(reader), factor=1.0)
        kinds = [
            tile.code if isinstance(tile, BadSlideError) else tile.shape for tile in reader.tiles(plane, boxes, GREEN)
        ]
        seen = reader.overview(1)
    assert kinds == [(100, 100, 3), "unreadable_region", (100, 100, 3)]
    with closing(LocalReader(open_slide_file(path))) as local:
        assert seen.unreadable == local.overview(1).unreadable != ()


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty_file"), (b"II*\0", "truncated"), (b"text", "unsupported_format")]
)
def test_what_cannot_be_read_is_refused_as_in_this_process(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "patient-name.svs"
    path.write_bytes(content)
    with pytest.raises(BadSlideError) as caught:
        open_sandboxed(path)
    assert caught.value.code == code
    assert "patient-name" not in str(caught.value)


def test_a_missing_file_is_not_the_slides_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_sandboxed(tmp_path / "gone.svs")


def test_a_picture_that_needs_more_memory_than_a_slide_may_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), np.zeros((8000, 8000), dtype=np.uint8))
    with pytest.raises(BadSlideError) as caught:
        open_sandboxed(path, spec=SandboxSpec(memory_bytes=450 * 2**20))
    assert caught.value.code == "too_large"


def test_closing_twice_is_harmless_and_ends_the_process(tmp_path: Path) -> None:
    reader = open_sandboxed(written("png", tmp_path))
    reader.close()
    reader.close()
    with pytest.raises(ValueError, match="the slide is closed"):
        reader.region(0, Box(x=0, y=0, width=1, height=1))


@pytest.mark.parametrize(("suffix", "write"), [("mrxs", write_mrxs), ("vms", write_vms), ("dcm", write_dicom)])
def test_a_slide_of_several_files_is_read_from_its_folder(
    tmp_path: Path, suffix: str, write: Callable[[Path], RgbImage]
) -> None:
    folder = tmp_path / "set"
    write(folder)
    main = min(folder.glob(f"*.{suffix}"))
    with closing(LocalReader(open_slide_file(main))) as local, closing(open_sandboxed(main)) as shut_in:
        assert shut_in.info == local.info
        box = Box(x=0, y=0, width=local.info.width_l0, height=local.info.height_l0)
        np.testing.assert_array_equal(shut_in.region(0, box), local.region(0, box))


REASONS = REFUSED | {"single-channel.ome.tif": "unsupported_format"}


@pytest.mark.parametrize("folder", ["good", "tiny", "odd", "corrupt"])
def test_every_real_file_is_read_or_refused_for_its_reason(folder: str) -> None:
    reasons = {}
    for path in sorted(data_folder(f"wsi/{folder}").iterdir()):
        try:
            with closing(open_sandboxed(path)) as reader:
                info = reader.info
                reader.region(0, Box(x=0, y=0, width=min(512, info.width_l0), height=min(512, info.height_l0)))
        except BadSlideError as error:
            reasons[path.name] = error.code
    assert reasons == {name: code for name, code in REASONS.items() if (data_folder(f"wsi/{folder}") / name).exists()}
