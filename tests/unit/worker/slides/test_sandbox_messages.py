"""What the worker makes of messages from a process that is not to be trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.slide_files import info_of
from worker.slides.sandbox import documents, messages
from worker.slides.sandbox.messages import Fields, GoneError, MisbehavedError
from worker.slides.slide import SlideInfo

INFO = info_of(
    900,
    700,
    level_sizes=((900, 700), (450, 350)),
    level_downsamples=(1.0, 2.0),
    whole_px_levels=(True, False),
    mpp_um=0.23,
    background_rgb=(1, 2, 3),
    reader="tiled-jpeg",
)
SENT = json.loads(json.dumps(documents.info_to_json(INFO)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def test_a_header_comes_back_as_it_went() -> None:
    assert documents.info_from(Fields(SENT)) == INFO
    assert documents.info_from(Fields({**SENT, "mpp_um": None})) == replace(INFO, mpp_um=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width_l0", 2**30),
        ("width_l0", 899),
        ("width_l0", True),
        ("height_l0", "700"),
        ("level_sizes", []),
        ("level_sizes", [[900, 700]] * 40),
        ("level_sizes", [[900, 700], [-1, 5]]),
        ("level_downsamples", [1.0]),
        ("level_downsamples", [1.0, float("nan")]),
        ("level_downsamples", [1.0, 5.0]),
        ("level_sizes", [[900, 700], [450, 1500]]),
        ("whole_px_levels", [1, 0]),
        ("mpp_um", 1e9),
        ("background_rgb", [1, 2, 256]),
        ("vendor", "a/path"),
        ("reader", "x" * 1000),
    ],
)
def test_a_header_outside_its_ranges_is_not_believed(name: str, value: object) -> None:
    with pytest.raises(MisbehavedError):
        documents.info_from(Fields({**SENT, name: value}))


@given(st.sampled_from([field.name for field in fields(SlideInfo)]), JSON)
def test_no_header_makes_the_worker_stumble(name: str, value: Any) -> None:
    try:
        documents.info_from(Fields({**SENT, name: value}))
    except MisbehavedError:
        return


def test_texts_are_cut_and_cleaned() -> None:
    said = Fields({"cause": "line\n\x1b[31mred\u202e" + "x" * 1000}).text("cause")
    assert said.startswith("line  [31mred x")
    assert len(said) <= 300
    assert said.isprintable()


@pytest.mark.parametrize(
    "packet", [b"[1]", b"no json", b"\xff\xfe", b"[" * 20_000, b" " * (messages.MAX_BYTES + 1), b"1" * 10_000]
)
def test_packets_that_are_no_messages_are_not_believed(packet: bytes) -> None:
    ours, theirs = messages.pair()
    with closing(ours), closing(theirs):
        theirs.send(packet)
        with pytest.raises(MisbehavedError):
            messages.receive_plain(ours)


@pytest.mark.parametrize("receive", [messages.receive, messages.receive_plain])
def test_a_closed_connection_is_noticed(receive: Callable[[Any], Any]) -> None:
    ours, theirs = messages.pair()
    with closing(ours):
        theirs.close()
        with pytest.raises(GoneError):
            receive(ours)
        with pytest.raises(GoneError):
            messages.send(ours, {})
