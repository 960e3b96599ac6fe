"""On which places of a slide persons disagree, in whichever of its readings they said what they said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import floor, hypot

Place = tuple[float, float]
"""Level-0 pixels from the left and from the top."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """What a person said of a place, in the order of the numbers."""

    number: int
    made_by: str
    cell_class: str
    place_l0: Place


class Words:
    """The words on one slide, found by their places in squares of the reach's size."""

    def __init__(self, words: Iterable[Word], reach_l0: float) -> None:
        """Take the words of all the slide's readings; those nearer than the reach speak of one nucleus."""
        self._reach_l0 = reach_l0
        self._squares: dict[tuple[int, int], list[Word]] = {}
        for one in words:
            self._squares.setdefault(self._square(one.place_l0), []).append(one)

    def disputed(self, places_l0: Sequence[Place]) -> bool:
        """Tell whether the last words of persons differ that lie within reach of any of these places."""
        near = {one.number: one for place in places_l0 for one in self._near(place)}
        last = {near[number].made_by: near[number].cell_class for number in sorted(near)}
        return len(set(last.values())) > 1

    def _near(self, place_l0: Place) -> Iterator[Word]:
        column, row = self._square(place_l0)
        for aside, below in product((-1, 0, 1), repeat=2):
            for one in self._squares.get((column + aside, row + below), ()):
                if hypot(one.place_l0[0] - place_l0[0], one.place_l0[1] - place_l0[1]) <= self._reach_l0:
                    yield one

    def _square(self, place_l0: Place) -> tuple[int, int]:
        return floor(place_l0[0] / self._reach_l0), floor(place_l0[1] / self._reach_l0)
