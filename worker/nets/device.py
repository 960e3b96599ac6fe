"""Where networks run."""

from __future__ import annotations

import torch

from worker.errors import ModelError


def is_broken_by(error: Exception) -> bool:
    """Tell whether after this error the process can use its device no more: only a new process can."""
    return isinstance(error, torch.AcceleratorError)


def chosen_device(device: str) -> torch.device:
    """Return the device named, `auto` being the first GPU when there is one; ModelError when it is not usable."""
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    wrong = f"{device!r} is no device: use cpu, cuda:0, … or auto"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(wrong) from error
    if chosen.type not in ("cpu", "cuda"):
        raise ModelError(wrong)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"{device!r} was asked for, but this torch build finds no GPU: use cpu or auto")
    if chosen.type == "cuda" and (chosen.index or 0) >= (count := torch.cuda.device_count()):
        raise ModelError(f"{device!r} was asked for, but this machine has {count}: use cuda:0 to cuda:{count - 1}")
    return chosen
