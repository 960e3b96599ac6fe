"""What a finding rests on besides its counts: corrections, versions, and the limits of all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

from db.cases import Case, CaseSlide
from db.records import Specimen
from worker.correction import Use
from worker.outputs.report import words
from worker.outputs.report.content import Correction, Fact

_RULE_LIMITS = (
    "Intervals take the called cells for a random sample of the smear, and the calls for right, unless said otherwise.",
    "Morphology alone establishes neither lineage nor clonality.",
    "No share here replaces immunophenotyping, genetics or the clinical criteria.",
)
_PLAIN = "The interval as counted does not allow here for the cells that were not called."
_LEFT_OUT = {
    "glass": "glass",
    "ink": "pen",
    "bubble": "bubble or edge",
    "blurred": "out of focus",
    "crowded": "too thick",
    "too_thin": "too thin",
}
"""Why a part of a slide was not counted, by the names of `area_shares`."""


def corrections(case: Case) -> tuple[Correction, ...]:
    """Return the shares corrected for the model's confusions, where the matrix could serve."""
    done = {one["specimen"] for one in _persons(case) if one["corrected_shares"] == Use.NEEDLESS.value}
    held = (
        one for one in case.evidence.get("corrected_shares", ()) if one.get("corrected") and one["specimen"] not in done
    )
    return tuple(
        Correction(
            name=words.title(words.plural(one["cell_class"])),
            specimen=words.specimen(one["specimen"]),
            counted=words.percent(one["counted"]["value"]),
            counted_interval=_span(one["counted"]),
            corrected=words.percent(one["corrected"]["value"]),
            corrected_interval=_span(one["corrected"]),
        )
        for one in held
        if one["counted"]["value"] is not None
    )


def correction_note(case: Case) -> str:
    """Return what the evidence says of the classifier's own errors, as a sentence."""
    said = str(case.evidence.get("classifier_errors", ""))
    return f"{words.title(said)}. {_PLAIN}" if said and corrections(case) else ""


def persons(case: Case) -> tuple[Fact, ...]:
    """Return what became of the cells that persons named, and of what is told by the model's calls all the same."""
    named = [
        Fact(
            name=f"Cells named by a person in {words.specimen(one['specimen'])}",
            value=f"{words.count(one['cells'])}, {words.count(one['changed'])} of them otherwise than by the model",
            note=f"Corrected shares: {one['corrected_shares']}." if one["corrected_shares"] else "",
        )
        for one in _persons(case)
    ]
    meaning = case.evidence.get("persons", {}).get("meaning", "")
    told = [Fact(name="What follows them", value=f"{words.title(meaning)}.")] if meaning else []
    return (*named, *told)


def _persons(case: Case) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = case.evidence.get("persons", {}).get("specimens", ())
    return found


def certainty(case: Case) -> tuple[Fact, ...]:
    """Return what else bears on the intervals of the classes that were judged."""
    judged = {one["cell_class"] for one in case.evidence.get("criteria", ())}
    made = []
    if more := case.evidence.get("more_cells"):
        note = "so that the finding can be told, if the shares stay as they are"
        made.append(Fact(name="Count on", value=f"{words.count(more)} more cells", note=note))
    for one in case.evidence.get("specimens", ()):
        for area in one.get("between_areas", ()):
            if area["cell_class"] in judged and area.get("p") is not None and area["p"] < 0.05:
                name = f"{words.title(words.plural(area['cell_class']))} in {words.specimen(one['specimen'])}"
                note = f"some areas hold more of them than chance explains ({words.p_value(area['p'])})"
                made.append(Fact(name=name, value="unevenly spread", note=note))
    return tuple(made)


