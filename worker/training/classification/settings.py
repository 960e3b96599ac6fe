"""What a work folder's crops and state were made of, so that none is taken for a training of something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.errors import BadRequestError

_FILE = "settings.json"


def check_settings(work: Path, settings: Mapping[str, Any]) -> None:
    """Raise BadRequestError when what the folder holds was made otherwise; else write down how it is made.

    A folder that holds neither crops nor state may still become anything; one from before there were settings is
    taken to be what is asked for.
    """
    file = work / _FILE
    held = (work / "crops.npz").is_file() or (work / "state" / "state.json").is_file()
    if held and file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
        asked = json.loads(json.dumps(settings))
        if other := sorted(key for key in asked.keys() | before.keys() if asked.get(key) != before.get(key)):
            raise BadRequestError(
                f"{work} holds a training of something else ({', '.join(other)}): choose another --out, or remove it"
            )
    part = file.with_suffix(".part")
    part.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    part.replace(file)
