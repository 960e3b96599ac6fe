"""Labelled crops: what a classifier is trained and judged on, and how they are split.

A label is the set of classes that a crop may belong to. One class is the usual case; a blast of unknown lineage is the
partial label {lymphoblast, blast_other}; the empty set marks an outlier, which no class fits.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.records import CellClass

CLASSES: tuple[str, ...] = tuple(c.value for c in CellClass if c is not CellClass.MEGAKARYOCYTE)
"""Classes with examples in the public sets or in drawn smears."""
MPP_UM = 0.25
STORED_PX = 112
"""Side of a stored crop: the input and a margin, so that a turned or shifted one stays filled."""
CROP_PX = 80
"""Side of the square that a network sees of a crop where its recipe names no other, 20 µm, before it is resized."""
MEAN = (0.78, 0.70, 0.78)
STD = (0.17, 0.20, 0.15)
"""Of RGB / 255, rounded, over the training crops; they go onto the card."""
SHARES = {"train": 0.65, "val": 0.15, "test": 0.20}

_ARRAYS = ("pixels", "allowed", "source", "group", "picture")

Label = frozenset[CellClass]
Row = tuple[NDArray[np.uint8], Label, str, str]
"""A crop, its label, its group and the name of its picture, the last two unique within their source."""


@dataclass(frozen=True, kw_only=True)
class CropSet:
    """N labelled crops; equal rows of every array belong together."""

    classes: tuple[str, ...] = CLASSES  # K of them; a task may have its own
    pixels: NDArray[np.uint8]  # (N, STORED_PX, STORED_PX, 3) RGB at MPP_UM, nucleus in the middle
    allowed: NDArray[np.bool_]  # (N, K) the label; all False for an outlier
    source: NDArray[np.str_]  # (N,)
    group: NDArray[np.str_]  # (N,) unique over sources; never divided between splits
    picture: NDArray[np.str_]  # (N,) the file that it was cut from, unique over sources
    measured: NDArray[np.float32] | None = None  # (N, F) features.NAMES, NaN for a cell not found; None: not measured

    def __len__(self) -> int:
        return len(self.pixels)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> CropSet:
        """Return the chosen rows."""
        measured = None if self.measured is None else self.measured[chosen]
        return replace(self, measured=measured, **{name: getattr(self, name)[chosen] for name in _ARRAYS})

    def keys(self) -> NDArray[np.str_]:
        """Return each crop's label as (N,) text: `lymphocyte`, `lymphoblast|blast_other`, …"""
        return np.array([key(row, self.classes) for row in self.allowed], dtype=np.str_)


def key(allowed: NDArray[np.bool_], classes: Sequence[str] = CLASSES) -> str:
    """Return one label as text; a label that rules out few classes is written by what it rules out."""
    inside = [name for name, is_in in zip(classes, allowed, strict=True) if is_in]
    outside = [name for name, is_in in zip(classes, allowed, strict=True) if not is_in]
    if not inside:
        return "outlier"
    return "|".join(inside) if len(inside) <= (len(classes) + 1) // 2 else "not " + "|".join(outside)


def crop_set(rows: Iterable[Row], source: str, *, groups_of: str = "") -> CropSet:
    """Gather the rows of one source.

    Groups get the source's name in front, or `groups_of` where another source holds pictures of the same groups.
    """
    pixels, labels, groups, pictures = zip(*rows, strict=True)
    return CropSet(
        pixels=np.stack(pixels),
        allowed=np.array([[c in label for c in CLASSES] for label in labels], dtype=np.bool_),
        source=np.array([source] * len(pixels), dtype=np.str_),
        group=np.array([f"{groups_of or source}/{group}" for group in groups], dtype=np.str_),
        picture=np.array([f"{source}/{picture}" for picture in pictures], dtype=np.str_),
    )


def joined(sets: Sequence[CropSet]) -> CropSet:
    """Return all crops of several sets, which have the same classes; not what was measured of them."""
    if len({s.classes for s in sets}) != 1:
        raise ValueError("sets of different classes cannot be joined")
    arrays: dict[str, Any] = {name: np.concatenate([getattr(s, name) for s in sets]) for name in _ARRAYS}
    return replace(sets[0], measured=None, **arrays)


def split(crops: CropSet, seed: int) -> dict[str, CropSet]:
    """Divide by group into train, val and test, near SHARES for each label of each source.

    The order of groups comes from a hash, so that adding a source moves no group of another one.
    """
    sizes: dict[str, int] = dict(zip(*np.unique(crops.group, return_counts=True), strict=True))
    strata = defaultdict(set)
    for source, label, group in zip(crops.source, crops.keys(), crops.group, strict=True):
        strata[source, label].add(str(group))
    part_of: dict[str, str] = {}
    for stratum in sorted(strata, key=lambda s: (len(strata[s]), s)):  # rare labels choose first
        _assign(sorted(strata[stratum], key=lambda g: _hashed(g, seed)), sizes, part_of)
    parts = np.array([part_of[str(group)] for group in crops.group])
    return {name: crops.where(parts == name) for name in SHARES}


def store(crops: CropSet, path: Path) -> None:
    """Keep a set as .npz, so that a further run need not cut it again."""
    arrays = {name: getattr(crops, name) for name in _ARRAYS}
    np.savez(path, classes=np.array(crops.classes, dtype=np.str_), **arrays)


def stored(path: Path) -> CropSet:
    """Return a set that `store` kept."""
    with np.load(path, allow_pickle=False) as arrays:
        classes = tuple(map(str, arrays["classes"]))
        return CropSet(classes=classes, **{name: arrays[name] for name in _ARRAYS})


def capped(crops: CropSet, most: int, seed: int) -> CropSet:
    """Return at most `most` crops of each label of each source, chosen by the seed."""
    order = np.random.default_rng(seed).permutation(len(crops))
    seen: dict[tuple[str, str], int] = defaultdict(int)
    chosen = np.zeros(len(crops), dtype=np.bool_)
    keys = crops.keys()
    for row in order:
        stratum = str(crops.source[row]), str(keys[row])
        chosen[row] = seen[stratum] < most
        seen[stratum] += 1
    return crops.where(chosen)


def is_drawn(crops: CropSet) -> NDArray[np.bool_]:
    """Return (N,) which crops were drawn rather than photographed."""
    return np.char.startswith(crops.source, "drawn")


def _assign(groups: Sequence[str], sizes: dict[str, int], part_of: dict[str, str]) -> None:
    """Give each group without a part to the part that lacks most of its share of this stratum."""
    filled = dict.fromkeys(SHARES, 0)
    for group in groups:
        if group in part_of:
            filled[part_of[group]] += sizes[group]
    for group in groups:
        if group not in part_of:
            total = sum(filled.values()) + sizes[group]
            part_of[group] = max(SHARES, key=lambda part: SHARES[part] * total - filled[part])
            filled[part_of[group]] += sizes[group]


def _hashed(group: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}/{group}".encode()).hexdigest()
