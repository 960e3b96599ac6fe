"""What a card says of the sets that its weights were made with: their terms, and the limits that come of them."""

from __future__ import annotations

import numpy as np

from worker.training.classification.data import CLASSES, CropSet, is_drawn

_SEGPC = "SegPC-2021 (CC BY-NC-SA 4.0)"
_CNMC = "C-NMC 2019 (CC BY 3.0)"
_MATEK = "Matek et al. 2021 (CC BY 4.0)"
_ZHENG = "white-cell sets of Zheng et al. 2018"
_CREDIT = {
    "cnmc": _CNMC,
    "cnmc2019_sample": _CNMC,
    "segpc": _SEGPC,
    "segpc_mm_512": _SEGPC,
    "segpc_mm_native": _SEGPC,
    "snam": "SN-AM (CC BY 3.0)",
    "all_idb": "ALL-IDB (on request, for research)",
    "matek": _MATEK,
    "matek_bone_marrow": _MATEK,
    "pbc_normal_wbc": "PBC, Acevedo et al. 2020 (CC BY 4.0)",
    "marrow_cells_pathbites": "marrow teaching crops (terms unstated)",
    "wbcseg_d1_jiangxi": _ZHENG,
    "wbcseg_d2_cellavision": _ZHENG,
    "bccd_fields": "BCCD (MIT)",
    "taleqani_all": "Taleqani ALL (credit Aria et al. 2021)",
    "bm_graz_HE_ood": "BM-GRAZ (non-commercial)",
}
"""By source, as in docs/datasets.md; sources with one text are one set."""
_WEAK = ("snam", "taleqani_all")
_BLASTS = ("lymphoblast", "blast_other")
_OPEN = "Photographed blasts of unknown lineage are trained and scored as lymphoblast or blast_other together."
_NEARLY_ALL = 0.8
_ALWAYS = "Research use only, not for diagnostic procedures."
_NEVER_MEASURED = "Morphology establishes neither lineage nor clonality. No patient-level accuracy was measured."


def terms_of(crops: CropSet) -> str:
    """Return the terms of all sets in the crops; the strictest bind the weights."""
    names = np.unique(crops.source[~is_drawn(crops)])
    known = list(dict.fromkeys(_credit(str(name)) for name in names))
    bound = ""
    if _SEGPC in known:
        bound = " The weights may be used for non-commercial purposes only and are shared under CC BY-NC-SA 4.0."
    elif any("non-commercial" in credit for credit in known):
        bound = " The weights may be used for non-commercial purposes only."
    return f"Trained with {'; '.join(known) or 'drawn cells only'}.{bound}"


def limits_of(train: CropSet) -> str:
    """Return what the training part cannot have taught: classes not photographed, or by one laboratory only."""
    seen = train.where(~is_drawn(train))
    open_blasts = (seen.allowed == np.isin(CLASSES, _BLASTS)).all(axis=1).any()
    seen = seen.where(seen.allowed.sum(axis=1) == 1)
    absent = [name for k, name in enumerate(CLASSES) if not seen.allowed[:, k].any()]
    mostly = [f"{name} {share:.0%} from {credit}" for name in CLASSES for credit, share in _main_sets(seen, name)]
    said = [
        _ALWAYS,
        f"No photographed crops labelled as: {', '.join(absent)}." if absent else "",
        f"Nearly all photographed crops of a class come from one set: {', '.join(mostly)}." if mostly else "",
        _OPEN if open_blasts else "",
        _weak(seen),
        _NEVER_MEASURED,
    ]
    return " ".join(filter(None, said))


def _credit(source: str) -> str:
    return _CREDIT.get(source, f"{source}: terms not known here")


def _main_sets(seen: CropSet, name: str) -> list[tuple[str, float]]:
    """Return the set that nearly all crops of a class come from, if there is one, with its share."""
    sources = seen.source[seen.allowed[:, CLASSES.index(name)]]
    sets, counts = np.unique([_CREDIT.get(str(source), str(source)) for source in sources], return_counts=True)
    return [
        (str(one), count / len(sources))
        for one, count in zip(sets, counts, strict=True)
        if count > _NEARLY_ALL * len(sources)
    ]


def _weak(seen: CropSet) -> str:
    sources = seen.source[seen.allowed[:, CLASSES.index("lymphoblast")]]
    if not len(sources) or np.isin(sources, _WEAK).mean() <= 0.5:
        return ""
    return "Lymphoblast labels of photographed cells are mostly weak (whole fields known to be ALL)."
