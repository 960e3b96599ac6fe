from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.support.slide_files import pyramid, texture, write_slide
from worker.errors import BadSlideError
from worker.slides.files.formats import open_slide_file

IMAGE = texture(500, 700)


def overwritten(path: Path, tag: str, value: int) -> Path:
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags[tag].overwrite(value)
    return path


@pytest.mark.parametrize(
    ("tag", "value"), [("ImageWidth", 7000), ("ImageWidth", 300), ("ImageLength", 800), ("TileWidth", 64)]
)
def test_a_picture_with_other_places_than_tiles_is_refused(tmp_path: Path, tag: str, value: int) -> None:
    path = overwritten(write_slide(tmp_path / "a.tif", pyramid(IMAGE, (1, 2))), tag, value)
    with pytest.raises(BadSlideError, match="page 0 lists 6 tiles for a grid of") as caught:
        open_slide_file(path)
    assert caught.value.code == "damaged"


def test_colours_that_lie_apart_have_tiles_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    apart = np.ascontiguousarray(IMAGE.transpose(2, 0, 1))
    tifffile.imwrite(path, apart, photometric="rgb", planarconfig="separate", tile=(256, 256))
    open_slide_file(path).close()


def test_a_tile_without_a_size_is_refused(tmp_path: Path) -> None:
    path = overwritten(write_slide(tmp_path / "a.tif", [IMAGE]), "TileWidth", 0)
    with pytest.raises(BadSlideError, match="tiles without a size"):
        open_slide_file(path)
