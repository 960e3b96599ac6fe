"""What one preflight check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    found: str
    fix: str = ""


def ok(name: str, found: str) -> Check:
    """Return a check that found what is needed."""
    return Check(name=name, status=Status.OK, found=found)


def warning(name: str, found: str, fix: str) -> Check:
    """Return a check that found something to know about."""
    return Check(name=name, status=Status.WARNING, found=found, fix=fix)


def failed(name: str, found: str, fix: str) -> Check:
    """Return a check that found something that stops the work."""
    return Check(name=name, status=Status.FAILED, found=found, fix=fix)
