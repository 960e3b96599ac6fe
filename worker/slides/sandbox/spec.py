"""How firmly a slide is shut in, and what its process may use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.errors import SandboxError


class Level(StrEnum):
    """How firmly a slide's process was shut in."""

    WEAK = "weak"
    """Landlock or seccomp is missing: a process of its own, and little more."""
    STRONG = "strong"
    """No new privileges, limits, Landlock and seccomp."""
    FULL = "full"
    """As strong, with a user id of its own and without the machine's network."""

    def suffices(self, least: Level) -> bool:
        """Tell whether this level is `least` or firmer."""
        ranks = list(Level)
        return ranks.index(self) >= ranks.index(least)


@dataclass(frozen=True, kw_only=True)
class SandboxSpec:
    """What is asked of a sandbox."""

    least: Level = Level.STRONG
    deadline_s: float = 60.0  # for one answer: the header, an overview, the next tile
    memory_bytes: int = 4 * 2**30  # address space of a slide's process
    cpu_s: int = 6 * 3600  # processor time of it, all threads together


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a process could do about itself."""

    level: Level
    missing: tuple[str, ...]  # the means that this machine did not grant

    def to_json(self) -> dict[str, Any]:
        """Return the level's name and the names of the missing means."""
        return {"level": self.level.value, "missing": list(self.missing)}


def demand(reached: Reached, least: Level) -> None:
    """Refuse to read in a sandbox weaker than `least`.

    Raises:
        SandboxError: the machine's or its settings' fault, and what mends it.
    """
    if reached.level.suffices(least):
        return
    raise SandboxError(
        f"slides would be read in a sandbox of the level {reached.level}, and {least} is asked for; this machine "
        f"lacks: {', '.join(reached.missing) or 'nothing known'}. Run on Linux 5.13 or newer with Landlock and "
        "seccomp, or accept a weaker sandbox in the settings (docs/sandbox.md)"
    )
