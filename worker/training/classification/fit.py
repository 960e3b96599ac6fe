"""Trains a classifier on cut-out cells, calibrates it, judges it on groups it never saw, and writes weights and cards.

The work folder keeps the cut crops and the state after each epoch, so that a training that was stopped goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from worker.nets import segmenter_cards
from worker.nets.card_files import Files
from worker.nets.cards import INT8, NO_STAIN_NORM, Card
from worker.nets.classifier import Classifier
from worker.nets.device import chosen_device
from worker.nets.packing import round_as_stored
from worker.nets.registry import save
from worker.training.classification import loop
from worker.training.classification.begin import Begin, State, digest_of, state_of, told
from worker.training.classification.calibrate import calibrated
from worker.training.classification.called import called
from worker.training.classification.card_text import model_card
from worker.training.classification.confusion import with_confusion
from worker.training.classification.cut import SEGMENTER, Wanted, cut, finder
from worker.training.classification.data import CLASSES, MPP_UM, CropSet, capped, joined
from worker.training.classification.figures import figures_of
from worker.training.classification.morphology import weighing, with_measures
from worker.training.classification.outlying import fit_outliers
from worker.training.classification.parts import checked_split
from worker.training.classification.provenance import limits_of, terms_of
from worker.training.classification.recipe import Recipe, bounded
from worker.training.classification.settings import check_settings
from worker.workshop import Tell

_VAL_PER_LABEL = 40


@dataclass(frozen=True, kw_only=True)
class Training:
    """What to train on and where."""

    data: tuple[Path, ...]
    out: Path  # NAME.safetensors
    work: Path  # keeps crops and state
    device: str = "auto"
    drawn: bool = True  # mix drawn cells in
    stain_norm: str = NO_STAIN_NORM  # what crops are brought to, in training as in use
    begin: Begin = field(default_factory=Begin)
    recipe: Recipe = field(default_factory=Recipe)
    measures: bool = True  # weigh what is measured of a cell beside its picture
    turns: int = 1  # copies of a crop whose probabilities the finished network averages
    note: str = ""  # said on the card after the limits


def train_classifier(training: Training, say: loop.Say, tell: Tell = loop.untold) -> Files[Card]:
    """Train, or go on where a training in the work folder stopped; write the weights with both cards beside them.

    `say` takes what was done, `tell` how far an epoch is.

    Raises:
        BadRequestError: when the data holds no known set, the work folder a training of something else, or the
            network cannot begin with the weights given.
        ModelError: when the weights to begin with are missing or altered.
    """
    if training.measures and training.stain_norm != NO_STAIN_NORM:
        # A slide's cells are measured as scanned; crops brought to a reference stain do not show that.
        training = replace(training, measures=False)
        say("cells are not measured: crops are brought to a reference stain")
    # What was asked for is checked before the sets are read, which takes minutes.
    device, initial = chosen_device(training.device), state_of(training.begin, training.recipe)
    training.work.mkdir(parents=True, exist_ok=True)
    check_settings(training.work, _settings(training, initial))
    crops = cut(_wanted(training), training.work / "crops.npz", device=training.device, say=say)
    if training.measures:
        say("measuring cells")
        crops = with_measures(crops, training.work / "measures.npz", finder(training.device), tell)
    parts = checked_split(crops, training.recipe.seed)
    recipe = bounded(training.recipe, len(parts["train"]))
    say(", ".join(f"{name}: {len(part)} crops" for name, part in parts.items()))
    if recipe != training.recipe:
        say(f"few crops: an epoch draws {recipe.draws} of them instead of {training.recipe.draws}")
    val = capped(parts["val"], _VAL_PER_LABEL, recipe.seed)
    place = loop.Place(folder=training.work / "state", device=str(device), initial=initial)
    net = loop.fit(parts["train"], val, recipe, place, say=say, tell=tell)
    say("calibrating and judging")
    return write(net, replace(training, recipe=recipe), parts)


def write(net: Classifier, training: Training, parts: Mapping[str, CropSet]) -> Files[Card]:
    """Calibrate a trained network on the validation part, judge it on the test part and write its files."""
    recipe, segmenter = training.recipe, segmenter_cards.find(SEGMENTER).card
    card = Card(
        name=training.out.stem,
        channels=net.channels,
        created=datetime.now(UTC).date().isoformat(),
        stored=INT8,
        segmenter=segmenter.name,
        segmenter_sha256=segmenter.weights_sha256,
        classes=CLASSES,
        mpp_um=MPP_UM,
        crop_px=recipe.crop_px,
        input_px=recipe.input_px,
        turns=training.turns,
        colour=recipe.colour,
        denoise=recipe.denoise,
        mean=recipe.mean,
        std=recipe.std,
        stain_norm=training.stain_norm,
        seed=recipe.seed,
        terms=terms_of(joined(list(parts.values()))),
    )
    card = weighing(net, parts["train"], card)
    round_as_stored(net, card.stored)
    card = calibrated(net, parts["val"], card)
    outliers, card = fit_outliers(net, parts["train"], parts["val"], card)
    card = with_confusion(net, parts["test"], card, outliers)
    card = replace(
        card,
        data={name: _counts(part) for name, part in parts.items()},
        figures={**card.figures, **figures_of(partial(called, net, card=card, outliers=outliers), parts)},
        limits=" ".join(filter(None, (limits_of(parts["train"]), _made(training), training.note))),
    )
    files = save(net, card, training.out.parent, outliers)
    training.out.with_suffix(".md").write_text(model_card(files.card), encoding="utf-8")
    return files


def _wanted(training: Training) -> Wanted:
    return Wanted(data=training.data, seed=training.recipe.seed, drawn=training.drawn, stain_norm=training.stain_norm)


def _settings(training: Training, initial: State | None) -> dict[str, Any]:
    """Return what decides crops and state besides the recipe, which is kept with the state."""
    segmenter = segmenter_cards.find(SEGMENTER).card
    return {
        "data": sorted(str(folder.resolve()) for folder in training.data),
        "drawn": training.drawn,
        "seed": training.recipe.seed,
        "segmenter": segmenter.name,
        "segmenter_sha256": segmenter.weights_sha256,
        "begins_with": digest_of(initial),
        # Absent from folders older than the choice, which are to be gone on with.
        "stain_norm": None if training.stain_norm == NO_STAIN_NORM else training.stain_norm,
    }


def _made(training: Training) -> str:
    recipe = training.recipe
    return (
        f"Made by `marrowline train classifier --arch {recipe.arch}`: at most {recipe.epochs} epochs of {recipe.draws} "
        f"crops in batches of {recipe.batch}, {told(training.begin)}."
    )


def _counts(part: CropSet) -> dict[str, int]:
    return dict(sorted(Counter(map(str, part.source)).items()))
