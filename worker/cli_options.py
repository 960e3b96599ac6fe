"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Mpp = Annotated[
    float | None,
    typer.Option("--mpp", metavar="F", min=0.02, max=5.0, help="µm per pixel, for images that do not state it."),
]
Smear = Annotated[bool, typer.Option("--smear", help="They are smears, whatever they look like.")]
Classifier = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="The classifier; else MARROWLINE_MODEL, else the shipped one."),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="cpu, cuda:0, … or auto.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
