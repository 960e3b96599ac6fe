"""Copies an open file part by part, keeping what an earlier try has brought."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from worker.part_log import PART_BYTES, PartDigest, Parts

_CHUNK_BYTES = 2**20


def copied(
    source: int, target: int, size: int, *, parts: Parts | None, progress: Callable[[int], None] | None
) -> Iterator[bytes]:
    """Copy `size` bytes between two descriptors and yield them in order; ends early where the source does."""
    os.ftruncate(target, size)
    kept = parts.kept(target, size) if parts else frozenset()
    for number in range(-(-size // PART_BYTES)):
        start, end = number * PART_BYTES, min((number + 1) * PART_BYTES, size)
        if number in kept:
            yield from _chunks(target, start, end)
            continue
        digest = PartDigest()
        for chunk in _chunks(source, start, end):
            os.pwrite(target, chunk, start)
            start += len(chunk)
            digest.update(chunk)
            if progress:
                progress(len(chunk))
            yield chunk
        if start < end:
            return
        if parts:
            parts.add(number, digest.text())


def _chunks(fd: int, start: int, end: int) -> Iterator[bytes]:
    while start < end and (chunk := os.pread(fd, min(_CHUNK_BYTES, end - start), start)):
        yield chunk
        start += len(chunk)
