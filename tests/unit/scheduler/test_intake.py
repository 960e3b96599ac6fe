from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import SlideFacts, Specimen
from scheduler.config import SchedulerSettings
from scheduler.intake import (
    RefusedError,
    check_pattern,
    facts_of,
    fault_of_key,
    is_slide_key,
    sidecar_key,
    slide_of_sidecar,
    status_key,
)
from worker.errors import BadRequestError

SETTINGS = SchedulerSettings()
KEY = "lab/patient/slide.svs"
NAMES = st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=30)


def _sidecar(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def _reason(key: str, sidecar: bytes | None, settings: SchedulerSettings = SETTINGS) -> str:
    with pytest.raises(RefusedError) as refused:
        facts_of(key, sidecar, settings)
    assert refused.value.key == key
    return refused.value.reason


def test_the_key_names_lab_and_patient() -> None:
    assert facts_of(KEY, None, SETTINGS) == SlideFacts(lab="lab", patient="patient")


def test_the_sidecar_says_the_rest() -> None:
    told = _sidecar(specimen="blood", stain="MGG", mpp=0.25, taken_at="2026-03-01T09:30:00+01:00", urgent=True)
    assert facts_of(KEY, told, SETTINGS) == SlideFacts(
        lab="lab",
        patient="patient",
        specimen=Specimen.BLOOD,
        stain="MGG",
        mpp_um=0.25,
        taken_at=datetime(2026, 3, 1, 8, 30, tzinfo=UTC),
        urgent=True,
    )


def test_a_sidecar_that_names_lab_and_patient_holds_for_any_key() -> None:
    told = _sidecar(lab="A", patient="P")
    for key in ("x.svs", "deep/down/below/x.svs", KEY):
        assert facts_of(key, told, SETTINGS) == SlideFacts(lab="A", patient="P")


def test_half_a_name_must_agree_with_the_key() -> None:
    assert facts_of(KEY, _sidecar(patient="patient"), SETTINGS).patient == "patient"
    assert "different patient" in _reason(KEY, _sidecar(patient="other"))
    assert "different lab" in _reason(KEY, _sidecar(lab="other"))
    assert "nor a sidecar names lab and patient" in _reason("x.svs", _sidecar(patient="P"))


def test_the_stores_prefix_is_no_part_of_the_pattern() -> None:
    assert facts_of("site/a/lab/patient/x.svs", None, SETTINGS, prefix="site/a/").lab == "lab"
    assert "names lab and patient" in _reason("site/a/lab/patient/x.svs", None)


@pytest.mark.parametrize("key", ["x.svs", "patient/x.svs", "a/lab/patient/x.svs", "/patient/x.svs", "lab//x.svs"])
def test_a_key_of_another_shape_is_refused_with_the_fix(key: str) -> None:
    reason = _reason(key, None)
    assert "{lab}/{patient}/{slide}" in reason
    assert "put <key>.json with both beside it" in reason


def test_another_pattern() -> None:
    settings = SchedulerSettings(key_pattern="in+box/{patient}/{lab}-{slide}")
    assert facts_of("in+box/P.1/A-7.svs", None, settings) == SlideFacts(lab="A", patient="P.1")
    assert "names lab and patient" in _reason("inbox/P.1/A-7.svs", None, settings)


def test_a_pattern_without_a_lab_leaves_it_to_the_sidecar() -> None:
    settings = SchedulerSettings(key_pattern="{patient}/{slide}")
    assert facts_of("P/x.svs", _sidecar(lab="A"), settings) == SlideFacts(lab="A", patient="P")
    assert "names lab and patient" in _reason("P/x.svs", None, settings)


@pytest.mark.parametrize(
    "pattern", ["", "{lab}/{patient}", "{lab}/{lab}/{slide}", "{lab}/{case}/{slide}", "{lab/{slide}"]
)
def test_a_pattern_that_cannot_be_used_is_told_at_the_start(pattern: str) -> None:
    with pytest.raises(BadRequestError, match="MARROWLINE_KEY_PATTERN"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("sidecar", "field"),
    [
        (b"", "(whole file)"),
        (b"{", "(whole file)"),
        (b"[]", "(whole file)"),
        (b"\xff\xfe", "(whole file)"),
        (b"[" * 60_000, "(whole file)"),
        (_sidecar(pateint="P"), "pateint"),
        (_sidecar(specimen="bone"), "specimen"),
        (_sidecar(mpp="0.25"), "mpp"),
        (_sidecar(mpp=353), "mpp"),
        (_sidecar(mpp=0), "mpp"),
        (b'{"mpp": NaN}', "mpp"),
        (b'{"mpp": 1e999}', "mpp"),
        (_sidecar(taken_at="2026-03-01T09:30:00"), "taken_at"),
        (_sidecar(taken_at="yesterday"), "taken_at"),
        (_sidecar(lab=""), "lab"),
        (_sidecar(lab=" A"), "lab"),
        (_sidecar(lab=".."), "lab"),
        (_sidecar(patient="a\nb"), "patient"),
        (_sidecar(patient="a\0b"), "patient"),
        (_sidecar(patient="x" * 201), "patient"),
        (_sidecar(patient=7), "patient"),
    ],
)
def test_a_faulty_sidecar_is_refused_by_field_with_the_fix(sidecar: bytes, field: str) -> None:
    reason = _reason(KEY, sidecar)
    assert f"sidecar field {field}: " in reason
    assert "correct the sidecar" in reason


def test_reasons_are_short_and_hold_neither_key_nor_values() -> None:
    reason = _reason("lab/secret/x.svs", _sidecar(**{f"field{n}": "secret" for n in range(500)}))
    assert "secret" not in reason
    assert len(reason) < 500
    assert "secret" in str(RefusedError("lab/secret/x.svs", reason))


def test_a_byte_order_mark_is_no_fault() -> None:
    assert facts_of(KEY, b"\xef\xbb\xbf" + _sidecar(mpp=0.5), SETTINGS).mpp_um == 0.5


def test_one_name_in_two_unicode_forms_is_one_patient() -> None:
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    assert facts_of(f"lab/{decomposed}/x.svs", None, SETTINGS).patient == composed
    assert facts_of("x.svs", _sidecar(lab="A", patient=decomposed), SETTINGS).patient == composed


@pytest.mark.parametrize("key", ["lab/../x.svs", "../patient/x.svs", "lab/ patient/x.svs", "lab/p\nq/x.svs"])
def test_odd_names_in_the_key_are_refused(key: str) -> None:
    assert "move the object" in _reason(key, None)


@pytest.mark.parametrize("key", ["lab/patient/x.mrxs", "lab/patient/x.VMS", "lab/patient/series/"])
def test_slides_of_several_files_are_placed_by_their_index_or_folder(key: str) -> None:
    facts = facts_of(f"site/{key}", None, SETTINGS, prefix="site/")
    assert (facts.lab, facts.patient) == ("lab", "patient")


def test_a_file_of_a_series_is_no_slide_of_its_own() -> None:
    assert "folder" in _reason("lab/patient/x.dcm", None)


def test_where_the_sidecar_lies() -> None:
    assert [sidecar_key(key) for key in ("p/x.mrxs", "p/series/")] == ["p/x.mrxs.json", "p/series.json"]


def test_where_a_status_lies_is_never_taken_for_a_slide_or_a_sidecar() -> None:
    keys = ("p/x.svs", "p/x.mrxs", "p/series/")
    assert [status_key(key) for key in keys] == ["p/x.svs.status.json", "p/x.mrxs.status.json", "p/series.status.json"]
    for key in keys:
        assert not is_slide_key(status_key(key))
        assert slide_of_sidecar(status_key(key)) is None
    assert "rename the folder" in _reason("lab/p/series.status/", None)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("lab/p/x.svs", True),
        ("lab/p/x.SVS", True),
        ("lab/p/x.ome.tif", True),
        ("lab/p/x.png", True),
        ("lab/p/x.mrxs", True),
        ("lab/p/x.svs.json", False),
        ("lab/p/x.svs.status.json", False),
        ("lab/p/", False),
        ("lab/p/notes.txt", False),
        ("lab/p/svs", False),
        ("marrowline-results/lab/p/overlay.png", False),
    ],
)
def test_what_is_meant_to_be_a_slide(key: str, meant: bool) -> None:
    assert is_slide_key(key) is meant
    assert is_slide_key(f"site/{key}", "site/") is meant


