"""What `run` and `submit` ask of the user alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from db.records import Specimen

Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Slide files, or folders of them.")]
Patient = Annotated[str, typer.Option(metavar="ID", help="Whose slides: a pseudonym, stored as given.")]
Lab = Annotated[str, typer.Option(metavar="LAB", help="The laboratory that they come from.")]
SpecimenOption = Annotated[
    Specimen | None, typer.Option(help="What was smeared; left out: what the lab sends by default.")
]
Mpp = Annotated[
    float | None,
    typer.Option("--mpp", metavar="F", min=0.01, max=10.0, help="µm per pixel, for images that do not state it."),
]
Stain = Annotated[str | None, typer.Option(metavar="S", help="How it was stained, such as MGG.")]
Smear = Annotated[bool, typer.Option("--smear", help="They are smears, whatever they look like.")]
Urgent = Annotated[bool, typer.Option("--urgent", help="Read them before slides that are not urgent.")]
DEFAULT_LAB = "default"
