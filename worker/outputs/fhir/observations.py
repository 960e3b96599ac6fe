"""What was counted in each specimen, as observations: only what the stored evidence says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from db.cases import Case
from db.records import NOT_COUNTED, CellClass
from worker.outputs.fhir.elements import (
    LABORATORY,
    Json,
    given,
    instant,
    number,
    observed,
    own_code,
    percent,
    urn,
)
from worker.outputs.fhir.resources import device_urn, patient_urn, specimen_urn
from worker.outputs.panel import NOTICE

_METHOD = "cells found and classified in a scanned smear by a neural network"


def observations_of(case: Case, named: Mapping[str, int]) -> dict[str, Json]:
    """Return the observations of all specimens by their addresses; `named` is how many cells of each persons named."""
    found: dict[str, Json] = {}
    for evidence in case.evidence.get("specimens", ()):
        specimen = str(evidence["specimen"])
        for code, words, value in _values(case, evidence):
            address = urn("observation", case.report.lab, case.report.patient, specimen, code)
            found[address] = given(
                **_observation(case, specimen, observed(code, words, specimen)),
                method={"text": method_words(named.get(specimen, 0))},
                **value,
            )
    return found


def method_words(named: int) -> str:
    """Return how cells were found and classified, so many of them by a person."""
    return f"{_METHOD}, {named:,} of them as a person named them" if named else _METHOD


def _observation(case: Case, specimen: str, code: Json) -> Json:
    taken = [slide.taken_at for slide in case.read if slide.specimen == specimen and slide.taken_at is not None]
    return given(
        resourceType="Observation",
        status="preliminary",
        category=[LABORATORY],
        code=code,
        subject={"reference": patient_urn(case)},
        effectiveDateTime=instant(min(taken)) if taken else None,
        issued=instant(case.report.reported_at),
        note=[{"text": NOTICE}],
        specimen={"reference": specimen_urn(case, specimen)},
        device={"reference": device_urn(case)},
    )


def _values(case: Case, evidence: Mapping[str, Any]) -> Iterator[tuple[str, str, Json]]:
    """Yield code, words and value of every observation of a specimen."""
    cells = int(evidence["cells"])
    yield "cells", "cells counted", {"valueQuantity": number(cells)}
    if cells:
        for name in sorted({*evidence["counts"], *evidence.get("shares", {})}):
            if CellClass(name) not in NOT_COUNTED:
                yield name, f"{name.replace('_', ' ')}s of all counted cells", _share(case, evidence, name)
        abstained = int(evidence["abstained"])
        yield "abstained", "cells that the model would not call", {"valueQuantity": percent(abstained / cells)}
    if (ratio := evidence.get("m_e_ratio")) and ratio["value"] is not None:
        yield "m_e_ratio", "myeloid to erythroid cells", _ratio(ratio)
    if (smudge := evidence.get("smudge_per_100")) is not None:
        yield (
            "smudge_per_100",
            "smudge cells beside 100 counted cells",
            {"valueQuantity": number(smudge, "per 100 cells", "/100{cells}")},
        )


def _share(case: Case, evidence: Mapping[str, Any], name: str) -> Json:
    """Return a class's share with its count, its interval and the threshold that the rule holds against it."""
    count = evidence["counts"].get(name, 0)
    share = evidence.get("shares", {}).get(name, {"value": count / evidence["cells"]})
    parts = [{"code": own_code("count", "cells of this class"), "valueQuantity": number(count)}]
    parts += [
        {
            "code": own_code("threshold", f"share at which {one['disease']} is judged by {case.report.rule}"),
            "valueQuantity": percent(one["threshold"]),
        }
        for one in case.evidence.get("criteria", ())
        if (one["specimen"], one["cell_class"]) == (evidence["specimen"], name)
    ]
    return {"valueQuantity": percent(share["value"]), "component": [*parts, *_interval(share, percent)]}


def _ratio(ratio: Mapping[str, Any]) -> Json:
    def quantity(value: float) -> Json:
        return number(value, "ratio", "{ratio}")

    return given(valueQuantity=quantity(ratio["value"]), component=_interval(ratio, quantity))


def _interval(of: Mapping[str, Any], quantity: Callable[[float], Json]) -> list[Json]:
    """Return the ends of an interval that are stated; a ratio's upper one may be none."""
    ends = (("ci_low", "lower end of the confidence interval"), ("ci_high", "upper end of the confidence interval"))
    return [
        {"code": own_code(name, words), "valueQuantity": quantity(of[name])}
        for name, words in ends
        if of.get(name) is not None
    ]
