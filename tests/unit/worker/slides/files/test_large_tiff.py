from __future__ import annotations

import struct
from pathlib import Path

import pytest

from worker.errors import BadSlideError
from worker.slides.files.formats import open_slide_file
from worker.slides.files.large_tiff import check_large_tiff

WIDTH, HEIGHT, NDPI = 256, 257, 65420
FIRST = 5 * 2**30


def directory(width: int, height: int, following: int, *, tag: int = NDPI) -> bytes:
    entries = [(WIDTH, 4, 1, width), (HEIGHT, 4, 1, height), (tag, 4, 1, 1)]
    return (
        struct.pack("<H", 3)
        + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        + struct.pack("<Q", following)
    )


def ndpi(path: Path, directories: list[bytes], first: int = FIRST) -> Path:
    """Write a sparse file with directories beyond 4 GiB, 100 bytes apart."""
    with path.open("wb") as stream:
        stream.write(b"II*\0" + struct.pack("<Q", first))
        for number, raw in enumerate(directories):
            stream.seek(FIRST + 100 * number)
            stream.write(raw)
        stream.truncate(FIRST + 100 * len(directories) + 100)
    return path


def refusal(path: Path) -> str:
    with path.open("rb") as stream, pytest.raises(BadSlideError) as caught:
        check_large_tiff(stream)
    return caught.value.code


def test_directories_within_the_limits_pass(tmp_path: Path) -> None:
    path = ndpi(tmp_path / "a.ndpi", [directory(100_000, 80_000, FIRST + 100), directory(5000, 4000, 0)])
    with path.open("rb") as stream:
        check_large_tiff(stream)


@pytest.mark.parametrize(
    ("directories", "code"),
    [
        ([directory(2**21, 5, 0)], "too_large"),
        ([directory(5, 0, 0)], "damaged"),
        ([directory(5, 5, FIRST)], "damaged"),
        ([directory(5, 5, 2**40)], "truncated"),
        ([directory(5, 5, 0, tag=700)], "unsupported_format"),
    ],
)
def test_others_are_refused(tmp_path: Path, directories: list[bytes], code: str) -> None:
    assert refusal(ndpi(tmp_path / "a.ndpi", directories)) == code


def test_more_directories_than_any_slide_has_are_refused(tmp_path: Path) -> None:
    many = [directory(5, 5, FIRST + 100 * (number + 1)) for number in range(1030)]
    assert refusal(ndpi(tmp_path / "a.ndpi", many)) == "too_large"


def test_the_limits_come_before_openslide_is_asked(tmp_path: Path) -> None:
    with pytest.raises(BadSlideError) as caught:
        open_slide_file(ndpi(tmp_path / "a.ndpi", [directory(2**21, 5, 0)]))
    assert caught.value.code == "too_large"
