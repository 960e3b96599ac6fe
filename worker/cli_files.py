"""Which pictures a command is given, and what it calls the files that it writes for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from worker.errors import BadRequestError

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


def outputs(images: Sequence[Path], folder: Path, ending: str) -> Iterator[Path]:
    """Yield a path per image; images of one name get numbers, so that none takes the place of another."""
    taken: dict[str, int] = {}
    for image in images:
        number = taken[image.stem] = taken.get(image.stem, 0) + 1
        yield folder / (f"{image.stem}{ending}" if number == 1 else f"{image.stem}-{number}{ending}")
