"""Opens a slide in the sandbox that the settings ask for."""

from __future__ import annotations

from pathlib import Path

from worker.config import WorkerSettings
from worker.slides.sandbox.reader import SandboxedReader, open_sandboxed
from worker.slides.sandbox.spec import Level, SandboxSpec


def opened_by(settings: WorkerSettings, path: Path) -> SandboxedReader:
    """Return the slide's reader, which the caller closes. Raises BadSlideError and SandboxError."""
    spec = SandboxSpec(least=Level(settings.sandbox), deadline_s=settings.read_deadline_s)
    return open_sandboxed(path, threads=settings.read_threads, spec=spec)
