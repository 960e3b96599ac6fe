"""Finds the same picture under two names, so that no copy of a training crop is judged as if it were new.

A perceptual hash proposes pairs and the fine detail of the pixels decides. The hash is that of the library imagehash
(`phash`, Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010): the signs of the low
frequencies of a discrete cosine transform. It is computed here because turning or mirroring a crop only swaps and
negates these frequencies: one transform gives the hashes of all eight copies, where the library makes eight. The hash
alone does not do, since centred cells on glass are alike in all that it sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from worker.errors import BadRequestError
from worker.training.classification.data import CropSet, is_drawn

Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]
_SMALL_PX = 32
_FREQUENCIES = 16
"""Rows and columns of the transform that are kept; the first number of all, the brightness, says nothing."""
_BITS = _FREQUENCIES**2 - 1
_HASH_LIMIT = 64
"""Most bits that differ in a proposed pair: copies that are cut up to 3 px apart have fewer."""
_LIKENESS_LIMIT = 0.85
"""Least correlation of the fine detail. Over the public sets, copies that are coded anew or resampled reach 0.86 or
more, and different cells at most 0.83."""
_MARGIN_PX = 14
_BLOCK = 1024
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A picture of the training part and the picture of the test part that shows the same."""

    train: str
    test: str


def with_near_duplicates_grouped(crops: CropSet) -> CropSet:
    """Return the set with those groups merged that share a picture, or exact or near copies of a crop.

    A merged group has the first name of its members. Drawn crops keep their groups: no two of them are copies. The
    time grows with the square of the number of photographed crops: 10 seconds for 8,500.
    """
    names, group = np.unique(crops.group, return_inverse=True)
    first_of_picture = np.unique(crops.picture, return_index=True, return_inverse=True)
    same_picture = group[first_of_picture[1]][first_of_picture[2]]
    ones, others = _copies_between_groups(crops, group)
    edges = np.concatenate([group[ones], group]), np.concatenate([group[others], same_picture])
    graph = coo_array((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(len(names), len(names)))
    _, component = connected_components(graph, directed=False)
    merged = names[np.unique(component, return_index=True)[1]]  # names are sorted
    return replace(crops, group=merged[component][group])


def find_leaks(train: CropSet, test: CropSet) -> list[Leak]:
    """Return the pictures of the test part that training sees: themselves, or an exact or near copy of a crop."""
    found = {(name, name) for name in set(train.picture.tolist()) & set(test.picture.tolist())}
    seen, judged = train.where(~is_drawn(train)), test.where(~is_drawn(test))
    ours, theirs = _signs(seen.pixels), _signs(judged.pixels)
    for start in range(0, len(ours), _BLOCK):
        for one, other, turn in _proposed(ours[start : start + _BLOCK], theirs):
            pair = str(seen.picture[start + one]), str(judged.picture[other])
            if pair not in found and _are_copies(seen.pixels[start + one], judged.pixels[other], turn):
                found.add(pair)
    return [Leak(train=one, test=other) for one, other in sorted(found)]


def copied_rows(crops: CropSet) -> Rows:
    """Return (P, 2) the rows of all pairs of exact or near copies, so that many divisions need one search."""
    return np.stack(_copies_between_groups(crops, np.arange(len(crops))), axis=1)


def leaks_among(crops: CropSet, copied: Rows, train: Rows, test: Rows) -> list[Leak]:
    """Return what `find_leaks` does for two parts of one set, given their rows and the set's `copied_rows`."""
    part = np.zeros(len(crops), dtype=np.int8)
    part[train], part[test] = 1, 2
    across = copied[part[copied].sum(axis=1) == 3]  # one row of each part: the sum of 1 and 2, never of 0 and 3
    ordered = np.where(part[across[:, :1]] == 1, across, across[:, ::-1])
    shared = set(crops.picture[train].tolist()) & set(crops.picture[test].tolist())
    found = {(name, name) for name in shared} | {(str(a), str(b)) for a, b in crops.picture[ordered]}
    return [Leak(train=one, test=other) for one, other in sorted(found)]


def refuse_leaks(train: CropSet, test: CropSet, leaks: list[Leak] | None = None) -> None:
    """Raise BadRequestError, naming groups or files, when the two parts share a group or show the same cells.

    `leaks` are those between the parts where they were found already; else they are searched for.
    """
    if shared := sorted(set(train.group.tolist()) & set(test.group.tolist())):
        raise BadRequestError(f"{len(shared)} groups are in both parts of the split: {_some(shared)}")
    leaks = find_leaks(train, test) if leaks is None else leaks
    if leaks:
        pairs = [f"{leak.train} = {leak.test}" for leak in leaks]
        raise BadRequestError(
            f"{len(leaks)} pictures of the test part are copies of training pictures: {_some(pairs)}; "
            "give copies one group before the split (with_near_duplicates_grouped)"
        )


def _some(names: list[str]) -> str:
    return "; ".join(names[:_NAMED]) + ("; …" if len(names) > _NAMED else "")


def _copies_between_groups(crops: CropSet, group: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of both crops of each pair of copies whose groups differ."""
    rows = np.nonzero(~is_drawn(crops))[0]
    signs = _signs(crops.pixels[rows])
    found = set()
    for start in range(0, len(rows), _BLOCK):
        for one, other, turn in _proposed(signs[start : start + _BLOCK], signs[start:]):
            pair = rows[start + one], rows[start + other]
            if (
                one < other
                and group[pair[0]] != group[pair[1]]
                and pair not in found
                and _are_copies(crops.pixels[pair[0]], crops.pixels[pair[1]], turn)
            ):
                found.add(pair)
    pairs = np.array(sorted(found), dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _signs(pixels: Pixels) -> NDArray[np.float32]:
    """Return (N, 16, 16) of +1 and -1: the hashes of (N, H, W, 3) uint8 RGB crops; 0 at the brightness."""
    signs = np.empty((len(pixels), _FREQUENCIES, _FREQUENCIES), dtype=np.float32)
    for out, crop in zip(signs, pixels, strict=True):
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
        small = cv2.resize(grey, (_SMALL_PX, _SMALL_PX), interpolation=cv2.INTER_AREA)
        out[...] = np.where(dctn(small)[:_FREQUENCIES, :_FREQUENCIES] < 0, -1, 1)
    signs[:, 0, 0] = 0
    return signs


def _proposed(ones: NDArray[np.float32], others: NDArray[np.float32]) -> Iterator[tuple[int, int, int]]:
    """Yield the rows of pairs whose hashes are near, and which of the eight turns of the other makes them so."""
    alternating = (-1.0) ** np.arange(_FREQUENCIES, dtype=np.float32)
    plain = np.ones_like(alternating)
    flat = ones.reshape(len(ones), -1)
    kinds = product((others, others.transpose(0, 2, 1)), (plain, alternating), (plain, alternating))
    for turn, (signs, rows, columns) in enumerate(kinds):
        turned = (signs * rows[:, None] * columns).reshape(len(others), -1)
        near = flat @ turned.T >= _BITS - 2 * _HASH_LIMIT
        for one, other in zip(*np.nonzero(near), strict=True):
            yield int(one), int(other), turn


def _turned(crop: Pixels, turn: int) -> Pixels:
    """Return the crop mirrored at its diagonal (4), upside down (2) and left to right (1), as `turn` adds them up."""
    out = crop.transpose(1, 0, 2) if turn & 4 else crop
    return out[:: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]


def _are_copies(one: Pixels, other: Pixels, turn: int) -> bool:
    """Tell whether the fine detail of the two crops is the same after a turn and within a few pixels' shift."""
    detail, field = _detail(one), _detail(_turned(other, turn))
    middle = np.ascontiguousarray(detail[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX])
    if middle.std() < 0.5 or field.std() < 0.5:  # empty glass correlates with anything
        return np.array_equal(one, _turned(other, turn))
    return bool(cv2.matchTemplate(field, middle, cv2.TM_CCOEFF_NORMED).max() >= _LIKENESS_LIMIT)


def _detail(crop: Pixels) -> NDArray[np.float32]:
    """Return (H, W) of what is between 1 and 3 px wide: the texture, without the cell's outline and the lighting."""
    grey = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0) - cv2.GaussianBlur(grey, (0, 0), 3.0), dtype=np.float32)
