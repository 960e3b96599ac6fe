"""Where a patient's report lies in the bucket."""

from __future__ import annotations

import re
from hashlib import sha256

from db.reports import PatientReport
from worker.storage import RESULTS_PREFIX

_PLAIN = re.compile(r"[^\W_][\w.-]{0,47}")
"""Codes of laboratories that are a folder's name as they are: no slash, no dots alone, no sign with a meaning of its
own in policies, and in UTF-8 no longer than a file's name may be."""
_DIGITS = 32
"""Hexadecimal digits of a digest: no two patients ever share one."""


def page_key(prefix: str, of: PatientReport) -> str:
    """Return the key below the bucket's prefix: a folder for each laboratory, and in it a name that tells nothing.

    A code that could lead elsewhere has its digest in its place, behind a `_`, with which no plain one begins.
    """
    folder = of.lab if _PLAIN.fullmatch(of.lab) else f"_{_digest(of.lab)}"
    return f"{prefix}{RESULTS_PREFIX}{folder}/report-{_digest(of.lab, of.patient)}.html"


def _digest(*words: str) -> str:
    return sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
