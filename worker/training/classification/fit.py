"""Trains the shipped classifier: `python -m worker.training.classification.fit --data DIR --out FILE.safetensors`.

DIR holds the public data sets that sources.py names; drawn cells are added. The work folder keeps the cut crops and the
state after each epoch, so that an interrupted training goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worker.cells.instances import cells_of
from worker.cells.learned import predict_maps
from worker.nets.card_files import Files
from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.nets.registry import save
from worker.nets.segmenters import load_segmenter
from worker.training.classification import calibrate, evaluate, loop, sources
from worker.training.classification.card_text import LIMITS, TERMS, model_card
from worker.training.classification.data import (
    CLASSES,
    MEAN,
    MPP_UM,
    STD,
    CropSet,
    capped,
    is_drawn,
    joined,
    split,
    store,
    stored,
)
from worker.training.classification.drawn import drawn_cells, drawn_smears
from worker.training.classification.recipe import Recipe

_DRAWN_PER_CLASS = 120
_DRAWN_SMEARS = 32
_VAL_PER_LABEL = 40
SEGMENTER = "segnet-2026-11"
"""Finds the cells of fields; the weights go with it."""


def train_classifier(data: Path, out: Path, work: Path, recipe: Recipe, *, note: str = "") -> Files[Card]:
    """Train on the data sets below `data` and write weights, card and model card as `out` and beside it.

    `note` is said on the card after the limits.
    Raises ValueError when `data` holds none of the known sets, or `work` a training with another recipe.
    """
    work.mkdir(parents=True, exist_ok=True)
    parts = split(_crops(data, work, recipe.seed), recipe.seed)
    print({name: len(part) for name, part in parts.items()}, flush=True)
    val = capped(parts["val"], _VAL_PER_LABEL, recipe.seed)
    net = loop.fit(parts["train"], val, recipe, work / "state")
    halve(net)
    card = _calibrated(net, val, recipe, out.stem)
    card = replace(card, data=_counts(parts), figures=_figures(net, card, parts), limits=f"{LIMITS} {note}".strip())
    files = save(net, card, out.parent)
    out.with_suffix(".md").write_text(model_card(files.card), encoding="utf-8")
    return files


def halve(net: Classifier) -> None:
    """Round the weights to half precision, as the file will hold them, so that all figures are the file's."""
    with torch.no_grad():
        for weight in net.parameters():
            if weight.dim() > 1:
                weight.copy_(weight.half())


def _crops(data: Path, work: Path, seed: int) -> CropSet:
    """Return all crops, from the work folder where they were cut before."""
    kept = work / "crops.npz"
    if not kept.is_file():
        find = _finder()
        photographed = sources.read_all(data, find)
        drawn = [drawn_cells(seed, _DRAWN_PER_CLASS), drawn_smears(seed % 1000, _DRAWN_SMEARS, find)]
        store(joined([*photographed, *drawn]), kept)
    return stored(kept)


def _finder() -> sources.Find:
    """Return what finds the cells of a picture as the line does."""
    segmenter = load_segmenter(SEGMENTER)
    return lambda picture: cells_of(predict_maps(picture, segmenter), MPP_UM)


def _calibrated(net: Classifier, val: CropSet, recipe: Recipe, name: str) -> Card:
    found = evaluate.probabilities(net, val, recipe.input_px, crop_px=recipe.input_px)
    temperature = round(calibrate.best_temperature(found, val), 3)
    found = evaluate.probabilities(net, val, recipe.input_px, crop_px=recipe.input_px, temperature=temperature)
    return Card(
        name=name,
        channels=recipe.channels,
        created=datetime.now(UTC).date().isoformat(),
        classes=CLASSES,
        mpp_um=MPP_UM,
        crop_px=recipe.input_px,
        mean=MEAN,
        std=STD,
        temperature=temperature,
        abstain_below=calibrate.abstain_limit(found, val),
        seed=recipe.seed,
        terms=TERMS,
    )


def _counts(parts: Mapping[str, CropSet]) -> dict[str, dict[str, int]]:
    """Return the number of crops of each source in each part."""
    return {name: dict(sorted(Counter(map(str, part.source)).items())) for name, part in parts.items()}


def _figures(net: Classifier, card: Card, parts: Mapping[str, CropSet]) -> dict[str, Any]:
    """Return the figures on the held-out groups, photographed and drawn cells apart."""
    test = parts["test"]
    sets = {"photographed": test.where(~is_drawn(test)), "drawn": test.where(is_drawn(test))}
    out: dict[str, Any] = {}
    for name, crops in sets.items():
        found = evaluate.probabilities(net, crops, card.crop_px, crop_px=card.crop_px, temperature=card.temperature)
        out[name] = evaluate.figures(found, crops, card.abstain_below)
        print(name, out[name], flush=True)
    outliers = test.where(np.logical_not(test.allowed.any(axis=1)))
    found = evaluate.probabilities(net, outliers, card.crop_px, crop_px=card.crop_px, temperature=card.temperature)
    out["outliers_abstained"] = round(float((found.max(axis=1) < card.abstain_below).mean()), 3)
    real = {part: crops.where(~is_drawn(crops)) for part, crops in parts.items()}
    out["colour_only_baseline_balanced_accuracy"] = round(evaluate.colour_baseline(real["train"], real["test"]), 3)
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.training.classification.fit", description="Train the classifier."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the public data sets")
    parser.add_argument("--out", type=Path, required=True, help="weight file to write, NAME.safetensors")
    parser.add_argument("--work", type=Path, help="where crops and state are kept; default: beside --out")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--note", default="", help="said on the card after the limits")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    recipe = Recipe(epochs=chosen.epochs, seed=chosen.seed)
    work = chosen.work or chosen.out.with_suffix(".training")
    files = train_classifier(chosen.data, chosen.out, work, recipe, note=chosen.note)
    print(f"{files.weights}: {files.weights.stat().st_size} bytes, SHA-256 {files.card.weights_sha256}")


if __name__ == "__main__":
    main()
