"""Sound slides in several layouts, and seeded alterations of their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

from tests.support.slide_files import GLASS, pyramid, write_slide
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.reader import SlideReader
from worker.slides.sandbox.reader import open_sandboxed
from worker.slides.scale import Scale, WorkingPlane
from worker.slides.slide import RgbImage

TILE_PX = 256
MOST_TILES = 24
_STRUCTURE_BYTES = 2048


@dataclass(frozen=True)
class Sound:
    """A file that is read without fault, and the tiles that it shows."""

    name: str
    content: bytes
    boxes: tuple[Box, ...]
    tiles: tuple[RgbImage, ...]


def sound_files(folder: Path, real: Path | None) -> list[Sound]:
    """Return drawn slides in several layouts, and the real ones below a folder."""
    paths = [
        *_drawn(folder),
        *(sorted(p for part in ("good", "tiny") for p in (real / part).iterdir()) if real else ()),
    ]
    return [_sound(path) for path in paths]


def altered(sound: Sound, number: int, seed: int) -> bytes:
    """Return the content with 1 to 16 bytes changed, half of them near its ends where structure lies, or cut."""
    rng = np.random.default_rng((seed, number))
    content = bytearray(sound.content)
    for _ in range(int(rng.integers(1, 17))):
        near_ends = min(_STRUCTURE_BYTES, len(content))
        place = int(rng.integers(len(content)))
        if rng.random() < 0.5:
            place = int(rng.choice([rng.integers(near_ends), len(content) - 1 - rng.integers(near_ends)]))
        content[place] = int(rng.integers(256))
    if rng.random() < 0.1:
        del content[int(rng.integers(1, len(content))) :]
    return bytes(content)


def _sound(path: Path) -> Sound:
    with closing(open_sandboxed(path, threads=2)) as reader:
        boxes = tuple(_boxes(reader.info.width_l0, reader.info.height_l0))
        tiles = [_kept(tile) for tile in reader.tiles(plane_of(reader), boxes, (0, 0, 0))]
    return Sound(path.name, path.read_bytes(), boxes, tuple(tiles))


def _kept(tile: RgbImage | BadSlideError) -> RgbImage:
    if isinstance(tile, BadSlideError):
        raise tile
    return tile.copy()


def _boxes(width: int, height: int) -> Iterator[Box]:
    """Yield tiles all over the slide, not more than MOST_TILES."""
    columns, rows = -(-width // TILE_PX), -(-height // TILE_PX)
    step = max(1, -(-columns * rows // MOST_TILES))
    whole = Box(x=0, y=0, width=width, height=height)
    for number in range(0, columns * rows, step):
        row, column = divmod(number, columns)
        yield Box(x=column * TILE_PX, y=row * TILE_PX, width=TILE_PX, height=TILE_PX).clipped(whole)


def plane_of(reader: SlideReader) -> WorkingPlane:
    """Return the plane whose px are those of level 0."""
    info = reader.info
    scale = Scale(mpp_um=0.25, source="site")
    return WorkingPlane(scale=scale, factor=1.0, width_work=info.width_l0, height_work=info.height_l0)


def _drawn(folder: Path) -> Iterator[Path]:
    image = _smear(700, 900)
    levels = pyramid(image, (1, 2))
    for compression in ("jpeg", "deflate", "lzw", None):
        yield write_slide(folder / f"{compression or 'raw'}.tif", levels, mpp_um=0.25, compression=compression)
    aperio = {"description": "Aperio Image Library v11.2.1\n900x700 |MPP = 0.25", "software": "drawn"}
    layouts: tuple[tuple[str, dict[str, Any]], ...] = (
        ("jpeg", {"compression": "jpeg", "subsampling": (2, 2)}),
        ("jpeg-240", {"compression": "jpeg", "tile": (240, 240)}),
        ("jpeg2000", {"compression": "aperio_jp2000_rgb"}),
    )
    for name, how in layouts:
        yield write_slide(folder / f"aperio-{name}.svs", [image], mpp_um=None, **aperio, **how)
    with tifffile.TiffWriter(folder / "big.tif", bigtiff=True) as tiff:
        tiff.write(image, photometric="rgb", compression="jpeg", tile=(256, 256), metadata=None)
    yield folder / "big.tif"
    tifffile.imwrite(folder / "strips.tif", image, photometric="rgb", compression="jpeg", rowsperstrip=64)
    yield folder / "strips.tif"
    for suffix in ("png", "jpg", "bmp"):
        cv2.imwrite(str(folder / f"field.{suffix}"), image[..., ::-1])
        yield folder / f"field.{suffix}"


def _smear(height: int, width: int) -> RgbImage:
    """Return glass with cells and some grain, so that no tile of it is uniform."""
    rng = np.random.default_rng(5)
    image = np.empty((height, width, 3), dtype=np.uint8)
    image[:] = GLASS
    for _ in range(height * width // 1500):
        place = (int(rng.integers(width)), int(rng.integers(height)))
        colour = (205, 150, 150) if rng.random() < 0.9 else (110, 60, 150)
        cv2.circle(image, place, int(rng.integers(10, 16)), colour, -1, cv2.LINE_AA)
    grain = rng.normal(0, 2, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)
