"""What an evaluation says of a card's network under both protocols, to be stated beside the figures of its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.errors import BadRequestError

_FIGURES = ("balanced_accuracy", "auc")
_COLOUR = "colour"


def protocols_of(evaluation: Path, arch: str) -> dict[str, Any]:
    """Return by task and protocol the figures of `arch` and of colour alone, read from an evaluation's figures.json.

    They are of networks trained for the evaluation, fold by fold, not of the weights on whose card they stand. Raises
    BadRequestError when the folder holds no evaluation of `arch`.
    """
    file = evaluation / "figures.json"
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        systems = [one for one in document["systems"] if one["arch"] in (arch, _COLOUR)]
        out: dict[str, Any] = {}
        for one in systems:
            place = out.setdefault(one["task"], {}).setdefault(one["protocol"], {})
            place[one["arch"]] = {name: one["figures"][name] for name in _FIGURES}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadRequestError(f"{file} is no evaluation: {error}; give the --out of `marrowline evaluate`") from error
    if not any(one["arch"] == arch for one in systems):
        raise BadRequestError(f"{evaluation} has no figures of {arch}: evaluate with --arch {arch}")
    return {"arch": arch, "tasks": out}


def protocol_lines(stated: Mapping[str, Any]) -> list[str]:
    """Return the figures as a section of the card for people."""
    arch = stated["arch"]
    lines = [
        "### Both protocols, by `marrowline evaluate`",
        (
            f"Of `{arch}` networks trained fold by fold for the evaluation, not of these weights. *Paper*: pictures "
            "divided at random, so that a patient lies on both sides, which flatters. *Grouped*: no group does. BA is "
            "the balanced accuracy; in brackets the 95 % interval over groups."
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
                ("grouped", _COLOUR, "balanced_accuracy"),
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
