"""How packages that are not installed get where they are looked for."""

from __future__ import annotations

import shlex
import sys


def install(*extras: str) -> str:
    """Return the command that adds what the extras need to the installation that runs now, wherever it lies.

    Marrowline itself is installed there already, so pip takes its list of packages from there and from no index.
    """
    wanted = f"marrowline[{','.join(extras)}]" if extras else "marrowline"
    return shlex.join([sys.executable, "-m", "pip", "install", wanted])
