"""Batches of augmented crops, drawn so that neither a common class nor a large source outweighs the others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from worker.cells.preprocess import prepare, resized, to_input
from worker.training.augment import augmented
from worker.training.classification.data import CropSet, is_drawn
from worker.training.classification.recipe import Recipe

_DRAWN_SHARE = 0.3
"""Share of drawn cells in an epoch: they are many and easy, but only they show every class."""

TrainingBatch = tuple[NDArray[np.float32], NDArray[np.bool_]]


def weights(crops: CropSet, recipe: Recipe) -> NDArray[np.float64]:
    """Return each crop's chance to be drawn.

    Drawn and photographed crops are balanced apart, so that neither kind speaks for a class. Within a kind the chance
    goes over labels as the recipe says, and over a label's sources by the root of their size.
    """
    chances = np.zeros(len(crops), dtype=np.float64)
    drawn = is_drawn(crops)
    for rows, share in ((drawn, _DRAWN_SHARE), (np.logical_not(drawn), 1 - _DRAWN_SHARE)):
        if rows.any():
            within = _balanced(crops.where(rows), recipe)
            chances[rows] = share * within / within.sum()
    return np.asarray(chances / chances.sum(), dtype=np.float64)


def _balanced(crops: CropSet, recipe: Recipe) -> NDArray[np.float64]:
    keys, chances = crops.keys(), np.zeros(len(crops), dtype=np.float64)
    for label in np.unique(keys):
        rows = keys == label
        names, counts = np.unique(crops.source[rows], return_counts=True)
        shares = np.sqrt(counts) / np.sqrt(counts).sum()
        for name, share, count in zip(names, shares, counts, strict=True):
            chances[rows & (crops.source == name)] = share / count
        if crops.allowed[rows][0].sum() != 1:
            chances[rows] *= recipe.partial_weight
        chances[rows] *= counts.sum() ** recipe.label_power
    return chances


def epoch(crops: CropSet, recipe: Recipe, input_px: int, rng: Generator) -> Iterator[TrainingBatch]:
    """Yield batches of ((B, 3, S, S) float32, (B, K) allowed classes), S `input_px`; the next one is made meanwhile."""
    rows = rng.choice(len(crops), size=recipe.draws, p=weights(crops, recipe))
    parts = [rows[start : start + recipe.batch] for start in range(0, recipe.draws, recipe.batch)]
    make = partial(_made, crops, recipe, input_px, rng)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="augment") as maker:
        waiting = maker.submit(make, parts[0])
        for following in [*parts[1:], None]:
            ready = waiting.result()
            if following is not None:
                waiting = maker.submit(make, following)
            yield ready


def _made(crops: CropSet, recipe: Recipe, input_px: int, rng: Generator, rows: NDArray[np.int64]) -> TrainingBatch:
    contexts = rng.integers(0, len(crops), size=len(rows))
    pixels = [
        augmented(crops.pixels[row], crops.pixels[other], recipe.crop_px, rng, colour=recipe.colour_change)
        for row, other in zip(rows, contexts, strict=True)
    ]
    shown = prepare(resized(np.stack(pixels), input_px), colour=recipe.colour, denoise=recipe.denoise)
    return to_input(shown, recipe.mean, recipe.std), crops.allowed[rows]
