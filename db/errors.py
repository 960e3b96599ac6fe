"""Errors of the database layer.

DatabaseError
├── FencedError         another worker holds the run now; stop at once, write nothing
├── NotFoundError       no such slide, run or patient
└── NotAllowedError     the state machine refuses the step
"""

from __future__ import annotations


class DatabaseError(Exception):
    """Something about stored rows is not as the caller believed."""


class FencedError(DatabaseError):
    """Another worker holds the run now; whoever sees this stops at once and writes nothing."""


class NotFoundError(DatabaseError):
    """No such slide, run or patient."""


class NotAllowedError(DatabaseError):
    """The state machine refuses the step."""
