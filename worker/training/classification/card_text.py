"""The model card for people: what the JSON card says, with what the weights must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.nets.cards import NO_STAIN_NORM, Card


def model_card(card: Card) -> str:
    """Return the model card as Markdown."""
    figures = [line for name in ("photographed", "drawn") for line in _section_of(card, name)]
    protocols = _protocols(card) if "protocols" in card.figures else []
    lines = [
        *_head(card),
        *figures,
        *_certainty(card.figures),
        *_beside(card.figures),
        *_questions(card),
        *protocols,
        *_crops(card),
    ]
    return "\n".join(lines) + "\n"


def _head(card: Card) -> list[str]:
    """Return what the model is, what it is not for, and under which terms it stands."""
    return [
        f"# {card.name}, version {card.version} ({card.created})",
        "",
        "**Research use only, not for diagnostic procedures.**",
        "",
        (
            f"Network: {card.arch}, channels {list(card.channels)}; {card.crop_px} px at {card.mpp_um} µm/px with the "
            f"nucleus in the middle, brought to {card.input_px or card.crop_px} px{_copies(card)}. "
            f"Stored as {card.stored}. Weights SHA-256 `{card.weights_sha256}`. Seed {card.seed}."
        ),
        _cells_by(card),
        *_measures(card),
        *_stain(card),
        (
            f"Temperature {card.temperature}; calls below {card.abstain_below} are abstained, and cells whose features "
            f"lie further than {card.outlying_above:.4g} from all known ones (all chosen on the validation part)."
        ),
        "",
        "## Limits",
        card.limits,
        "",
        "## Terms",
        card.terms,
        "",
        "## Figures on held-out groups",
        "Crops near-duplicate or of one field stay in one part. Partial labels are scored on the sum of their classes.",
        "",
    ]


def _section_of(card: Card, name: str) -> list[str]:
    return _section(name, card.figures[name]) if name in card.figures else []


def _beside(figures: Mapping[str, Any]) -> list[str]:
    """Return what colour alone reaches, and what becomes of outliers."""
    baseline = figures["colour_only_baseline_balanced_accuracy"]
    lines = [
        f"A logistic regression on nine colour numbers, no morphology, reaches {baseline} on the photographed crops."
    ]
    if "outliers_abstained" in figures:
        outliers = figures["outliers_abstained"]
        lines += [f"Outliers (tissue section, macrophages, unidentifiable cells) abstained: {outliers}."]
    return [*lines, ""]


def _crops(card: Card) -> list[str]:
    """Return how many crops of each source are in which part."""
    names = sorted({source for part in card.data.values() for source in part})
    rows = [
        f"| {s} | " + " | ".join(str(card.data[p].get(s, 0)) for p in ("train", "val", "test")) + " |" for s in names
    ]
    return ["## Crops", "| source | train | val | test |", "|---|---|---|---|", *rows]


def _certainty(figures: Mapping[str, Any]) -> list[str]:
    """Return how far probabilities can be believed, and what a laboratory never seen has to expect."""
    sure = figures["certainty"]
    lines = [
        (
            f"Calibration error {sure['calibration_error']} on {sure['crops']} photographed crops that nothing was "
            f"calibrated on; a perfectly calibrated model of the same answers stays below "
            f"{sure['calibration_error_of_perfect_95']} in 95 of 100 draws. Wrong answers: {sure['error']} of all, "
            f"{sure['error_at_coverage']} of the surest {sure['coverage']:.0%}."
        )
    ]
    if left_out := figures.get("outlying", {}).get("left_out"):
        rows = ", ".join(f"{source} {share}" for source, share in left_out.items())
        lines += ["", f"Taken for outliers when a source is left out of what is known: {rows}."]
    return [*lines, ""]


def _copies(card: Card) -> str:
    return f"; the probabilities are the mean over {card.turns} turned and mirrored copies" if card.turns > 1 else ""


def _measures(card: Card) -> list[str]:
    if not card.measures:
        return []
    return [
        (
            f"Beside the picture it weighs {len(card.measures)} measurements of each cell, {', '.join(card.measures)}: "
            f"a network of their own makes log-probabilities of them, which are added {card.measures_weight:g} times."
        )
    ]


def _stain(card: Card) -> list[str]:
    if card.stain_norm == NO_STAIN_NORM:
        return []
    return [f"Crops are brought to a reference stain first (`{card.stain_norm}`, docs/colour-and-scale.md)."]


def _cells_by(card: Card) -> str:
    if not card.segmenter:
        return "Cells are found by the classical segmenter, which has no weights."
    return f"Cells are found by the segmenter `{card.segmenter}`, SHA-256 `{card.segmenter_sha256}`."


def _section(name: str, figures: Mapping[str, Any]) -> list[str]:
    lines = [
        f"### {name}: {figures['crops']} crops, balanced accuracy {figures['balanced_accuracy']}",
        f"Called {figures['coverage']} of them, {figures['accuracy_of_called']} of these rightly.",
        "",
        "| label | crops | recall | precision | called as |",
        "|---|---|---|---|---|",
    ]
    for label, recall in figures["recall"].items():
        told = sorted(figures["confusion"][label].items(), key=lambda item: -item[1])
        called = ", ".join(f"{what} {count}" for what, count in told)
        precision = figures["precision"].get(label, "")
        label_cell = label.replace("|", " or ")
        lines.append(f"| {label_cell} | {figures['count'][label]} | {recall} | {precision} | {called} |")
    lines += ["", "| source | crops | accuracy | called |", "|---|---|---|---|"]
    lines += [
        f"| {source} | {row['crops']} | {row['accuracy']} | {row['coverage']} |"
        for source, row in figures["sources"].items()
    ]
    return [*lines, ""]


def _questions(card: Card) -> list[str]:
    """Return how these very weights answer each set's question, in either part that did not train them."""
    if not (asked := card.figures.get("questions")):
        return []
    lines = [
        "### Set by set",
        (
            "Of these weights, on cells of groups that did not train them. The validation part chose the epoch, the "
            "temperature and the limits; the test part decided nothing. In brackets the 95 % interval over groups."
        ),
        "",
        "| set | part | cells | groups | BA | AUC |",
        "|---|---|---|---|---|---|",
    ]
    for part, by_task in asked.items():
        for task, row in by_task.items():
            figures = f"{_shown(row['balanced_accuracy'])} | {_shown(row['auc'])}"
            lines.append(f"| {task} | {part} | {row['cells']} | {row['groups']} | {figures} |")
    return [*lines, ""]


