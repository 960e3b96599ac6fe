"""Puts pseudo-patients through the real line, by the command that a laboratory uses, and asks what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.drawing.tiff import write_pyramid
from worker.errors import BadRequestError
from worker.training.pseudo_patients.groups import PseudoPatient
from worker.training.pseudo_patients.sheet import lay_out

LAB = "pseudo"
_COMMAND = Path(sys.executable).with_name("marrowline")
_SOME_BAD = 3
"""The command's answer when some of the slides could not be read."""
_FOUND = """
    SELECT p.patient, p.finding, p.reason, p.rule, p.cells, p.shares,
           (SELECT coalesce(sum(abstained), 0) FROM report.differential AS d
             WHERE (d.lab, d.patient) = (p.lab, p.patient) AND d.counted) AS abstained,
           (SELECT string_agg(DISTINCT s.error_code, ', ') FROM report.slides AS s
             WHERE (s.lab, s.patient) = (p.lab, p.patient) AND s.state = 'quarantined') AS refused
      FROM report.patients AS p WHERE p.lab = 'pseudo'
"""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the line says of one pseudo-patient."""

    patient: str
    finding: str
    reason: str
    rule: str
    cells: int
    abstained: int  # of these
    shares: Mapping[str, Mapping[str, float | None]]
    refused: str | None  # codes of the slides that it would not read


@dataclass(frozen=True, kw_only=True)
class Line:
    """An embedded stack in a folder of its own."""

    home: Path

    def read(self, patient: PseudoPatient, sheets: Path) -> None:
        """Read all slides of a pseudo-patient; its sheets are written below `sheets` first."""
        told: list[str | Path] = ["--patient", patient.name, "--lab", LAB, "--specimen", patient.specimen.value]
        told += ["--mpp", str(patient.mpp_um)] if patient.mpp_um else []
        told += ["--smear"] if patient.is_smear else []
        self._call("run", *_files(patient, sheets), *told, "--json", may=(0, _SOME_BAD))

    def use(self, rule: str) -> None:
        """Judge all that was read by another rule set."""
        self._call("rules", "use", LAB, rule, "--json")

    def found(self) -> dict[str, Found]:
        """Return what is found of each pseudo-patient, by name."""
        return {row["patient"]: Found(**row) for row in json.loads(self._call("sql", _FOUND, "--json"))}

    def _call(self, *arguments: str | Path, may: tuple[int, ...] = (0,)) -> str:
        environment = {**os.environ, "MARROWLINE_HOME": str(self.home)}
        command: list[Any] = [_COMMAND, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in may:
            raise BadRequestError(f"marrowline {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout


def _files(patient: PseudoPatient, sheets: Path) -> list[Path]:
    """Return the slides; those that are sheets are written where they are not there yet."""
    if patient.layout is None:
        return list(patient.files)
    paths = []
    for number, pictures in enumerate(patient.sheets, 1):
        path = sheets / patient.name / f"sheet-{number}.tif"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            rgb = lay_out(pictures, patient.layout, seed=number)
            write_pyramid(path, rgb, patient.layout.mpp_um, what="Pictures of public sets on one sheet")
        paths.append(path)
    return paths
