"""The table of findings for the documentation, and its place there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.errors import BadRequestError
from worker.training.pseudo_patients.groups import PseudoPatient
from worker.training.pseudo_patients.line import Found

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
CLAIMS = ("consistent_with_ALL", "consistent_with_MM")
_HEAD = ("pseudo-patient", "of", "cells", "abstained", "lymphoblasts", "plasma cells", "finding", "by {rule}")


def table(patients: Sequence[PseudoPatient], found: Mapping[str, Found], other: Mapping[str, Found]) -> str:
    """Return a Markdown table, a line per pseudo-patient, their reasons, and what is claimed of what is no smear.

    `found` holds the findings by one rule set, `other` those by another; what was not read is left out.
    """
    read = [one for one in patients if one.name in found]
    head = [name.format(rule=next(iter(other.values())).rule) for name in _HEAD]
    lines = [head, ["---"] * len(head), *(_row(one, found[one.name], other[one.name]) for one in read)]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    reasons = "\n".join(f"- `{one.name}`: {_reason(found[one.name], other[one.name])}" for one in read)
    return f"{body}\n\n{reasons}\n\n{_claims(read, found, other)}"


def inserted(page: str, text: str) -> str:
    """Return the page with the text between its two marks. Raises BadRequestError where it lacks them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BadRequestError(f"the page has no {BEGIN} with {END} after it")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def _row(patient: PseudoPatient, found: Found, other: Found) -> list[str]:
    return [
        f"`{patient.name}`",
        f"{patient.shows}; {patient.specimen}",
        str(found.cells),
        str(found.abstained),
        _share(found, "lymphoblast"),
        _share(found, "plasma_cell"),
        found.finding,
        other.finding,
    ]


def _reason(found: Found, other: Found) -> str:
    """Return why; also by the other rule set, where that finds something else."""
    refused = f" ({found.refused})" if found.refused else ""
    by_other = f". By {other.rule}: {other.reason}" if other.finding != found.finding else ""
    return f"{found.reason}{refused}{by_other}"


def _share(found: Found, cell_class: str) -> str:
    share = found.shares[cell_class]
    value, low, high = (share[name] for name in ("value", "ci_low", "ci_high"))
    if value is None or low is None or high is None:
        return "-"
    return f"{100 * value:.1f} % ({100 * low:.1f}-{100 * high:.1f})"


def _claims(read: Sequence[PseudoPatient], found: Mapping[str, Found], other: Mapping[str, Found]) -> str:
    strange = [one.name for one in read if one.strange]
    claimed = [name for name in strange if {found[name].finding, other[name].finding} & set(CLAIMS)]
    if claimed:
        return f"**A disease is claimed from input that is no smear: {', '.join(claimed)}.**"
    return f"No disease is claimed from any of the {len(strange)} inputs that are no smears."
