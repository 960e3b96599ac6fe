"""Which pictures a command is given, what it calls the files that it writes for them, and how it writes those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

from worker.errors import BadRequestError
from worker.outputs.files import whole_bytes

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


def expanded(paths: Sequence[Path]) -> list[Path]:
    """Return the files, and for a folder the pictures in it by name; BadRequestError when there are none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in _PICTURES and one.is_file())
            if not inside:
                raise BadRequestError(f"{path}: no pictures ({', '.join(sorted(_PICTURES))}) in this folder")
            found += inside
        else:
            found.append(path)
    if absent := [str(path) for path in found if not path.is_file()]:
        raise BadRequestError(f"no such file: {', '.join(absent[:3])}")
    return found


def outputs(images: Sequence[Path], folder: Path, ending: str) -> list[Path]:
    """Return a path in `folder` per image; images of one name get numbers, so that none takes the place of another.

    Raises BadRequestError when one of them is an image itself, by whatever spelling or link.
    """
    targets = [folder / name for name in _names(images, ending)]
    given = {identity: image for image in images if (identity := _identity(image))}
    for target in targets:
        if (identity := _identity(target)) and (image := given.get(identity)):
            raise BadRequestError(f"{target} would replace the image {image}: choose another folder with --out")
    return targets


def made(folder: Path) -> None:
    """Make the folder for what is written, unless it is there; BadRequestError when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequestError(f"{folder}: this folder cannot be made: {error.strerror}") from error


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """Write (H, W) uint8 or uint16, or (H, W, 3) uint8 BGR, whole or not at all; BadRequestError when it cannot be.

    OpenCV only encodes: it is at a loss with file names that are not UTF-8, and says nothing of a full disk.
    """
    encoded, content = cv2.imencode(".png", pixels)
    if not encoded:
        raise BadRequestError(f"{path}: {pixels.shape[1]} x {pixels.shape[0]} px make no PNG")
    with whole_bytes(path) as file:
        file.write(content.tobytes())


def printable(text: str) -> str:
    """Return text that any UTF-8 stream takes, in JSON too: bytes of a file name that are none are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _names(images: Sequence[Path], ending: str) -> Iterator[str]:
    given: set[str] = set()
    numbers: dict[str, Iterator[int]] = {}
    for image in images:
        name = f"{image.stem}{ending}"
        while name in given:
            name = f"{image.stem}-{next(numbers.setdefault(image.stem, count(2)))}{ending}"
        given.add(name)
        yield name


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what all names and links of one file share; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
