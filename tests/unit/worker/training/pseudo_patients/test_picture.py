from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from db.records import Specimen
from worker.training.pseudo_patients.groups import PseudoPatient
from worker.training.pseudo_patients.picture import panel, write_panel
from worker.training.pseudo_patients.sheet import Layout


def shown(name: str, grey: int, mpp_um: float = 0.5) -> PseudoPatient:
    pictures = tuple(np.full((400, 400, 3), grey, np.uint8) for _ in range(4))
    layout = Layout(mpp_um=mpp_um)
    return PseudoPatient(name=name, shows="", specimen=Specimen.BLOOD, sheets=(pictures,), layout=layout)


def test_a_panel_shows_as_many_um_of_each_sheet() -> None:
    made = panel([shown("fine", 90, 0.25), shown("coarse", 150, 1.0)])
    first, second = (float((made[..., 0] == grey).mean()) for grey in (90, 150))
    assert first > second > 0.3  # the coarser sheet shows more of the glass between its pictures


def test_only_those_are_written_whose_publishers_let_them_be_shown(tmp_path: Path) -> None:
    write_panel(tmp_path / "panel.jpg", [shown("pbc-normal", 90), shown("marrow-normal", 150)])
    with Image.open(tmp_path / "panel.jpg") as written:
        made = np.asarray(written)
    assert (np.abs(made.astype(int) - 90) < 4).all(axis=2).mean() > 0.5
    assert (np.abs(made.astype(int) - 150) < 4).all(axis=2).mean() < 0.01
