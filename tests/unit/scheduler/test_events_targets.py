from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.hints import Hint
from scheduler.events.targets import relevant, slides_of
from worker.store_folder import FolderStore


@pytest.mark.parametrize(
    ("key", "slides"),
    [
        ("lab/p/x.svs", ["lab/p/x.svs"]),
        ("lab/p/x.svs.json", ["lab/p/x.svs"]),
        ("lab/p/x.mrxs", ["lab/p/x.mrxs"]),
        ("lab/p/x.mrxs.json", ["lab/p/x.mrxs"]),
        ("lab/p/x/Data0001.dat", ["lab/p/x.mrxs"]),
        ("lab/p/x/Slidedat.ini", ["lab/p/x.mrxs"]),
        ("lab/p/x/_COMPLETE", ["lab/p/x.mrxs", "lab/p/x/"]),
        ("lab/p/x/1.dcm", ["lab/p/x/"]),
        ("lab/p/x.json", ["lab/p/x/"]),
        ("lab/p/x.vms", ["lab/p/x.vms"]),
        ("../../etc/x.svs", ["../../etc/x.svs"]),  # a key is a name, never a path
    ],
)
def test_the_key_of_an_event_leads_to_its_slide(key: str, slides: list[str]) -> None:
    assert list(slides_of(key)) == slides


@pytest.mark.parametrize(
    "key",
    [
        "lab/p/notes.txt", "lab/p/", "", "lab/p/x.jpg", "lab/p/x.jpg.json", "lab/p/x.opt",
        "marrowline-results/lab/p/x.svs", "1.dcm", "_COMPLETE", "Slidedat.ini",
        "lab/p/a\0b.svs", f"lab/{'k' * 1100}.svs",
    ],
)  # fmt: skip
def test_other_keys_lead_nowhere(key: str) -> None:
    assert slides_of(key) == ()


def test_only_keys_below_the_prefix_count() -> None:
    assert slides_of("site/lab/p/x.svs", "site/") == ("site/lab/p/x.svs",)
    assert slides_of("other/lab/p/x.svs", "site/") == ()
    assert slides_of("site/marrowline-results/lab/p/x.svs", "site/") == ()


@given(st.text())
def test_no_key_is_too_odd(key: str) -> None:
    assert all(isinstance(slide, str) for slide in slides_of(key))


def test_hints_of_other_buckets_are_left_out(tmp_path: Path) -> None:
    store = FolderStore(tmp_path, name="slides")
    hints = [
        Hint(msg_id=str(number), bucket=bucket, key=key)
        for number, (bucket, key) in enumerate([("slides", "a.svs"), ("other", "a.svs"), ("slides", "a.txt")])
    ]
    assert relevant(hints, store) == [hints[0]]
