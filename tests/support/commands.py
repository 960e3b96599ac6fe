"""Commands called in this process, and the drawn field that those on pictures are tried on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import typer
from typer.testing import CliRunner

from db.records import CellClass
from scheduler import cli
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear

Run = Callable[..., tuple[int, str]]
"""Takes the arguments; returns the exit code and what was printed, and raises what the command raises."""
Command = Callable[..., tuple[int, str, str]]
"""Takes the arguments of `marrowline`; returns the exit code, and what was written on stdout and on stderr."""


def runner(command: Callable[..., None]) -> Run:
    """Return what calls one command."""
    app = typer.Typer()
    app.command()(command)

    def run(*args: object) -> tuple[int, str]:
        answer = CliRunner().invoke(app, [str(arg) for arg in args])
        if answer.exception and not isinstance(answer.exception, SystemExit):
            raise answer.exception
        return answer.exit_code, answer.stdout

    return run


def whole_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what calls `marrowline` as a shell would."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["marrowline", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def drawn_field() -> DrawnSmear:
    """Draw a small field of twelve cells that do not touch."""
    composition = {CellClass.NEUTROPHIL: 6, CellClass.LYMPHOCYTE: 6}
    return draw_smear(SmearSpec(width_px=480, height_px=400, seed=21, composition=composition, touching=0.0))


def write_field(smear: DrawnSmear, path: Path) -> Path:
    """Write a drawn field as a picture that states no scale."""
    cv2.imwrite(str(path), smear.rgb[..., ::-1])
    return path
