from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.corrections import features as reading
from scheduler.corrections.features import features
from tests.support.exported import collection
from worker.errors import BadRequestError

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    LEAVES, lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text(), deeper), max_leaves=6
)
FEATURES = st.lists(VALUES.map(lambda value: {"type": "Feature", "properties": value}), max_size=4)
CELL: dict[str, Any] = {"type": "Feature", "geometry": None, "properties": {}}


@given(found=FEATURES, before=VALUES, chunk=st.integers(1, 40), indent=st.sampled_from([None, 2]))
def test_every_feature_is_read_wherever_the_file_is_cut(
    tmp_path_factory: pytest.TempPathFactory, found: list[Any], before: Any, chunk: int, indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("f") / "a.geojson"
    document = {"type": "FeatureCollection", "before": before, "features": found, "after": before}
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_CHUNK", chunk)
        assert list(features(path)) == found


@pytest.mark.parametrize("text", [json.dumps([CELL, CELL]), f" [{json.dumps(CELL)},\n{json.dumps(CELL)}]\n"])
def test_a_list_of_features_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.geojson").write_text(text)
    assert list(features(tmp_path / "a.geojson")) == [CELL, CELL]


def test_a_single_feature_and_packed_and_marked_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "one.geojson").write_bytes(b"\xef\xbb\xbf" + json.dumps(CELL).encode())
    (tmp_path / "packed.geojson.gz").write_bytes(gzip.compress(json.dumps([CELL]).encode()))
    assert list(features(tmp_path / "one.geojson")) == [CELL]
    assert list(features(tmp_path / "packed.geojson.gz")) == [CELL]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"", "feature 1: no GeoJSON"),
        (b"run,batch,cell,class\n", "feature 1: no GeoJSON"),
        (b"3", "feature 1: no GeoJSON"),
        (b'{"type": "Polygon"}', "feature 1: no GeoJSON"),
        (b'[{"type": "Feature"}, {"type": "Point"}]', "feature 2: no GeoJSON .it is no feature"),
        (b'[{"type": "Feature"}, {"type": "Fea', "feature 2: no GeoJSON"),
        (b'[{"type": "Feature"} {"type": "Feature"}]', "feature 2: no GeoJSON"),
        (b'[{"type": "Feature"}', "feature 2: no GeoJSON"),
        (b"[" * 100_000, "feature 1: no GeoJSON"),
        (b'["\xff"]', "feature 1: no GeoJSON"),
        (b"\x1f\x8b\x08\x00", "cannot be read"),
    ],
)
def test_what_is_no_geojson_is_refused_by_the_number_of_its_feature(tmp_path: Path, text: bytes, named: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(text)
    with pytest.raises(BadRequestError, match=named):
        list(features(path))


def refusal(path: Path, chunk: int) -> str:
    """Return why a file is refused that is read in pieces of so many bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_CHUNK", chunk)
        with pytest.raises(BadRequestError) as refused:
            list(features(path))
    return str(refused.value)


SOUND = json.dumps(CELL | {"id": "Zelle Ä 🧫"}, ensure_ascii=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.integers(0, 30),
    after=st.integers(0, 30),
    chunk=st.integers(1, 200),
    damage=st.sampled_from([("{,", 1), ('{"a" 1}', 5), ("3 4", 0), ("\\", 0), ('{"a": "\n"}', 7), ('"Feature"', 0)]),
    mark=st.sampled_from([b"", BOM_UTF8]),
    packed=st.booleans(),
)
def test_damage_is_found_by_the_bytes_before_it_wherever_the_file_is_cut(
    tmp_path: Path, before: int, after: int, chunk: int, damage: tuple[str, int], mark: bytes, packed: bool
) -> None:
    wrong, at = damage
    sound = "".join(f"{SOUND},\r\n" for _ in range(before))
    text = mark + f"[{sound}{wrong}, {', '.join([SOUND] * after)} ]".encode()
    path = tmp_path / "a.geojson"
    path.write_bytes(gzip.compress(text) if packed else text)
    expected = len(mark) + 1 + len(sound.encode()) + at
    said = re.search(r"feature (\d+): .* after ([\d,]+) bytes? of (the file|what it unpacks to)", refusal(path, chunk))
    assert said is not None
    assert (int(said[1]), int(said[2].replace(",", ""))) == (before + 1, expected)
    assert said[3] == ("what it unpacks to" if packed else "the file")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.integers(0, 30), chunk=st.integers(1, 200), cut=st.sampled_from([b"\xff", b"\xc3("]))
def test_a_byte_that_is_no_letter_is_found_likewise(tmp_path: Path, before: int, chunk: int, cut: bytes) -> None:
    sound = f"[{''.join(f'{SOUND},' for _ in range(before))}".encode() + b'{"a": "'
    path = tmp_path / "a.geojson"
    path.write_bytes(sound + cut + b'"}]')
    said = refusal(path, chunk)
    assert f"feature {before + 1}: no GeoJSON (no UTF-8: invalid" in said
    assert f"after {len(sound):,} bytes of the file)" in said


def test_damage_is_told_without_reading_what_lies_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LONGEST", 1000)
    monkeypatch.setattr(reading, "_CHUNK", 100)
    path = tmp_path / "a.geojson"
    path.write_text(f'[{{"a" 1}}, {json.dumps([CELL] * 100)}]')
    with pytest.raises(BadRequestError, match="Expecting ':' delimiter, after 6 bytes of the file"):
        list(features(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"a\.geojson cannot be read: No such file"):
        list(features(tmp_path / "a.geojson"))


def test_a_value_that_never_ends_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LONGEST", 1000)
    monkeypatch.setattr(reading, "_CHUNK", 100)
    path = tmp_path / "a.geojson"
    path.write_text('["' + "x" * 10_000)
    with pytest.raises(BadRequestError, match="longer than any cell"):
        list(features(path))


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_CHUNK", 1 << 14)
    cell = CELL | {"geometry": {"type": "Polygon", "coordinates": [[[n, n] for n in range(100)]]}}
    peaks = []
    for cells in (300, 1_200):
        path = collection(tmp_path / "a.geojson", [cell] * cells)
        tracemalloc.start()
        assert sum(1 for _ in features(path)) == cells
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
