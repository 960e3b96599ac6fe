import io
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from worker.nets.architectures import build, channels_of
from worker.nets.torch_files import state_of

FORMS = pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "stream"])
PROTOCOL, STOP = b"\x80\x02", b"."


def _state() -> dict[str, Tensor]:
    return build("dcnn", channels_of("dcnn", 1 / 16), 2).state_dict()


def _write(state: object, path: Path, *, as_zip: bool = True) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=as_zip)
    return path


@FORMS
def test_both_forms_give_back_every_tensor(tmp_path: Path, *, as_zip: bool) -> None:
    state = _state()
    found = state_of(_write(state, tmp_path / "a.pth", as_zip=as_zip))
    assert list(found) == list(state)
    assert all(torch.equal(found[key], state[key]) and found[key].dtype == state[key].dtype for key in state)


@FORMS
def test_only_wanted_tensors_are_read(tmp_path: Path, *, as_zip: bool) -> None:
    state = _state()
    path = _write(state, tmp_path / "a.pth", as_zip=as_zip)
    found = state_of(path, lambda key: key.startswith("head."))
    assert set(found) == {"head.weight", "head.bias"}
    assert torch.equal(found["head.weight"], state["head.weight"])


@FORMS
def test_parts_of_a_storage_and_parameters_are_tensors_too(tmp_path: Path, *, as_zip: bool) -> None:
    whole = torch.arange(24, dtype=torch.float64).reshape(4, 6)
    state = {"turned": whole.t(), "part": whole[1:3, 2:], "half": torch.nn.Parameter(torch.rand(3).half())}
    found = state_of(_write(state, tmp_path / "a.pth", as_zip=as_zip))
    assert all(torch.equal(found[key], value) for key, value in state.items())
    assert not found["half"].requires_grad


def test_the_form_of_the_first_torch_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(_first_form("features.0.weight", torch.arange(6.0).reshape(2, 3)))
    assert torch.equal(state_of(path)["features.0.weight"], torch.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("asked", ["os system", "builtins eval", "torch.nn.modules.linear Linear", "torch load"])
def test_an_index_that_asks_for_more_is_refused_and_does_nothing(tmp_path: Path, asked: str) -> None:
    made = tmp_path / "made"
    module, name = asked.split()
    command = f"touch {made}".encode()
    call = b"c%s\n%s\n" % (module.encode(), name.encode()) + _text(command) + b"\x85R"
    with pytest.raises(ValueError, match=f"asks for '{asked}'"):
        state_of(_archive(tmp_path, PROTOCOL + call + STOP))
    assert not made.exists()


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (b"\x8c\x01a.", "SHORT_BINUNICODE"),
        (b"}.", None),
        (b"K\x01.", "something else"),
        (b"}K\x01K\x02s.", "something else"),
        (b"0.", "POP"),
        (b"s.", "more than it holds"),
        (b"S'\\q'\n.", "escape"),
        (b"c" + b"a" * (1 << 17) + b"\nb\n.", "damaged|newline"),
        (b"h\x07.", "damaged"),
        (b"K\x01b.", "more than it holds|damaged"),
        (b"]K\x01K\x02R.", "damaged"),
        (b"K\x01", "damaged|exhausted"),
        (b"", "damaged|exhausted"),
    ],
)
def test_only_the_index_of_a_plain_state_dict_is_followed(tmp_path: Path, index: bytes, said: str | None) -> None:
    path = _archive(tmp_path, PROTOCOL + index)
    if said is None:
        assert state_of(path) == {}
        return
    with pytest.raises(ValueError, match=said):
        state_of(path)


@pytest.mark.parametrize("held", [b"", b"\x00" * 8, b"\x00" * 800])
def test_a_storage_of_another_length_is_refused(tmp_path: Path, held: bytes) -> None:
    path = _write({"a": torch.rand(4)}, tmp_path / "a.pth")
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, held if name.endswith("data/0") else content)
    with pytest.raises(ValueError, match="holds"):
        state_of(path)


def test_a_module_is_not_a_state_dict(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no plain state dict"):
        state_of(_write(torch.nn.Linear(2, 2), tmp_path / "a.pth"))
    with pytest.raises(ValueError, match="something else"):
        state_of(_write({"model": OrderedDict(a=torch.rand(2))}, tmp_path / "b.pth"))


@FORMS
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_is_an_error_or_still_a_state(
    tmp_path: Path, place: float, value: int, *, cut: bool, as_zip: bool
) -> None:
    file = io.BytesIO()
    torch.save({"a": torch.rand(2, 2), "b": torch.tensor(1)}, file, _use_new_zipfile_serialization=as_zip)
    content = bytearray(file.getvalue())
    at = int(place * len(content))
    content[at] = value
    (tmp_path / "a.pth").write_bytes(content[:at] if cut else content)
    try:
        found = state_of(tmp_path / "a.pth")
    except ValueError:
        return
    assert all(isinstance(entry, Tensor) for entry in found.values())


def _archive(folder: Path, index: bytes) -> Path:
    path = folder / "made.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("made/data.pkl", index)
    return path


def _text(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text


def _first_form(name: str, tensor: Tensor) -> bytes:
    """Return a file as Python 2 and torch 0.1 wrote them: short byte strings, and pairs given to the dict."""
    storage = b"(" + _text(b"storage") + b"ctorch\nFloatStorage\n" + _text(b"1") + _text(b"cpu") + b"K\x06Nt"
    size, stride = (b"".join(b"K" + bytes([n]) for n in shape) + b"\x86" for shape in (tensor.shape, tensor.stride()))
    rebuilt = b"ctorch._utils\n_rebuild_tensor\n(" + storage + b"QK\x00" + size + stride + b"tR"
    pair = b"](" + _text(name.encode()) + rebuilt + b"e"
    state = b"ccollections\nOrderedDict\n](" + pair + b"e\x85R"
    magic = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
    machine = b"}" + _text(b"little_endian") + b"\x88s"
    keys = b"](" + _text(b"1") + b"e"
    parts = (magic, b"M\xe9\x03", machine, state, keys)
    index = b"".join(PROTOCOL + part + STOP for part in parts)
    return index + struct.pack("<q", tensor.numel()) + tensor.numpy().tobytes()