def test_whose_sidecar_an_object_is() -> None:
    assert slide_of_sidecar("lab/p/x.svs.json") == "lab/p/x.svs"
    for key in ("lab/p/x.svs", "lab/p/x.json", "lab/p/x.svs.status.json", "marrowline-results/x.png.json"):
        assert slide_of_sidecar(key) is None


def test_keys_that_no_row_can_hold() -> None:
    assert fault_of_key("x" * 1024) is None
    for key in ("x" * 1025, "a\0.svs", "a\udcff.svs"):
        assert fault_of_key(key) is not None
        assert "rename" in _reason(key, None)


@given(lab=NAMES, patient=NAMES, slide=NAMES)
def test_any_key_of_the_right_shape_is_understood_or_refused(lab: str, patient: str, slide: str) -> None:
    try:
        facts = facts_of(f"{lab}/{patient}/{slide}", None, SETTINGS)
    except RefusedError:
        return
    assert (facts.lab, facts.patient) == tuple(unicodedata.normalize("NFC", name) for name in (lab, patient))


@given(
    sidecar=st.one_of(
        st.binary(max_size=200), st.from_type(dict[str, float | str | None]).map(lambda d: json.dumps(d).encode())
    )
)
def test_any_sidecar_is_understood_or_refused(sidecar: bytes) -> None:
    told = ""
    try:
        facts_of(KEY, sidecar, SETTINGS)
    except RefusedError as refused:
        told = refused.reason
    assert not told or "correct the sidecar" in told or "different" in told
