"""Whether a tiled TIFF has a tile for each place of its grid: where one is missing, OpenSlide shows white unasked."""

from __future__ import annotations

from collections.abc import Sequence

from worker.errors import BadSlideError
from worker.slides.files.tiff_structure import (
    BITS,
    HEIGHT,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    UPLOAD_AGAIN,
    WIDTH,
    TiffPage,
)


def check_grids(pages: Sequence[TiffPage]) -> None:
    """Check every tiled page of a TIFF.

    Raises:
        BadSlideError: `damaged`, where a directory lists more or fewer tiles than its picture has places.
    """
    for number, page in enumerate(pages):
        if TILE_OFFSETS not in page.tags:
            continue
        tile_width, tile_height = page.first(TILE_WIDTH, 0), page.first(TILE_HEIGHT, 0)
        if not tile_width or not tile_height:
            raise BadSlideError("damaged", f"page {number} has tiles without a size", UPLOAD_AGAIN)
        places = -(-page.first(WIDTH, 0) // tile_width) * -(-page.first(HEIGHT, 0) // tile_height)
        samples = len(page.tags[BITS]) if BITS in page.tags else 1
        tiles = len(page.tags[TILE_OFFSETS])
        if tiles not in (places, places * samples):  # red, green and blue may lie apart
            cause = f"page {number} lists {tiles} tiles for a grid of {places} places"
            raise BadSlideError("damaged", cause, UPLOAD_AGAIN)
