"""Why nothing was found: which lab or patient that was asked for is not known here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from db.tables import lab as labs
from db.tables import patient as patients

_MOST_NAMED = 12


def unknown(conn: Connection, *, lab: str | None = None, patient: str | None = None) -> str | None:
    """Return in words which of the two is not known and what is; None where both are, or nothing was asked for."""
    if lab is not None and lab not in (known := _labs(conn)):
        return f"no lab {lab}: {_known(known)}"
    if patient is None:
        return None
    of_name = select(labs.c.code).select_from(patients.join(labs)).where(patients.c.pseudonym == patient)
    homes = list(conn.execute(of_name.order_by(labs.c.code)).scalars())
    if not homes:
        return f"no patient {patient!r}: `marrowline patients` shows those that there are"
    return None if lab is None or lab in homes else f"no patient {patient!r} of lab {lab}, but of {_listed(homes)}"


def _labs(conn: Connection) -> list[str]:
    return list(conn.execute(select(labs.c.code).order_by(labs.c.code)).scalars())


def _known(codes: Sequence[str]) -> str:
    if not codes:
        return "no slide of any lab has come yet"
    return f"there {'is' if len(codes) == 1 else 'are'} {_listed(codes)}"


def _listed(codes: Sequence[str]) -> str:
    more = f" and {len(codes) - _MOST_NAMED} more" if len(codes) > _MOST_NAMED else ""
    return ", ".join(codes[:_MOST_NAMED]) + more
