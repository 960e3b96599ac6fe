"""Slides to measure on: the Aperio layout, with tiles drawn from a pool of encoded pieces of a drawn smear.

Encoding a slide's every tile would take minutes and tell nothing more: a decoder's work on a tile does not depend on
its neighbours. Levels below the first hold pieces of the same smear.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from db.records import CellClass
from worker.drawing.smear import SmearSpec, draw_smear

_MPP_UM = 0.25
_QUALITY = 85
_PICTURE_PX = 2048
_REDUCTIONS = (1, 4, 16)
_SEED = 2026
_SHORT, _LONG, _TEXT = 3, 4, 2
_CODES = {_SHORT: "H", _LONG: "I", _TEXT: "c"}
_CELLS = {
    CellClass.NEUTROPHIL: 20,
    CellClass.LYMPHOCYTE: 12,
    CellClass.ERYTHROBLAST: 10,
    CellClass.LYMPHOBLAST: 8,
    CellClass.MONOCYTE: 4,
    CellClass.PLASMA_CELL: 3,
}

Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it, and of how much."""
_Entry = tuple[int, int, Sequence[int] | bytes]  # tag, type, values


@dataclass(frozen=True, kw_only=True)
class SlideSpec:
    """A slide to measure on."""

    width_px: int
    height_px: int
    native_px: int  # side of its JPEG tiles
    repeated: bool = False  # its tiles are places in one small pool: a large slide in a small file

    @property
    def name(self) -> str:
        """A file's name for it."""
        kind = "-repeated" if self.repeated else ""
        return f"bench-{self.width_px}x{self.height_px}-{self.native_px}{kind}.svs"


def bench_slide(folder: Path, spec: SlideSpec, progress: Progress) -> Path:
    """Return the slide's file in a folder, written now where it is not there yet."""
    path = folder / spec.name
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as stream:
        _write(stream, spec, progress)
    unfinished.replace(path)
    return path


def encoded_pool(native_px: int) -> list[bytes]:
    """Return JPEG streams (4:2:0, quality 85) of the pieces of a drawn smear, in all orientations."""
    smear = draw_smear(SmearSpec(width_px=_PICTURE_PX, height_px=_PICTURE_PX, seed=_SEED, composition=_CELLS)).rgb
    pool = []
    for turns in range(4):
        for picture in (np.rot90(smear, turns), np.rot90(smear, turns)[:, ::-1]):
            for y in range(0, _PICTURE_PX - native_px + 1, native_px):
                for x in range(0, _PICTURE_PX - native_px + 1, native_px):
                    piece = np.ascontiguousarray(picture[y : y + native_px, x : x + native_px])
                    pool.append(simplejpeg.encode_jpeg(piece, _QUALITY, "RGB", "420"))
    return pool


def _write(stream: BinaryIO, spec: SlideSpec, progress: Progress) -> None:
    pool = encoded_pool(spec.native_px)
    sizes = [(spec.width_px // by, spec.height_px // by) for by in _REDUCTIONS]
    grids = [-(-width // spec.native_px) * -(-height // spec.native_px) for width, height in sizes]
    rng = np.random.default_rng(_SEED)
    stream.write(b"II*\0\0\0\0\0")
    starts = np.array(_put(stream, pool)) if spec.repeated else None
    levels = []
    for number, count in enumerate(grids):
        drawn = rng.integers(0, len(pool), count)
        progress(spec.name, sum(grids[:number]), sum(grids))
        offsets = _put(stream, [pool[index] for index in drawn]) if starts is None else starts[drawn].tolist()
        levels.append((offsets, [len(pool[index]) for index in drawn]))
    progress(spec.name, sum(grids), sum(grids))
    _write_directories(stream, spec, [_tags(spec, size, *level) for size, level in zip(sizes, levels, strict=True)])


def _put(stream: BinaryIO, tiles: Sequence[bytes]) -> list[int]:
    offsets = []
    for tile in tiles:
        offsets.append(stream.tell())
        stream.write(tile)
    return offsets


def _tags(spec: SlideSpec, size: tuple[int, int], offsets: list[int], counts: list[int]) -> list[_Entry]:
    width, height = size
    about = f"Aperio Image Library v12.0.0\r\n{spec.width_px}x{spec.height_px} drawn|AppMag = 40|MPP = {_MPP_UM}\0"
    return [
        (254, _LONG, (0,)),
        (256, _LONG, (width,)),
        (257, _LONG, (height,)),
        (258, _SHORT, (8, 8, 8)),
        (259, _SHORT, (7,)),
        (262, _SHORT, (6,)),
        (270, _TEXT, about.encode()),
        (277, _SHORT, (3,)),
        (284, _SHORT, (1,)),
        (322, _LONG, (spec.native_px,)),
        (323, _LONG, (spec.native_px,)),
        (324, _LONG, offsets),
        (325, _LONG, counts),
        (530, _SHORT, (2, 2)),
    ]


def _write_directories(stream: BinaryIO, spec: SlideSpec, directories: Sequence[Sequence[_Entry]]) -> None:
    """Append TIFF directories, each linked from the one before."""
    link = 4
    for entries in directories:
        packed = b"".join(_entry(stream, entry) for entry in entries)
        here = stream.tell() + stream.tell() % 2
        stream.seek(here)
        stream.write(struct.pack("<H", len(entries)) + packed + bytes(4))
        if stream.tell() >= 2**32:
            raise ValueError(f"{spec.name} would be larger than a classic TIFF")
        stream.seek(link)
        stream.write(struct.pack("<I", here))
        stream.seek(0, 2)
        link = stream.tell() - 4


def _entry(stream: BinaryIO, entry: _Entry) -> bytes:
    """Return a directory's entry; values of more than four bytes are written now."""
    tag, kind, values = entry
    raw = values if isinstance(values, bytes) else _packed(values, _CODES[kind])
    count = len(values)
    if len(raw) > 4:
        place = stream.tell() + stream.tell() % 2
        stream.seek(place)
        stream.write(raw)
        raw = struct.pack("<I", place)
    return struct.pack("<HHI", tag, kind, count) + raw.ljust(4, b"\0")


def _packed(values: Sequence[int], code: str) -> bytes:
    array: NDArray[np.uint32] = np.asarray(values, dtype=f"<u{struct.calcsize(code)}")
    return array.tobytes()
