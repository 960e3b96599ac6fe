"""A report as one HTML page that needs nothing else: no other file, no script, no network."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from db.cases import Case
from worker.outputs.files import patient_stem, whole
from worker.outputs.report import words
from worker.outputs.report.content import Bar, Content
from worker.outputs.report.gather import gathered
from worker.workshop import Tell, Workshop


def write(workshop: Workshop, case: Case, folder: Path, tell: Tell) -> list[Path]:
    """Write the patient's report into the folder; return the page.

    Raises as `gathered` does, and BadRequestError where the folder takes no file.
    """
    page = folder / f"{patient_stem(case.report, 'report')}.html"
    with whole(page) as file:
        file.write(rendered(gathered(workshop, case, tell)))
    return [page]


def rendered(content: Content) -> str:
    """Return the page; every text in it is escaped."""
    return _environment().get_template("report.html.jinja").render(page=content)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("worker.outputs.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["base64"] = lambda data: b64encode(data).decode("ascii")
    made.filters["along"] = _along
    made.filters["whole"] = words.threshold
    made.filters["whole_number"] = lambda number: f"{number:g}"
    made.filters["capital"] = words.title
    made.filters["sentence"] = lambda text: f"{words.title(text).rstrip('.')}."
    return made


def _along(share: float, bar: Bar) -> str:
    """Return a place on a bar's axis as CSS writes it."""
    return f"{100 * min(1.0, share / bar.axis):.2f}%"
