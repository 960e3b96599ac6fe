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
        "## Pixels of the validation part",
        "Dice over all known pixels of each source, at the network's scale; groups never cross the split, but the best",
        "round was chosen on some of these fields. Cell by cell figures: docs/segmentation.md.",
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