def _protocols(card: Card) -> list[str]:
    """Return what an evaluation says of the architecture under both protocols."""
    stated = card.figures["protocols"]
    arch = stated["arch"]
    stain = "" if card.stain_norm == NO_STAIN_NORM else " without stain normalisation"
    lines = [
        "### Both protocols, by `marrowline evaluate`",
        (
            f"Of `{arch}` networks trained fold by fold for the evaluation{stain}, not of these weights. *Paper*: "
            "pictures divided at random, so that a patient lies on both sides, which flatters. *Grouped*: no group "
            "does. BA is the balanced accuracy; in brackets the 95 % interval over groups."
        ),
        "",
        "| set | grouped: BA | grouped: AUC | paper: BA | paper: AUC | grouped: BA of colour alone |",
        "|---|---|---|---|---|---|",
    ]
    for task, by_protocol in stated["tasks"].items():
        cells = [
            _shown(by_protocol.get(protocol, {}).get(system, {}).get(name))
            for protocol, system, name in (
                ("grouped", arch, "balanced_accuracy"),
                ("grouped", arch, "auc"),
                ("paper", arch, "balanced_accuracy"),
                ("paper", arch, "auc"),
                ("grouped", "colour", "balanced_accuracy"),
            )
        ]
        lines.append(f"| {task} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _shown(figure: Mapping[str, float | None] | None) -> str:
    if not figure or figure["value"] is None:
        return ""
    low, high = figure["low"], figure["high"]
    interval = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{figure['value']:.3f}{interval}"
