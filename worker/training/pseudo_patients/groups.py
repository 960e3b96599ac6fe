"""Which real pictures make up which pseudo-patient: groups of the public sets, and input that is none of ours.

A pseudo-patient is no patient: pictures of many people, or of one nobody knows, under one name. It shows what the line
does with real stains and cells, and says nothing of how often a finding is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from db.records import Specimen
from worker.training.classification.sources.manifests import MANIFEST, entries, without_bars, without_scale_bar
from worker.training.classification.sources.pictures import rgb
from worker.training.pseudo_patients.sheet import Layout, Pixels

_FIELDS_PER_SHEET = 20
_SMALL_FIELDS_PER_SHEET = 50
_BLOOD = {"neutrophil": 70, "lymphocyte": 45, "monocyte": 10, "eosinophil": 6, "basophil": 2}
"""Cells of a sheet of normal blood, about as textbooks give it, of the kinds that the set of normal blood has."""


@dataclass(frozen=True, kw_only=True)
class PseudoPatient:
    """Pictures under one name."""

    name: str
    shows: str  # in words, for the table
    specimen: Specimen
    sheets: tuple[tuple[Pixels, ...], ...] = ()  # the pictures of each
    layout: Layout | None = None
    files: tuple[Path, ...] = ()  # slides as they are, instead of sheets
    mpp_um: float | None = None  # of such files, where their headers do not tell it
    is_smear: bool = False  # told so, whatever they look like
    strange: bool = False  # nothing that a finding could be right about


def all_of(data: Path) -> Iterator[PseudoPatient]:
    """Yield the pseudo-patients of the sets that lie below a folder."""
    for folder, patients in (
        ("segpc_mm_512", _myeloma_fields),
        ("taleqani_all", _leukaemia_fields),
        ("pbc_normal_wbc", _normal_blood),
        ("matek_bone_marrow", _marrow_cells),
        ("marrow_cells_pathbites", _normal_marrow),
        ("bm_graz_HE_ood", _sections),
        ("wsi", _other_slides),
    ):
        if (data / folder / MANIFEST).is_file():
            yield from patients(data / folder)


def _myeloma_fields(folder: Path) -> Iterator[PseudoPatient]:
    """Yield two, each of fields of groups that the other has none of."""
    fields = sorted(entries(folder, "file", "group_id"), key=lambda row: (row["group_id"], row["file"]))
    half = next(n for n in range(len(fields) // 2, len(fields)) if fields[n]["group_id"] != fields[n - 1]["group_id"])
    for name, part in (("segpc-first", fields[:half]), ("segpc-second", fields[half:])):
        files = [row["file"] for row in part[: 2 * _FIELDS_PER_SHEET]]
        pictures = [_without_bars(rgb(folder / file)) for file in files]
        yield PseudoPatient(
            name=name,
            shows=f"{len(files)} fields of myeloma marrow (SegPC-2021)",
            specimen=Specimen.MARROW,
            sheets=_sheets(pictures, _FIELDS_PER_SHEET),
            layout=Layout(mpp_um=0.163),
        )


def _leukaemia_fields(folder: Path) -> Iterator[PseudoPatient]:
    fields = entries(folder, "file", "label", "group_id")
    for stage, what in (
        ("Benign", "benign blood (haematogones)"),
        ("Early", "early pre-B ALL"),
        ("Pre", "pre-B ALL"),
        ("Pro", "pro-B ALL"),
    ):
        files = [row["file"] for row in fields if row["file"].startswith(f"{stage}/")][: 2 * _SMALL_FIELDS_PER_SHEET]
        yield PseudoPatient(
            name=f"taleqani-{stage.lower()}",
            shows=f"{len(files)} fields of {what} (Taleqani)",
            specimen=Specimen.BLOOD,
            sheets=_sheets([without_scale_bar(rgb(folder / file)) for file in files], _SMALL_FIELDS_PER_SHEET),
            layout=Layout(mpp_um=0.37),
        )


def _normal_blood(folder: Path) -> Iterator[PseudoPatient]:
    rows = entries(folder, "file", "label")
    files = [row["file"] for kind, n in _BLOOD.items() for row in islice((r for r in rows if r["label"] == kind), n)]
    others = [r for r in rows if r["file"] not in files and r["label"] not in ("platelet", "erythroblast", "ig")]
    yield PseudoPatient(
        name="pbc-normal",
        shows=f"{len(files)} + {len(others)} cells of normal blood (Acevedo)",
        specimen=Specimen.BLOOD,
        sheets=(_pictures(folder, files), _pictures(folder, [row["file"] for row in others])),
        layout=Layout(mpp_um=0.1),
    )


def _marrow_cells(folder: Path) -> Iterator[PseudoPatient]:
    rows = entries(folder, "file", "label")
    for name, without, what in (
        ("matek-all", (), "all kinds, a quarter of them blasts of any lineage"),
        ("matek-no-blasts", ("blast_any_lineage",), "all kinds but blasts"),
    ):
        files = [row["file"] for row in rows if row["label"] not in without]
        yield PseudoPatient(
            name=name,
            shows=f"{len(files)} marrow cells, {what} (Matek)",
            specimen=Specimen.MARROW,
            sheets=(_pictures(folder, files),),
            layout=Layout(mpp_um=0.1, disc_um=9.0),
        )


def _normal_marrow(folder: Path) -> Iterator[PseudoPatient]:
    files = [row["file"] for row in entries(folder, "file", "label")]
    yield PseudoPatient(
        name="marrow-normal",
        shows=f"{len(files)} cells of normal marrow, 16 kinds",
        specimen=Specimen.MARROW,
        sheets=(_pictures(folder, files),),
        layout=Layout(mpp_um=0.15, disc_um=8.0),
    )


def _sections(folder: Path) -> Iterator[PseudoPatient]:
    files = tuple(folder / row["file"] for row in entries(folder, "file"))
    for name, told in (("section", False), ("section-told-smear", True)):
        yield PseudoPatient(
            name=name,
            shows=f"{len(files)} fields of trephine sections, H&E{', told to be smears' if told else ''}",
            specimen=Specimen.MARROW,
            files=files,
            mpp_um=0.25,
            is_smear=told,
            strange=True,
        )


def _other_slides(folder: Path) -> Iterator[PseudoPatient]:
    for name, file, what in (
        ("tissue", "good/CMU-1-Small-Region.svs", "a tissue section, H&E"),
        ("fluorescence", "good/test3-DAPI-2-(387).ndpi", "a fluorescence slide, DAPI"),
    ):
        for told in (False, True) if (folder / file).is_file() else ():
            yield PseudoPatient(
                name=f"{name}{'-told-smear' if told else ''}",
                shows=f"{what}{', told to be a smear' if told else ''}",
                specimen=Specimen.MARROW,
                files=(folder / file,),
                is_smear=told,
                strange=True,
            )


def _without_bars(image: Pixels) -> Pixels:
    return without_bars(image, np.ones(image.shape[:2], np.bool_))[0]


def _sheets(pictures: Sequence[Pixels], each: int) -> tuple[tuple[Pixels, ...], ...]:
    return tuple(tuple(pictures[start : start + each]) for start in range(0, len(pictures), each))


def _pictures(folder: Path, files: Sequence[str]) -> tuple[Pixels, ...]:
    return tuple(rgb(folder / file) for file in files)
