"""What becomes of a slide whose process dies, hangs or lies; the processes are real ones that do so on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.sandbox_probe import command
from tests.support.slide_files import texture
from worker.errors import BadSlideError, ReaderStuckError, ServiceError
from worker.geometry import Box
from worker.slides.sandbox.connection import Connection
from worker.slides.sandbox.faults import ReaderBugError
from worker.slides.sandbox.reader import SandboxedReader
from worker.slides.sandbox.spawn import Host, SlideProcess, Wish
from worker.slides.sandbox.spec import SandboxSpec
from worker.slides.scale import Scale, WorkingPlane

IMAGE = texture(200, 800)
GOOD, BAD = Box(x=100, y=0, width=90, height=80), Box(x=300, y=0, width=90, height=80)
PLANE = WorkingPlane(scale=Scale(mpp_um=0.25, source="site"), factor=1.0, width_work=800, height_work=200)
WHITE = (255, 255, 255)

Opener = Callable[[str], SandboxedReader]


@pytest.fixture(scope="module")
def bad_host() -> Iterator[Host]:
    """A host whose children misbehave as their slide's name says."""
    with closing(Host(command("badly"))) as host:
        yield host


@pytest.fixture
def opened(bad_host: Host, tmp_path: Path) -> Iterator[Opener]:
    """Opens a slide that misbehaves as it is called: what, number, how often, and when."""
    readers: list[SandboxedReader] = []

    def open_as(behaviour: str) -> SandboxedReader:
        path = tmp_path / f"{behaviour}.png"
        cv2.imwrite(str(path), IMAGE[..., ::-1])
        processes = 0

        def start(wish: Wish) -> SlideProcess:
            nonlocal processes
            processes += 1
            return bad_host.start(replace(wish, threads=processes))  # so that a process knows which one it is

        spec = SandboxSpec(deadline_s=0.5)
        wish = Wish(folder=tmp_path, name=path.name, whole_folder=False, threads=1, spec=spec)
        readers.append(SandboxedReader(Connection(wish, start), threads=2))
        return readers[-1]

    yield open_as
    for reader in readers:
        reader.close()


def shown(box: Box) -> np.ndarray:
    return IMAGE[box.y : box.y_end, box.x : box.x_end]


@pytest.mark.parametrize(
    "what", ["kill-11", "kill-6", "kill-7", "kill-31", "kill-24", "kill-8", "sleep-5", "shout-0", "lie-0"]
)
def test_one_death_is_forgiven_and_the_request_repeated(opened: Opener, what: str) -> None:
    reader = opened(f"{what}-once")
    np.testing.assert_array_equal(reader.region(0, GOOD), shown(GOOD))
    if what != "lie-0":  # that one lies in every process
        np.testing.assert_array_equal(reader.region(0, BAD), shown(BAD))


@pytest.mark.parametrize(
    ("what", "code", "cause"),
    [
        ("kill-11", "reader_crashed", "crashed, twice (SIGSEGV)"),
        ("kill-31", "reader_crashed", "as an attack would, twice (SIGSYS)"),
        ("lie-0", "reader_crashed", "sent what no reader sends"),
        ("shout-0", "reader_crashed", "sent what no reader sends"),
        ("chatter-0", "reader_crashed", "sent what no reader sends"),
        ("raise-1", "too_large", "more memory than one slide may have"),
    ],
)
def test_the_second_death_is_the_slides_fault(opened: Opener, what: str, code: str, cause: str) -> None:
    reader = opened(f"{what}-always")
    with pytest.raises(BadSlideError) as caught:
        reader.region(0, BAD)
    assert caught.value.code == code
    assert cause in caught.value.cause
    assert caught.value.remedy


@pytest.mark.parametrize("deaths", ["sleep-5-always", "sleep-5-always-open"])
def test_no_answer_twice_may_be_the_disks_fault_and_is_transient(opened: Opener, deaths: str) -> None:
    with pytest.raises(ReaderStuckError, match=r"no answer within 0\.5 s, twice"):
        opened(deaths).region(0, BAD)


def test_a_missed_deadline_does_not_count_as_a_crash(opened: Opener) -> None:
    np.testing.assert_array_equal(opened("kill-11-second").region(0, BAD), shown(BAD))


def test_a_slide_that_crashes_as_it_is_opened_is_refused(opened: Opener) -> None:
    with pytest.raises(BadSlideError, match="reader_crashed: its reader crashed, twice"):
        opened("kill-11-always-open")


@pytest.mark.parametrize(("what", "error"), [("kill-9", ServiceError), ("raise-2", ServiceError)])
def test_what_comes_from_outside_is_transient(opened: Opener, what: str, error: type[Exception]) -> None:
    reader = opened(f"{what}-always")
    with pytest.raises(error):
        reader.region(0, BAD)
    np.testing.assert_array_equal(reader.region(0, GOOD), shown(GOOD))


@pytest.mark.parametrize("what", ["raise-0", "leave-3"])
def test_a_bug_rises_without_its_traceback(opened: Opener, what: str) -> None:
    reader = opened(f"{what}-always")
    with pytest.raises(ReaderBugError) as caught:
        reader.region(0, BAD)
    assert "/" not in str(caught.value)


@pytest.mark.parametrize("what", ["kill-11", "sleep-5"])
def test_a_stream_goes_on_where_its_process_died(opened: Opener, what: str) -> None:
    reader = opened(f"{what}-once")
    boxes = [replace(GOOD, x=x) for x in (0, 100, 200, 300, 400, 500)]
    for box, tile in zip(boxes, reader.tiles(PLANE, boxes, WHITE), strict=True):
        assert not isinstance(tile, BadSlideError)
        np.testing.assert_array_equal(tile, shown(box))


def test_a_stream_over_which_the_process_dies_twice_ends_with_the_slides_fault(opened: Opener) -> None:
    reader = opened("kill-11-always")
    boxes = [replace(GOOD, x=x) for x in (0, 100, 200, 300)]
    with pytest.raises(BadSlideError, match="reader_crashed"):
        list(reader.tiles(PLANE, boxes, WHITE))


def test_a_stream_survives_a_death_over_another_request(opened: Opener) -> None:
    reader = opened("kill-11-once")
    boxes = [replace(GOOD, x=x) for x in (0, 100, 200, 400, 500, 600)]
    tiles = reader.tiles(PLANE, boxes, WHITE)
    next(tiles)
    np.testing.assert_array_equal(reader.region(0, BAD), shown(BAD))
    for box, tile in zip(boxes[1:], tiles, strict=True):
        assert not isinstance(tile, BadSlideError)
        np.testing.assert_array_equal(tile, shown(box))


def test_a_slide_whose_host_is_gone_is_tried_again_later(tmp_path: Path) -> None:
    path = tmp_path / "kill-0-once.png"
    cv2.imwrite(str(path), IMAGE)
    with closing(Host(command("badly"))) as host:
        wish = Wish(folder=tmp_path, name=path.name, whole_folder=False, threads=1, spec=SandboxSpec())
        reader = SandboxedReader(Connection(wish, host.start), threads=1)
        host.close()
        with pytest.raises(ServiceError):
            reader.region(0, GOOD)
        reader.close()
