"""A small part of `make fuzz`, and that it would notice what it looks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.support.fuzz import attempt, failures, run
from tests.support.fuzz_slides import Sound, sound_files


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Sound]:
    return sound_files(tmp_path_factory.mktemp("sound"), None)


@pytest.fixture(scope="module")
def raw(sounds: list[Sound]) -> Sound:
    """A slide without compression, whose pixels lie in the file as they are."""
    return next(sound for sound in sounds if sound.name == "raw.tif")


def test_altered_slides_end_in_pixels_or_a_reason_and_none_is_white_in_silence(
    sounds: list[Sound], tmp_path: Path
) -> None:
    outcomes = run(sounds, range(36), seed=11, folder=tmp_path, console=Console(quiet=True))
    assert failures(outcomes) == []
    read = sum(outcome.result == "read" for outcome in outcomes)
    assert 8 < read < 28


def test_an_unaltered_slide_shows_no_change(raw: Sound, tmp_path: Path) -> None:
    outcome = attempt(0, raw, raw.content, tmp_path)
    assert (outcome.result, outcome.changed_tiles, outcome.bad_tiles) == ("read", 0, 0)


@pytest.mark.parametrize("colour", [255, 0])
def test_a_square_that_lost_its_picture_is_noticed(raw: Sound, tmp_path: Path, colour: int) -> None:
    content = np.frombuffer(raw.content, dtype=np.uint8).copy()
    content[1000 : 1000 + 256 * 256 * 3] = colour
    outcome = attempt(0, raw, content.tobytes(), tmp_path)
    assert outcome.changed_tiles
    assert bool(outcome.white) == (colour == 255)
    assert bool(outcome.flat) == (colour == 0)
    assert bool(failures([outcome])) == (colour == 255)
