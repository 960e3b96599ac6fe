"""A report for paper: one tagged PDF with the page's content, set by Typst."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typst

from db.cases import Case
from worker.errors import BadRequestError
from worker.outputs.files import patient_stem, whole_bytes
from worker.outputs.report.content import Content
from worker.outputs.report.gather import gathered
from worker.outputs.report.letters import STANDARD, spelt, unshown
from worker.outputs.report.pictures import Picture
from worker.workshop import Tell, Workshop


def write(workshop: Workshop, case: Case, folder: Path, tell: Tell) -> list[Path]:
    """Write the patient's report into the folder; return the file. Raises as the page's `write` does."""
    document = folder / f"{patient_stem(case.report, 'report')}.pdf"
    with whole_bytes(document) as file:
        file.write(typeset(gathered(workshop, case, tell), at=case.report.reported_at))
    return [document]


def typeset(content: Content, *, at: datetime) -> bytes:
    """Return the report as PDF, dated `at`; the same content gives the same bytes.

    A letter that the fonts lack stands as its code. Raises BadRequestError where Typst takes the text not even so.
    """
    pictures: dict[str, bytes] = {}
    document = _plain(content, pictures)
    ours = files("worker.outputs.report")
    with TemporaryDirectory(prefix="marrowline-report-") as made, as_file(ours / "fonts") as fonts:
        root = Path(made)
        for name, jpeg in pictures.items():
            (root / name).write_bytes(jpeg)
        (root / "report.typ").write_bytes((ours / "report.typ").read_bytes())
        try:
            return _compiled(root, fonts, document, at)
        except typst.TypstError as error:
            if "could not be displayed" not in str(error):
                raise
        try:
            return _compiled(root, fonts, spelt(document, unshown(document, fonts)), at)
        except typst.TypstError as error:
            raise BadRequestError(f"the report cannot be set as PDF: {error}; use --format html") from error


def _compiled(root: Path, fonts: Path, document: Any, at: datetime) -> bytes:
    (root / "report.json").write_text(json.dumps(document), encoding="utf-8")
    compiler = typst.Compiler(root / "report.typ", root=root, font_paths=[fonts], ignore_system_fonts=True)
    found: Any = compiler.compile(format="pdf", pdf_standards=STANDARD, timestamp=int(at.timestamp()))
    return bytes(found)


def _plain(value: Any, pictures: dict[str, bytes]) -> Any:
    """Return a value as JSON takes it; pictures are put aside under the names of files."""
    if isinstance(value, Picture):
        name = f"{len(pictures)}.jpg"
        pictures[name] = value.jpeg
        return {"file": name, "alt": value.alt}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name), pictures) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(one, pictures) for one in value]
    if isinstance(value, Mapping):
        return {name: _plain(one, pictures) for name, one in value.items()}
    return value
