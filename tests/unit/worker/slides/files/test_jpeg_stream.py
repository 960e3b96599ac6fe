from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import simplejpeg

from tests.support.slide_files import texture
from worker.slides.files.jpeg_stream import StreamFrame, StreamMaker, tables_start

TILE = texture(32, 48)
YCBCR_STREAM = bytes(imagecodecs.jpeg8_encode(TILE, level=95))
RGB_STREAM = bytes(imagecodecs.jpeg8_encode(TILE, level=95, colorspace="RGB", outcolorspace="RGB"))
YCBCR = StreamFrame(start=b"", photometric=6, width=48, height=32)
RGB = StreamFrame(start=b"", photometric=2, width=48, height=32)


def decoded(stream: bytes) -> np.ndarray:
    return np.asarray(simplejpeg.decode_jpeg(stream, "RGB", strict=True))


def test_a_stream_of_a_tile_alone_is_read_as_it_stands() -> None:
    np.testing.assert_array_equal(decoded(YCBCR.complete(YCBCR_STREAM)), decoded(YCBCR_STREAM))


def test_the_directory_says_what_the_samples_mean_not_the_tile() -> None:
    right = decoded(RGB_STREAM)  # an Adobe segment of its own says RGB
    np.testing.assert_array_equal(decoded(RGB.complete(RGB_STREAM)), right)
    taken_as_ycbcr = decoded(YCBCR.complete(RGB_STREAM))
    assert np.abs(taken_as_ycbcr.astype(int) - right).max() > 50


@pytest.mark.parametrize(
    ("frame", "stream", "said"),
    [
        (YCBCR, YCBCR_STREAM[2:], "does not begin"),
        (YCBCR, YCBCR_STREAM[:100], "ends early"),
        (YCBCR, b"\xff\xd8\xff\xda" + bytes(100), "marker 0xda"),  # pixels before a frame
        (YCBCR, YCBCR_STREAM.replace(b"\xff\xc0", b"\xff\xc2"), "marker 0xc2"),  # progressive
        (RGB, YCBCR_STREAM, "marker 0xe0"),  # a JFIF segment: its samples are YCbCr
        (StreamFrame(start=b"", photometric=6, width=48, height=48), YCBCR_STREAM, "another size"),
        (YCBCR, bytes(imagecodecs.jpeg8_encode(TILE[..., 0].copy())), "another kind"),
    ],
)
def test_what_is_not_the_stated_tile_is_refused(frame: StreamFrame, stream: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        frame.complete(stream)


def test_no_cut_of_a_header_is_taken_for_whole() -> None:
    scan = YCBCR_STREAM.index(b"\xff\xda")
    for length in range(scan + 2):
        with pytest.raises(ValueError, match="it"):
            YCBCR.complete(YCBCR_STREAM[:length])


def test_a_header_seen_before_saves_the_walk_and_no_other_does() -> None:
    maker = StreamMaker(YCBCR)
    other = bytes(imagecodecs.jpeg8_encode(TILE, level=50))
    for tile in (YCBCR_STREAM, YCBCR_STREAM, other, YCBCR_STREAM):
        for before, behind in ((b"", b""), (YCBCR_STREAM, other)):
            data = before + tile + behind
            assert maker.complete(data, len(before), len(before) + len(tile)) == YCBCR.complete(tile)
    with pytest.raises(ValueError, match="ends early"):
        maker.complete(YCBCR_STREAM, 0, 100)
    small = bytes(imagecodecs.jpeg8_encode(TILE[:16].copy(), level=95))
    with pytest.raises(ValueError, match="another size"):
        maker.complete(small, 0, len(small))


@pytest.mark.parametrize(
    ("tables", "start"),
    [
        (b"", b""),
        (b"\xff\xd8\xff\xdb\0\4ab\xff\xd9", b"\xff\xd8\xff\xdb\0\4ab"),
        (b"\xff\xd8\xff\xdb\0\4ab\xff\xd9\0", b"\xff\xd8\xff\xdb\0\4ab"),  # a padding byte
        (b"\xff\xd8\xff\xdb\0\4ab", None),
        (b"\xff\xd8\xff\xdb\0\x44ab\xff\xd9", None),
        (b"\xff\xdb\0\4ab\xff\xd9", None),
        (b"\xff\xd8\xff\xc0\0\4ab\xff\xd9", None),
    ],
)
def test_tables_are_taken_without_their_end_or_not_at_all(tables: bytes, start: bytes | None) -> None:
    assert tables_start(tables) == start
