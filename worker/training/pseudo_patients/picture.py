"""A picture of sheets for the documentation: the same number of µm of each, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worker.training.pseudo_patients.groups import PseudoPatient
from worker.training.pseudo_patients.sheet import Pixels, lay_out

NOTICE = "Pictures of public sets, no patients. Research use only, not for diagnostic procedures."
SHOWN = ("segpc-first", "taleqani-pro", "pbc-normal", "matek-all")
"""Those whose publishers let their pictures be shown."""
_SIDE_UM = 150.0
_SIDE_PX = 400
_BAR_UM = 20.0  # drawn as 0.02 mm: the font has no letter for micro
_FOOT_PX, _GAP_PX = 46, 8
_TEXT = (40, 44, 52)


def panel(patients: Sequence[PseudoPatient]) -> Pixels:
    """Return (H, W, 3) uint8 RGB: the upper left of each one's first sheet, its name and a bar below."""
    made = [(one.name, _corner(one)) for one in patients if one.layout is not None]
    width = max(1, len(made)) * (_SIDE_PX + _GAP_PX) + _GAP_PX
    whole = Image.new("RGB", (width, _SIDE_PX + 2 * _FOOT_PX), (252, 252, 252))
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(15)
    for number, (name, corner) in enumerate(made):
        left = _GAP_PX + number * (_SIDE_PX + _GAP_PX)
        whole.paste(corner, (left, _GAP_PX))
        bottom = _GAP_PX + _SIDE_PX
        pen.text((left, bottom + 8), name, fill=_TEXT, font=font)
        bar_px = round(_BAR_UM / _SIDE_UM * _SIDE_PX)
        right = left + _SIDE_PX
        pen.line((right - bar_px, bottom + 32, right, bottom + 32), fill=_TEXT, width=3)
        pen.text((right, bottom + 8), f"{_BAR_UM / 1000:g} mm", fill=_TEXT, font=font, anchor="ra")
    pen.text((width // 2, whole.height - 18), NOTICE, fill=_TEXT, font=font, anchor="mm")
    return np.asarray(whole)


def write_panel(path: Path, patients: Sequence[PseudoPatient]) -> None:
    """Write the panel of those that may be shown as a JPEG."""
    shown = [one for one in patients if one.name in SHOWN]
    Image.fromarray(panel(shown)).save(path, quality=85, optimize=True)


def _corner(patient: PseudoPatient) -> Image.Image:
    assert patient.layout is not None  # noqa: S101 - the caller shows sheets only
    sheet = lay_out(patient.sheets[0], patient.layout, seed=1)
    side = round(_SIDE_UM / patient.layout.mpp_um)
    return Image.fromarray(sheet[:side, :side]).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.LANCZOS)