def provenance(case: Case, named: int) -> tuple[Fact, ...]:
    """Return the versions, thresholds and persons that made the finding; `named` is how many cells these named."""
    rule, model = case.evidence.get("rule", {}), case.model
    created = f", made {model.created:%Y-%m-%d}" if model.created else ""
    dated = f"dated {rule['dated']}" if rule.get("dated") else ""
    sources = dict.fromkeys(f"{one['disease']}: {one['source']}" for one in case.evidence.get("criteria", ()))
    return (
        Fact(name="Model", value=case.report.model_version, note=f"{model.arch or ''}{created}".strip(", ")),
        Fact(name="Weights", value=model.weights_sha256, note="SHA-256"),
        *([Fact(name="Persons", value=f"{_cells(named)} named by a person")] if named else []),
        Fact(name="Rule", value=case.report.rule, note=dated),
        *(Fact(name="Threshold", value=source.replace(">=", "\u2265")) for source in sources),
        Fact(name="Software", value=f"Marrowline {version('marrowline')}"),
        Fact(name="Finding of", value=words.moment(case.report.reported_at)),
    )


def made(named: int) -> str:
    """Return by what the report was made, and whether anybody has looked at the cells."""
    software = "Made by software from the stored cells of this patient"
    if not named:
        return f"{software}; nobody has looked at them for this report."
    were = "was" if named == 1 else "were"
    return f"{software}. {_cells(named)} {were} named by a person; nobody has looked at the others for this report."


def files(case: Case) -> tuple[Fact, ...]:
    """Return the slides that were read, each with the SHA-256 of its bytes."""
    return tuple(Fact(name=PurePosixPath(one.obj.key).name, value=one.sha256 or "") for one in case.read)


def limits(case: Case) -> tuple[str, ...]:
    """Return what the rule cannot do; what it did not judge is among it."""
    judged = {one["disease"] for one in case.evidence.get("criteria", ())}
    missing = [words.DISEASES[one] for one in sorted(words.DISEASES) if one not in judged]
    unjudged = [f"Not judged, because the rule has no threshold for it here: {', '.join(missing)}."] if missing else []
    return (*unjudged, *_RULE_LIMITS)


def of_model(case: Case) -> tuple[Fact, ...]:
    """Return what the model's card says of its limits and terms."""
    said = (("Limits of the model", case.model.limits), ("Terms of its weights", case.model.terms))
    return tuple(Fact(name=name, value=text) for name, text in said if text)


def slide_facts(slide: CaseSlide) -> tuple[Fact, ...]:
    """Return what is known of a slide that was read."""
    area = sum(one.mm2 for one in slide.areas)
    made = [
        Fact(name="File", value=PurePosixPath(slide.obj.key).name),
        Fact(name="Specimen", value="not stated" if slide.specimen == Specimen.UNKNOWN else slide.specimen),
        Fact(name="Cells found", value=words.count(slide.cells or 0)),
        Fact(name="Area counted", value=f"{_three_digits(area)} mm²", note=_counted_share(slide)),
        *([Fact(name="Left out", value=left_out)] if (left_out := _left_out(slide)) else []),
    ]
    if slide.mpp_um is not None:
        made.append(Fact(name="Scale", value=f"{slide.mpp_um:.3g} µm/px", note=slide.mpp_source or ""))
    if slide.stain:
        made.append(Fact(name="Stain", value=slide.stain))
    if slide.taken_at:
        made.append(Fact(name="Taken", value=words.moment(slide.taken_at)))
    return tuple(made)


def _counted_share(slide: CaseSlide) -> str:
    share = slide.area_shares.get("countable")
    return f"{words.percent(share)} of the slide" if share is not None else ""


def _left_out(slide: CaseSlide) -> str:
    """Return which parts of the slide were not counted, the largest first; those of less than 0.1 % not at all."""
    shares = sorted(
        ((share, _LEFT_OUT[why]) for why, share in slide.area_shares.items() if why in _LEFT_OUT), reverse=True
    )
    return ", ".join(f"{why} {words.percent(share)}" for share, why in shares if share >= 0.001)


def _three_digits(number: float) -> str:
    return f"{number:#.3g}".rstrip(".")


def _cells(number: int) -> str:
    return words.number_of(number, "cell")


def _span(stored: Mapping[str, Any]) -> str:
    return words.span(stored["ci_low"], stored["ci_high"])
