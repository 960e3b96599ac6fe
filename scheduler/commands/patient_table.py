"""The table of findings, as `patients`, `run` and `demo` print it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from db.counts import Share
from db.records import Finding
from db.reports import PatientReport
from scheduler.commands import screen

_STYLES = {
    Finding.CONSISTENT_WITH_ALL: "bold red",
    Finding.CONSISTENT_WITH_MM: "bold red",
    Finding.NO_EVIDENCE: "green",
}
_SHARES = {"lymphoblast": "lymphoblasts", "plasma_cell": "plasma cells"}
_NAME_WIDTH = 22
NO_PATIENTS = "No patients yet."


def show_patients(reports: Sequence[PatientReport]) -> None:
    """Print findings with shares and intervals, then each finding's reason."""
    if not reports:
        screen.say(NO_PATIENTS)
        return
    many_labs = len({report.lab for report in reports}) > 1
    made = screen.table("patient", "finding", "cells", *_SHARES.values(), "slides", right=("cells", "slides"))
    made.columns[0].max_width = _NAME_WIDTH
    for report in reports:
        slides = report.slides_done + report.slides_open + report.slides_quarantined
        made.add_row(
            _name(report, many_labs=many_labs),
            Text(finding_words(report.finding), style=_STYLES.get(Finding(report.finding), "yellow")),
            f"{report.cells:,}",
            *(share_words(report.shares.get(name)) for name in _SHARES),
            f"{report.slides_done}/{slides}",
        )
    screen.say(made)
    screen.say()
    for report in reports:
        screen.say(Text.assemble((_name(report, many_labs=many_labs), "bold"), f": {report.reason}"))
    screen.say()
    versions = sorted({f"model {report.model_version}, rule {report.rule}" for report in reports})
    limits = ", ".join(f"{words} {limit}" for name, words in _SHARES.items() if (limit := _limit(name, reports)))
    screen.say(Text(f"Shares: % of counted cells, exact 95 % intervals; limits: {limits or 'none'}.", style="dim"))
    screen.say(
        Text("A reason's interval is wider: it allows for every cell that the model would not call.", style="dim")
    )
    screen.say(Text(f"{'; '.join(versions)}.", style="dim"))


def finding_words(finding: str) -> str:
    """Return a finding as people write it."""
    return finding.replace("_", " ")


def share_words(share: Share | None) -> str:
    """Return a share with its interval, in per cent."""
    if share is None or share.value is None:
        return screen.NONE
    return f"{100 * share.value:.1f} ({100 * share.ci_low:.1f}-{100 * share.ci_high:.1f})"


def _limit(name: str, reports: Sequence[PatientReport]) -> str:
    found = {report.shares[name].threshold for report in reports if name in report.shares} - {None}
    return " or ".join(f"{100 * limit:g} %" for limit in sorted(limit for limit in found if limit is not None))


def _name(report: PatientReport, *, many_labs: bool) -> str:
    return f"{report.lab}/{report.patient}" if many_labs else report.patient
