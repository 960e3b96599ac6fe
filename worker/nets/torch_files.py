"""Reads the tensors of a state dict from torch's two file forms, the zip archive and the stream before it.

torch's own reader would execute the index; here worker/nets/plain_index.py reads it, and the values are bytes.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from worker.nets.plain_index import StoredTensor, plain_value

_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
}
_STREAM_MAGIC, _STREAM_VERSION = 0x1950A86A20F9469CFC6C, 1001
_PYTHONS = (AttributeError, EOFError, KeyError, OSError, OverflowError, RuntimeError, TypeError)
_DAMAGED = (*_PYTHONS, struct.error, zipfile.BadZipFile)
Wanted = Callable[[str], bool]


def state_of(path: Path, wanted: Wanted = lambda _: True) -> dict[str, Tensor]:
    """Return the tensors of a plain state dict whose names are wanted; the others are not read.

    Raises ValueError for a file that is damaged, of another form, or holds more than a plain state dict.
    """
    with path.open("rb") as file:
        try:
            return _from_zip(file, wanted) if zipfile.is_zipfile(file) else _from_stream(file, wanted)
        except _DAMAGED as error:
            raise ValueError(f"the file is damaged: {error}") from error


def _from_zip(file: IO[bytes], wanted: Wanted) -> dict[str, Tensor]:
    with zipfile.ZipFile(file) as archive:
        indices = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(indices) != 1 or any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("the archive is none of torch's, which hold one index and compress nothing")
        folder = indices[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("the weights are not little-endian")
        with archive.open(indices[0]) as index:
            tensors = _tensors(plain_value(index), wanted)
        return {key: _tensor(entry, archive.read(f"{folder}data/{entry.storage}")) for key, entry in tensors.items()}


def _from_stream(file: IO[bytes], wanted: Wanted) -> dict[str, Tensor]:
    file.seek(0)
    magic, version, machine, state, keys = (plain_value(file) for _ in range(5))
    if magic != _STREAM_MAGIC or version != _STREAM_VERSION or machine.get("little_endian") is not True:
        raise ValueError("the file is none of torch's")
    tensors = _tensors(state, wanted)
    storages = {entry.storage: entry for entry in _tensors(state, lambda _: True).values()}
    needed = {entry.storage for entry in tensors.values()}
    contents: dict[str, bytes] = {}
    for key in keys:
        described = storages[key]
        if struct.unpack("<q", file.read(8)) != (described.numel,):
            raise ValueError(f"storage {key} has not the {described.numel} numbers that the index says")
        held = described.numel * _DTYPES[described.kind].itemsize
        if key in needed:
            contents[key] = file.read(held)
        else:
            file.seek(held, 1)
    return {key: _tensor(entry, contents[entry.storage]) for key, entry in tensors.items()}


def _tensors(state: Any, wanted: Wanted) -> Mapping[str, StoredTensor]:
    if not isinstance(state, dict) or not all(isinstance(entry, StoredTensor) for entry in state.values()):
        raise ValueError("the file holds something else than a plain state dict")
    return {str(key): entry for key, entry in state.items() if wanted(str(key))}


def _tensor(entry: StoredTensor, content: bytes) -> Tensor:
    dtype = _DTYPES[entry.kind]
    if len(content) != entry.numel * dtype.itemsize:
        raise ValueError(f"storage {entry.storage} holds {len(content)} bytes, not {entry.numel} numbers")
    values = torch.frombuffer(bytearray(content), dtype=dtype)
    return values.as_strided(entry.size, entry.stride, entry.offset).clone()
