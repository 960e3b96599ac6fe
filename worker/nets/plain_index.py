"""Reads the index of a published weight file without executing it.

torch's own files describe their tensors as a program for a stack machine that may import and call anything. This reads
the program with the standard library's disassembler and follows only what the description of a plain state dict needs:
numbers, texts, lists, dicts, and "so many bytes of that storage are a tensor". Nothing is imported, nothing is called;
whatever else the program asks for is an error.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, cast


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor of an index: where its values lie."""

    storage: str  # its key
    kind: str  # torch's name of the storage's type, FloatStorage for one
    numel: int  # of the whole storage
    offset: int  # all in elements
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Name:
    """Something that the index names and that would be imported by another reader."""

    text: str


_DICT = "collections OrderedDict"
_TENSORS = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
_PARAMETER = "torch._utils _rebuild_parameter"
_KINDS = ("FloatStorage", "HalfStorage", "DoubleStorage", "LongStorage")
_KNOWN = {_DICT, *_TENSORS, _PARAMETER, *(f"{module} {kind}" for module in ("torch", "torch.cuda") for kind in _KINDS)}
_MARK = object()
_LONGEST = 1 << 16  # bytes of one text or number


class _Short:
    """A file of which only little is read at once, whatever length a damaged index gives."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        """Return the next bytes; raises ValueError for more than an index has in one piece."""
        if count > _LONGEST:
            raise ValueError(f"the index is damaged: a text of {count} bytes")
        return self._file.read(count)

    def readline(self) -> bytes:
        """Return the next line; raises ValueError for one with an escape, which the name of no type has."""
        line = self._file.readline(_LONGEST)
        if b"\\" in line:
            raise ValueError("the index is damaged: a name with an escape in it")
        return line


class _Machine:
    """The stack machine, as far as a state dict needs it."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def since_mark(self) -> list[Any]:
        """Remove and return what was put on the stack since the last mark."""
        start = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        taken = self.stack[start + 1 :]
        del self.stack[start:]
        return taken

    def last(self, count: int) -> list[Any]:
        """Remove and return the last entries of the stack."""
        if len(self.stack) < count:
            raise ValueError("the index takes more than it holds")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken


def plain_value(index: IO[bytes]) -> Any:
    """Return the plain value of the serialised index that begins here: dicts, lists, numbers and StoredTensors.

    The file is left behind it. Raises ValueError for an index that is more than plain, or is damaged.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(cast("IO[bytes]", _Short(index))):
            if opcode.name == "STOP":
                break
            if opcode.name not in _STEPS:
                raise ValueError(f"the index uses {opcode.name}, which no plain state dict needs")
            _STEPS[opcode.name](machine, argument)
        (value,) = machine.stack
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
        raise ValueError(f"the index is damaged: {error}") from error
    return value


def _name(machine: _Machine, text: Any) -> None:
    if text not in _KNOWN:
        raise ValueError(f"the index asks for {text!r}, which no plain state dict needs")
    machine.stack.append(_Name(text=text))


def _storage(machine: _Machine, _: Any) -> None:
    """Take ("storage", kind, key, place, number of elements, None if it is whole)."""
    (reference,) = machine.last(1)
    what, kind, key, _place, numel, *view = reference
    if what != "storage" or not isinstance(kind, _Name) or any(view):
        raise ValueError(f"the index refers to {what!r} otherwise than a plain state dict does")
    machine.stack.append(StoredTensor(
        storage=str(key), kind=kind.text.split()[1], numel=int(numel), offset=0, size=(int(numel),), stride=(1,)
    ))  # fmt: skip


def _made(machine: _Machine, _: Any) -> None:
    """Take a name and its arguments, give what the named thing would have made of them."""
    name, arguments = machine.last(2)
    if name.text == _DICT:
        machine.stack.append(dict(*arguments))
    elif name.text == _PARAMETER and isinstance(arguments[0], StoredTensor):
        machine.stack.append(arguments[0])
    elif name.text in _TENSORS and isinstance(arguments[0], StoredTensor):
        machine.stack.append(_tensor(*arguments[:4]))
    else:
        raise ValueError(f"the index makes something of {name.text!r}, which no plain state dict does")


def _tensor(whole: StoredTensor, offset: Any, size: Any, stride: Any) -> StoredTensor:
    return StoredTensor(
        storage=whole.storage,
        kind=whole.kind,
        numel=whole.numel,
        offset=int(offset),
        size=tuple(map(int, size)),
        stride=tuple(map(int, stride)),
    )


def _attributes(machine: _Machine, _: Any) -> None:
    """Drop the attributes that a state dict carries, of which none is needed."""
    machine.last(1)
    machine.stack[-1].items()  # an error for anything but a dict


def _set_items(machine: _Machine, taken: list[Any]) -> None:
    machine.stack[-1].update(zip(taken[::2], taken[1::2], strict=True))


def _append_items(machine: _Machine, taken: list[Any]) -> None:
    machine.stack[-1].extend(taken)


def _put(machine: _Machine, place: Any) -> None:
    machine.memo[place] = machine.stack[-1]


_Step = Callable[[_Machine, Any], None]
_STEPS: dict[str, _Step] = {
    "PROTO": lambda _machine, _: None,
    "MARK": lambda machine, _: machine.stack.append(_MARK),
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.last(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.last(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.last(3))),
    "APPEND": lambda machine, _: machine.stack[-2].append(machine.stack.pop()),
    "APPENDS": lambda machine, _: _append_items(machine, machine.since_mark()),
    "SETITEM": lambda machine, _: _set_items(machine, machine.last(2)),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.since_mark()),
    "GLOBAL": _name,
    "REDUCE": _made,
    "BUILD": _attributes,
    "BINPERSID": _storage,
}
_STEPS |= dict.fromkeys(("BINPUT", "LONG_BINPUT"), _put)
_STEPS |= dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, place: machine.stack.append(machine.memo[place]))
_STEPS |= dict.fromkeys(
    ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
    lambda machine, argument: machine.stack.append(argument),
)
