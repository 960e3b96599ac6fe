"""Errors of the database layer.

DatabaseError
├── FencedError         another worker holds the run now; stop at once, write nothing
├── NotFoundError       no such slide, run or patient
├── NotAllowedError     the state machine refuses the step
├── BadOutputError      rows of a batch that no constraint allows: the worker's output is wrong
├── SchemaError         the database has no schema yet, or that of another version
├── QueryError          a reader's own SQL is not valid, not allowed or too slow
└── UnavailableError    Postgres did not answer, or only with passing trouble, for as long as was allowed
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


class BadOutputError(DatabaseError):
    """Rows of a batch that no constraint allows, such as a NaN probability; nothing of it was written."""


class SchemaError(DatabaseError):
    """The database has no schema yet, or that of another version; the text says what to run."""


class QueryError(DatabaseError):
    """A reader's own SQL is not valid, not allowed or too slow; the text is Postgres' own."""


class UnavailableError(DatabaseError):
    """Postgres did not answer, or only with passing trouble, for as long as was allowed; try later."""
