from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from worker.slides.sandbox.memory import LastMapping, Memory


@pytest.fixture
def memory() -> Iterator[Memory]:
    with closing(Memory(9000)) as memory:
        yield memory


def test_what_one_side_writes_the_other_reads(memory: Memory) -> None:
    LastMapping().of(memory.fd, 9000)[5:11] = (1, 2, 3, 4, 5, 6)
    np.testing.assert_array_equal(memory.array(5, 1, 2), [[[1, 2, 3], [4, 5, 6]]])


def test_memory_that_is_sent_again_is_not_mapped_again(memory: Memory) -> None:
    last = LastMapping()
    first = last.of(memory.fd, 9000)
    again = last.of(memory.fd, 50)
    assert again.size == 50
    assert again.ctypes.data == first.ctypes.data


def test_other_memory_or_more_of_it_is_mapped(memory: Memory) -> None:
    last = LastMapping()
    last.of(memory.fd, 50)
    last.of(memory.fd, 9000)[8999] = 7
    assert memory.array(8997, 1, 1)[0, 0, 2] == 7
    with closing(Memory(9000)) as other:
        last.of(other.fd, 9000)[8999] = 8
        assert [side.array(8997, 1, 1)[0, 0, 2] for side in (memory, other)] == [7, 8]
