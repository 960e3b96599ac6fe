"""The segmenter's model card for people: what the JSON card says, with what the weights must not be used for."""

from __future__ import annotations

from collections.abc import Collection

from worker.nets.segmenter_cards import SegmenterCard

LIMITS = (
    "Research use only, not for diagnostic procedures. Trained on small public sets and on drawn smears. Nuclei of "
    "photographed marrow are known from the classical segmenter only, and of marrow cells other than plasma cells the "
    "outline is not known at all. Smudge cells and stain deposit were seen in drawings only. Megakaryocytes and clumps "
    "whose cells cannot be told apart are left out by their size. Fields at a scale other than stated are not noticed."
)
FIGURES = {
    "dice": "whole-cell Dice",
    "nucleus_dice": "nucleus Dice",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "matched_dice": "Dice of matched cells",
    "recall_single": "recall, single",
    "recall_joined": "recall, joined",
}
"""What a card tells of each source of those that the judging finds."""
_TERMS = {
    "wbcseg_d1_jiangxi": "white-cell set 1 of Zheng et al. (Micron 2018;107:55), GPL-3 repository, to be acknowledged",
    "wbcseg_d2_cellavision": "white-cell set 2 of Zheng et al., likewise",
    "bccd_fields": "BCCD with whole-cell masks (MIT)",
    "segpc_mm_512": "SegPC-2021 (doi 10.21227/7np1-2q42, CC BY-NC-SA 4.0)",
    "segpc_mm_native": "the same in full size",
}
_NON_COMMERCIAL = "the weights may be used for non-commercial purposes only and are shared under CC BY-NC-SA 4.0"
_OPEN = "no set with a non-commercial clause had a part in the weights"


def terms(sources: Collection[str]) -> str:
    """Return under which terms weights trained on these sources may be used."""
    used = [text for source, text in _TERMS.items() if source in sources]
    bound = _NON_COMMERCIAL if any(source.startswith("segpc") for source in sources) else _OPEN
    return f"Trained with {'; '.join([*used, 'drawn smears'])}: {bound}."


def model_card(card: SegmenterCard) -> str:
    """Return the model card as Markdown."""
    sources = sorted({source for part in card.data.values() for source in part})
    lines = [
        f"# {card.name}, version {card.version} ({card.created})",
        "",
        "**Research use only, not for diagnostic procedures.**",
        "",
        (
            f"Finds nucleated cells and their nuclei in stained blood and marrow smears at {card.mpp_um} µm/px. "
            f"Network: {card.arch}, widths {list(card.widths)}. Weights SHA-256 `{card.weights_sha256}`. "
            f"Seed {card.seed}."
        ),
        "",
        f"Made by {card.made}.",
        "",
        "## Limits",
        card.limits,
        "",
        "## Terms",
        card.terms,
        "",
        *_cells(card),
        "## Pixels of the validation part",
        "Dice over all known pixels of each source, at the network's scale; groups never cross the split, but the best",
        "round was chosen on some of these fields. More figures, intervals, and pictures of best, median and worst",
        "fields: docs/segmentation.md.",
        "",
        "| what | Dice |",
        "|---|---|",
        *(f"| {name} | {value:.3f} |" for name, value in card.figures.get("pixel_dice", {}).items()),
        "",
        "## Fields",
        "| source | train | val |",
        "|---|---|---|",
        *(f"| {s} | {card.data['train'].get(s, 0)} | {card.data['val'].get(s, 0)} |" for s in sources),
    ]
    return "\n".join(lines) + "\n"


def _cells(card: SegmenterCard) -> list[str]:
    """Return the section on whole cells; nothing before the weights were judged."""
    sources = card.figures.get("cells", {})
    shown = [name for name in FIGURES if any(name in figures for figures in sources.values())]
    if not shown:
        return []
    rows = ([source, *(_number(figures.get(name)) for name in shown)] for source, figures in sources.items())
    return [
        f"## Cells (part: {card.figures['part']})",
        "Single and joined: where touching cells have one outline. Known failures are shown in docs/segmentation.md.",
        "",
        "| " + " | ".join(["source", *(FIGURES[name] for name in shown)]) + " |",
        "|---" * (len(shown) + 1) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
