"""What is said where there is nothing to show, so that a misspelt name is not taken for an empty database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from db import absence


def why_empty(
    conn: Connection,
    found: Sequence[object],
    otherwise: str,
    *,
    lab: str | None = None,
    patient: str | None = None,
    offset: int = 0,
) -> str:
    """Return why nothing was found by these filters, as a sentence; '' where something was.

    A lab or a patient that is not known comes first, a page beyond the last one next, `otherwise` last. It is no
    error: a lab is known from its first slide on.
    """
    if found:
        return ""
    if missing := absence.unknown(conn, lab=lab, patient=patient):
        return f"{missing[0].upper()}{missing[1:]}."
    return f"Nothing beyond the first {offset:,} rows." if offset else otherwise
