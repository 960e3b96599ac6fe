"""Where networks run."""

from __future__ import annotations

import sys

import torch

from worker.errors import DeviceError


def is_broken_by(error: Exception) -> bool:
    """Tell whether after this error the process can use its device no more: only a new process can."""
    return isinstance(error, torch.AcceleratorError)


def chosen_device(device: str) -> torch.device:
    """Return the device named, `auto` being the first GPU when there is one; DeviceError when it is not usable."""
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    wrong = f"{device!r} is no device: use cpu, cuda:0, … or auto"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(wrong) from error
    if chosen.type not in ("cpu", "cuda"):
        raise DeviceError(wrong)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"{device!r} was asked for, but torch finds no GPU here: use cpu or auto, or mend driver and torch"
        )
    if chosen.type == "cuda" and (chosen.index or 0) >= (count := torch.cuda.device_count()):
        raise DeviceError(f"{device!r} was asked for, but this machine has {count}: use cuda:0 to cuda:{count - 1}")
    return chosen


def main() -> None:
    """Exit 1, saying why, when one of the devices named as arguments is not usable."""
    try:
        for name in sys.argv[1:]:
            chosen_device(name)
    except DeviceError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
