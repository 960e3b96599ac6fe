"""The report of an evaluation: one page that needs nothing else, its pictures, its tables and its figures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from worker.training.classification.evaluation import paper_tables, reported, task_tables
from worker.training.classification.evaluation.document import to_json
from worker.training.classification.evaluation.drawing import Plot
from worker.training.classification.evaluation.findings import against_singles, beside_colour
from worker.training.classification.evaluation.intervals import DRAWS
from worker.training.classification.evaluation.judging import Judged, judge
from worker.training.classification.evaluation.outcome import Outcome
from worker.training.classification.evaluation.overview_plots import draw_differences, draw_overview
from worker.training.classification.evaluation.plots import draw_task
from worker.training.classification.evaluation.reliability import BINS
from worker.training.classification.evaluation.tables import Table, to_markdown
from worker.training.classification.evaluation.wording import NOTICE, PROTOCOLS, task


@dataclass(frozen=True, kw_only=True)
class Section:
    """What the page says of one data set."""

    name: str
    title: str
    facts: tuple[str, ...]
    figures: tuple[Table, ...]  # by protocol, as are the others
    comparisons: tuple[Table, ...]
    confusions: tuple[Table, ...]
    plots: tuple[Plot, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that page and Markdown show, in order."""

    headline: Table
    against: list[tuple[str, str]]  # protocol and sentence
    overviews: tuple[Table, ...]
    not_beaten: Table
    numbered: list[tuple[Table, Table]]
    others: list[Table]
    sections: tuple[Section, ...]


def write_report(outcomes: Sequence[Outcome], out: Path, *, notes: Sequence[str]) -> Path:
    """Judge the outcomes and write index.html, tables.md, figures.json and the plots; return the page.

    `notes` says how the predictions were made. Raises BadRequestError where outcomes do not belong together.
    """
    judged = judge(outcomes)
    out.mkdir(parents=True, exist_ok=True)
    general = [draw_overview(judged, out), draw_differences(judged, out)]
    report = _report(judged, {name: draw_task(judged, name, out) for name in judged.tasks})
    (out / "figures.json").write_text(to_json(judged, notes), encoding="utf-8")
    (out / "tables.md").write_text(_markdown(report, notes), encoding="utf-8")
    page = out / "index.html"
    page.write_text(_html(report, [plot for plot in general if plot], notes, out), encoding="utf-8")
    return page


def _report(judged: Judged, plots: dict[str, list[Plot]]) -> Report:
    protocols = [p for p in PROTOCOLS if any(protocol == p for _, protocol, _ in judged.judgements)]
    against = [(PROTOCOLS[p], against_singles(judged, p)) for p in protocols]
    return Report(
        headline=task_tables.headline(judged),
        against=[pair for pair in against if pair[1]],
        overviews=tuple(task_tables.overview(judged, protocol) for protocol in protocols),
        not_beaten=task_tables.not_beaten(judged),
        numbered=paper_tables.numbered(judged),
        others=paper_tables.others(judged),
        sections=tuple(_section(judged, name, plots[name]) for name in judged.tasks),
    )


def _section(judged: Judged, name: str, plots: list[Plot]) -> Section:
    held = [one for (judged_task, _, _), one in judged.judgements.items() if judged_task == name]
    protocols = [p for p in PROTOCOLS if any(one.outcome.protocol == p for one in held)]
    compared = (task_tables.comparisons(judged, name, protocol) for protocol in protocols)
    return Section(
        name=name,
        title=task(name).title,
        facts=(*_facts(name, held[0].outcome), *filter(None, [beside_colour(judged, name)])),
        figures=tuple(task_tables.figures(judged, name, protocol) for protocol in protocols),
        comparisons=tuple(table for table in compared if table),
        confusions=tuple(task_tables.confusion(one) for one in held),
        plots=tuple(plots),
    )


def _facts(name: str, about: Outcome) -> tuple[str, ...]:
    by_class = [_counted(about, index, label) for index, label in enumerate(about.classes)]
    groups = len(np.unique(about.group))
    grouped = "image-level: nothing above the picture is known" if about.grouping == "image" else f"by {about.grouping}"
    positive = (
        f"positive ({task(name).positive_is}): {', '.join(about.positive)}" if about.positive else "no malignant class"
    )
    counted = f"units: {'; '.join(by_class)}; groups: {groups}, {grouped}; {positive}"
    return tuple(filter(None, (task(name).source, counted, task(name).caution)))


def _counted(about: Outcome, index: int, label: str) -> str:
    rows = about.truth == index
    return f"{label} {len(np.unique(about.unit[rows]))} in {len(np.unique(about.group[rows]))} groups"


def _markdown(report: Report, notes: Sequence[str]) -> str:
    parts = ["# Evaluation of the classifiers", f"**{NOTICE.capitalize()}.**", *(f"- {note}" for note in notes)]
    parts += map(to_markdown, (report.headline, *report.overviews, report.not_beaten))
    parts += [f"**{protocol.capitalize()}**: {said}" for protocol, said in report.against]
    parts += ["## The paper's tables", paper_tables.NOTE, paper_tables.REPORTED_NOTE]
    parts += [to_markdown(table) for pair in report.numbered for table in pair]
    parts += map(to_markdown, report.others)
    for section in report.sections:
        parts += [f"## {section.title} ({section.name})", *section.facts]
        parts += map(to_markdown, (*section.figures, *section.comparisons, *section.confusions))
    return "\n\n".join(parts) + "\n"


def _html(report: Report, general: Sequence[Plot], notes: Sequence[str], folder: Path) -> str:
    environment = Environment(
        loader=PackageLoader("worker.training.classification.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = lambda plot: b64encode((folder / plot.file).read_bytes()).decode("ascii")
    return environment.get_template("page.html.jinja").render(
        report=report,
        general=general,
        notes=notes,
        notice=NOTICE,
        citation=reported.CITATION,
        draws=DRAWS,
        bins=BINS,
        paper_notes=(paper_tables.NOTE, paper_tables.REPORTED_NOTE),
    )
