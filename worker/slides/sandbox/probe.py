"""Tells which sandbox this machine gives, by shutting a picture of one pixel in."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from worker.slides.sandbox.reader import open_sandboxed
from worker.slides.sandbox.spawn import stop_host
from worker.slides.sandbox.spec import Level, SandboxSpec


def reached_level(least: Level = Level.WEAK) -> Level:
    """Return the level that slides would be read in; the process that was started for it is ended again.

    Raises:
        SandboxError: when that is weaker than `least`.
        ServiceError: when no sandbox starts at all.
    """
    try:
        with TemporaryDirectory(prefix="marrowline-") as folder:
            picture = Path(folder) / "pixel.png"
            Image.new("RGB", (1, 1)).save(picture)
            Path(folder).chmod(0o755)  # as in the cache: a user id of its own must be able to read it
            with closing(open_sandboxed(picture, spec=SandboxSpec(least=least))) as reader:
                return Level(reader.level)
    finally:
        stop_host()
