"""Trains a segmenter from the annotated sets and drawn smears, judges it, and writes weights, card and model card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from worker.errors import BadRequestError
from worker.nets.card_files import Files
from worker.nets.device import chosen_device
from worker.nets.segmenter_cards import SegmenterCard
from worker.nets.segmenters import halve, save_segmenter
from worker.nets.segnet import SegNet
from worker.training.segmentation import loop
from worker.training.segmentation.card_text import LIMITS, model_card, terms
from worker.training.segmentation.data import MPP_UM, Field, parts, read_all
from worker.training.segmentation.drawn import drawn_fields
from worker.training.segmentation.sets import SETS
from worker.training.segmentation.validate import MEAN, STD, validate

_DRAWN_SMEARS, _DRAWN_SEED = 60, 7
_VALIDATED = 24
"""Most fields of a source that a round is judged by; all of them are for the card."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What to train on and where."""

    data: Path
    out: Path  # NAME.safetensors
    work: Path  # keeps the state
    leave_out: tuple[str, ...] = ()
    device: str = "auto"
    initial: Path | None = None  # a weight file to begin with
    recipe: loop.Recipe = field(default_factory=loop.Recipe)


def train_segmenter(training: Training, tell: loop.Tell) -> Files[SegmenterCard]:
    """Train, or go on where a training in the work folder stopped; write the weights with both cards beside them.

    Raises:
        BadRequestError: when the data holds no known set, or the work folder a training of something else.
    """
    # What was asked for is checked before the sets are read, which takes a minute.
    place = loop.Place(folder=training.work, device=chosen_device(training.device), initial=_initial(training))
    tell(f"reading the sets below {training.data}, drawing {_DRAWN_SMEARS} smears")
    try:
        found = parts([*read_all(training.data, training.leave_out), *drawn_fields(_DRAWN_SMEARS, _DRAWN_SEED)])
    except ValueError as error:
        raise BadRequestError(str(error)) from error
    tell(", ".join(f"{name}: {len(fields)} fields" for name, fields in found.items()))
    try:
        net = loop.fit(found["train"], few_of_each(found["val"]), training.recipe, place, tell)
    except ValueError as error:
        raise BadRequestError(str(error)) from error
    return write(net, training, found)


def write(net: SegNet, training: Training, found: Mapping[str, Sequence[Field]]) -> Files[SegmenterCard]:
    """Judge a trained network on all fields kept for validation and write its files."""
    halve(net)
    card = SegmenterCard(
        name=training.out.stem,
        widths=net.widths,
        created=datetime.now(UTC).date().isoformat(),
        mpp_um=MPP_UM,
        mean=MEAN,
        std=STD,
        seed=training.recipe.seed,
        made=_made(training),
        data={part: _counts(fields) for part, fields in found.items()},
        figures={"pixel_dice": validate(net, found["val"])},
        limits=LIMITS,
        terms=terms({field.source for field in found["train"]}),
    )
    files = save_segmenter(net, card, training.out.parent)
    training.out.with_suffix(".md").write_text(model_card(files.card), encoding="utf-8")
    return files


def few_of_each(fields: Sequence[Field]) -> list[Field]:
    """Return at most _VALIDATED fields of each source, from all over it."""
    chosen = []
    for source in sorted({one.source for one in fields}):
        of_source = [one for one in fields if one.source == source]
        number = min(_VALIDATED, len(of_source))
        chosen += [of_source[index * len(of_source) // number] for index in range(number)]
    return chosen


def known_sets() -> tuple[str, ...]:
    """Return the folder names that training reads."""
    return tuple(one.folder for one in SETS)


def _initial(training: Training) -> dict[str, Any] | None:
    """Return the weights to begin with; raises BadRequestError when they are of another network."""
    if training.initial is None:
        return None
    try:
        weights = {key: value.float() for key, value in load_file(training.initial).items()}
        SegNet(training.recipe.widths).load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadRequestError(
            f"{training.initial} holds no weights of a segmenter of widths {training.recipe.widths}: {error}"[:300]
        ) from error
    return weights


def _made(training: Training) -> str:
    recipe = training.recipe
    start = f"beginning with {training.initial.name}" if training.initial else "from scratch"
    return f"marrowline train segmenter: {recipe.rounds} rounds of {recipe.steps} steps of {recipe.batch}, {start}"


def _counts(fields: Sequence[Field]) -> dict[str, int]:
    return dict(sorted(Counter(one.source for one in fields).items()))
