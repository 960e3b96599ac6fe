"""What outputs say of slides that a person withdrew, so that their absence is not taken for a fault."""

from __future__ import annotations

from db.cases import Case


def withdrawal_words(case: Case) -> str:
    """Return how many slides were withdrawn, as a sentence without its full stop; empty where none was."""
    number = len(case.withdrawn)
    if not number:
        return ""
    slides = "1 slide" if number == 1 else f"{number:,} slides"
    whole = f"Every slide of this patient was withdrawn, {slides}" if case.all_withdrawn else f"Withdrawn: {slides}"
    return f"{whole}; nothing rests on {'it' if number == 1 else 'them'}"
