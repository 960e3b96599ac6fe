"""One field in, presence or absence of cancer and its type out: the source paper's own use.

The field goes the way of every slide: recognition, scale, cells, calls (worker/pipeline.py). A fuzzy system with
readable rules then weighs what was found. The answer is about this field; a patient's finding rests on hundreds of
cells (worker/verdict.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from db.records import Cell, CellClass, Plan
from worker.counting.intervals import clopper_pearson
from worker.errors import BadSlideError
from worker.fuzzy.inputs import SUSPECT, Field, inputs_of, threshold_probability
from worker.fuzzy.mamdani import Inference, infer
from worker.fuzzy.released import DEFAULT_SYSTEM, DISEASES, SYSTEMS
from worker.nets.registry import Model
from worker.pipeline import read_slide
from worker.planning import ReadingSpec, plan_slide
from worker.rules import DEFAULT_RULE, RULES
from worker.slides.reader import SlideReader
from worker.slides.smear.survey import Told

PRESENT_FROM, ABSENT_TO = 0.6, 0.4
"""Scores in between are no answer."""
_LEAST_CALLED = 0.5
"""Below this share of called cells the field is doubted, as a patient's slides are in a verdict."""
_ALIKE = 0.05
"""Scores of two diseases that lie closer do not tell which it is."""
MOST_PX = 40_000_000
"""A larger picture is a slide."""
_THRESHOLDS = {criterion.cell_class: criterion.threshold for criterion in RULES[DEFAULT_RULE].criteria}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """µm per px of the picture, and who says so: `header`, `declared` or `estimated`."""

    mpp_um: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is said of one field."""

    cancer: bool | None  # None: not told, for the reason given
    disease: str | None  # ALL or MM
    probability: float | None  # that a threshold share is reached among the field's own cells; None: not known
    reason: str
    inference: Inference | None = None  # None: nothing was weighed
    field: Field
    scale: Scale


def predict(reader: SlideReader, model: Model, told: Told) -> Prediction:
    """Return what an open picture shows.

    Raises:
        BadSlideError: when it is no smear, is no single field, has no usable scale, or cannot be read.
    """
    info = reader.info
    if info.width_l0 * info.height_l0 > MOST_PX:
        cause = f"it measures {info.width_l0} x {info.height_l0} px, more than one field does"
        raise BadSlideError("too_large", cause, "Read whole slides with marrowline run.")
    try:
        plan = plan_slide(reader, model, ReadingSpec(told=told), sha256="")
    except BadSlideError as refused:
        if refused.code != "scale_unknown":
            raise
        # Here there is neither a sidecar nor a site.
        raise BadSlideError(refused.code, refused.cause, "Run it again with --mpp.") from refused
    cells = [cell for batch in read_slide(reader, plan, model) for cell in batch.cells]
    return judge(Field(cells=cells, classes=model.card.classes, mpp_um=plan.mpp_um), _scale(plan))


def judge(field: Field, scale: Scale) -> Prediction:
    """Return what the called cells of a field mean."""
    counted = field.counted
    if not counted:
        return _untold(field, scale, "no nucleated cell was found that counts")
    inference = infer(SYSTEMS[DEFAULT_SYSTEM], inputs_of(field))
    doubt = _doubt(field)
    cancer, disease, reason = (None, None, f"{doubt}; {_seen(field)}") if doubt else _answer(field, inference)
    return Prediction(
        cancer=cancer,
        disease=disease,
        # Probabilities of cells that the model does not know mean nothing.
        probability=None if doubt else threshold_probability(field, _THRESHOLDS),
        reason=reason,
        inference=inference,
        field=field,
        scale=scale,
    )


def _scale(plan: Plan) -> Scale:
    source = "declared" if plan.mpp_source == "sidecar" else plan.mpp_source  # by --mpp: there are no sidecars here
    return Scale(mpp_um=plan.mpp_um, source=source)


def _untold(field: Field, scale: Scale, reason: str) -> Prediction:
    return Prediction(cancer=None, disease=None, probability=None, reason=reason, field=field, scale=scale)


def _answer(field: Field, inference: Inference) -> tuple[bool | None, str | None, str]:
    """Return presence, type and reason."""
    seen = _seen(field)
    first, second = sorted(DISEASES, key=lambda disease: -inference.scores[disease])
    score = inference.scores[first]
    if score >= PRESENT_FROM:
        alike = score - inference.scores[second] < _ALIKE
        what = f"{first} or {second}, which is not told" if alike else first
        return True, None if alike else first, f"consistent with {what}: {seen}; lineage and clonality not established"
    if score > ABSENT_TO:
        return None, None, f"undecided between absence and {first}, as {_undecided(first, inference)}: {seen}"
    return False, None, f"no sign of ALL or MM in this field: {seen}; {_excluded(field)}"


def _doubt(field: Field) -> str:
    """Return why no answer may be given whatever the scores are; nothing when one may."""
    counted = field.counted
    abstained = sum(cell.abstained for cell in counted)
    if len(counted) - abstained < _LEAST_CALLED * len(counted):
        return f"the model would not call {abstained} of {len(counted)} cells, so check that this is a stained smear"
    others = len(field.called(CellClass.BLAST_OTHER))
    if others >= _THRESHOLDS[CellClass.LYMPHOBLAST] * len(counted):
        return f"{others} of {len(counted)} cells are called blasts of another lineage, which no rule here judges"
    return ""


def _seen(field: Field) -> str:
    counted = field.counted
    abstained = sum(cell.abstained for cell in counted)
    parts = [f"{_number(field.called(SUSPECT[disease]), SUSPECT[disease])}" for disease in DISEASES]
    of = f"of {len(counted)} counted cell{'s' if len(counted) > 1 else ''}"
    return f"{' and '.join(parts)} {of}" + (f", {abstained} not called" if abstained else "")


def _undecided(disease: str, inference: Inference) -> str:
    """Return what the strongest rule says that leaves a disease open."""
    rules = zip(inference.strengths, SYSTEMS[DEFAULT_SYSTEM].rules, strict=True)
    open_ = [(strength, rule.why) for strength, rule in rules if (rule.output, rule.term) == (disease, "possible")]
    return max(open_)[1]


def _excluded(field: Field) -> str:
    """Return what an absence in so few cells excludes."""
    cells = len(field.counted)
    most = max(len(field.called(suspect)) for suspect in SUSPECT.values())
    _, at_most = clopper_pearson(most, cells, RULES[DEFAULT_RULE].confidence)
    return f"{cells} cell{'s exclude' if cells > 1 else ' excludes'} no share below {at_most:.0%}"


def _number(cells: Sequence[Cell], cell_class: CellClass) -> str:
    return f"{len(cells) or 'no'} {cell_class.replace('_', ' ')}{'' if len(cells) == 1 else 's'}"
