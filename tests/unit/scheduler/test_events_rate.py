from __future__ import annotations

from scheduler.events import rate
from scheduler.events.rate import RateLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_address_has_its_burst_and_its_rate() -> None:
    clock = Clock()
    limit = RateLimit(2.0, 4.0, clock)
    assert [limit.allows("a") for _ in range(6)] == [True] * 4 + [False] * 2
    assert limit.allows("b")
    clock.now = 1.0
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]
    clock.now = 1000.0
    assert [limit.allows("a") for _ in range(5)] == [True] * 4 + [False]


def test_a_flood_of_addresses_costs_no_memory() -> None:
    limit = RateLimit(1.0, 1.0, Clock())
    for number in range(5000):
        limit.allows(str(number))
    assert len(limit._left) == rate._MOST_ADDRESSES
