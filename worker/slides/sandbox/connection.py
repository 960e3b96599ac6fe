"""The worker's side of one slide's process, which is replaced when it dies: requests, answers and ends.

Two deaths by the same slide are the slide's fault; an end from outside is not. An answer that does not come may be
either: it is asked for once more, and after that the run is tried again later.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from worker.errors import BadSlideError, ReaderStuckError, ServiceError
from worker.slides.sandbox import documents, faults, spawn
from worker.slides.sandbox.memory import Memory
from worker.slides.sandbox.messages import Fields, GoneError, MisbehavedError
from worker.slides.sandbox.spec import Level, demand
from worker.slides.slide import SlideInfo

FAULTS: Final = (GoneError, TimeoutError, MisbehavedError)
"""Ways in which a process fails to answer; `Connection.bury` says what follows."""
_MAX_DEATHS = 2
_MAX_STREAMS = 2**31
_MAX_KEPT = 1024

T = TypeVar("T")


class ReplacedError(Exception):
    """The process that a stream came from has been replaced: start the stream again."""


class Connection:
    """A slide's process, shut in as asked for, with its slide open; used by one thread.

    Each method raises the reading's own errors (BadSlideError, ServiceError) as they come.
    """

    def __init__(self, wish: spawn.Wish, start: Callable[[spawn.Wish], spawn.SlideProcess] = spawn.start) -> None:
        self._wish = wish
        self._start = start
        self._closed = False
        self._process: spawn.SlideProcess | None = None
        self._deaths: Counter[type[Exception]] = Counter()  # by what they mean
        self._last_stream = 0  # streams are numbered through all processes; 0 stands for single answers
        self._kept: deque[Fields] = deque()  # answers of the stream that came while a single one was waited for
        self._header: SlideInfo | None = None
        self._level = Level.WEAK
        self._repeated(self._running)

    @property
    def info(self) -> SlideInfo:
        """The slide's header."""
        if self._header is None:
            raise ValueError("the slide is not open")
        return self._header

    @property
    def level(self) -> Level:
        """How firmly the process is shut in."""
        return self._level

    def ask(self, request: Mapping[str, Any], memory: Memory, read: Callable[[Fields], T], *, more_s: float = 0.0) -> T:
        """Return what `read` makes of the answer; the request is repeated if the process dies over it.

        `more_s` is how much longer than others this answer may take.
        """

        def once() -> T:
            process = self._running()
            process.send(request, [memory.fd], within_s=self._wish.spec.deadline_s)
            return read(self._answer(process, stream=0, more_s=more_s))

        return self._repeated(once)

    def start_stream(self, request: Mapping[str, Any], memory: Memory) -> int:
        """Ask for a stream of answers and return its number; the one before it is over. May raise one of FAULTS."""
        process = self._running()
        self._last_stream += 1
        self._kept.clear()
        process.send({**request, "stream": self._last_stream}, [memory.fd], within_s=self._wish.spec.deadline_s)
        return self._last_stream

    def tell_stream(self, stream: int, what: str) -> None:
        """Send `next` or `stop` to a stream; may raise ReplacedError or one of FAULTS."""
        self._source_of(stream).send({"op": what}, within_s=self._wish.spec.deadline_s)

    def from_stream(self, stream: int) -> Fields:
        """Return the next answer of a stream; may raise ReplacedError or one of FAULTS."""
        process = self._source_of(stream)
        return _checked(self._kept.popleft()) if self._kept else self._answer(process, stream=stream)

    def bury(self, fault: Exception) -> None:
        """Take the process away after one of FAULTS.

        Raises:
            BadSlideError: `reader_crashed`, when the slide has killed its process before.
            ReaderStuckError: when it is the second that did not answer in time.
            ServiceError: when something else ended it.
        """
        process, self._process = self._process, None
        self._last_stream += 1  # the stream that it was sending is over
        ended = process.end() if process else spawn.Ended()
        if process:
            process.close()
        error = self._meaning(fault, ended)
        self._deaths[type(error)] += 1
        if self._deaths[type(error)] >= _MAX_DEATHS or not isinstance(error, (BadSlideError, ReaderStuckError)):
            raise error from fault

    def close(self) -> None:
        """End the process for good; a second call does nothing."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        if self._process:
            self._process.close()
            self._process = None

    def _meaning(self, fault: Exception, ended: spawn.Ended) -> Exception:
        if isinstance(fault, TimeoutError):
            return faults.stuck(self._wish.spec.deadline_s)
        if isinstance(fault, MisbehavedError):
            return faults.misbehaved()
        if ended.signal is not None and faults.is_crash(ended.signal):
            return faults.crashed(ended.signal)
        if ended.status is not None:
            return faults.ReaderBugError(f"the slide's process left with status {ended.status}")
        return faults.gone(f"signal {ended.signal}" if ended.signal else "with its host")

    def _repeated(self, action: Callable[[], T]) -> T:
        while True:
            try:
                return action()
            except FAULTS as fault:
                self.bury(fault)

    def _running(self) -> spawn.SlideProcess:
        """Return the process with its slide open, started now if there is none."""
        if self._closed:
            raise ValueError("the slide is closed")
        if self._process is None:
            self._process = self._start(self._wish)
            try:
                self._open(self._process)
            except FAULTS:
                raise
            except BaseException:
                self._let_go()
                raise
        return self._process

    def _open(self, process: spawn.SlideProcess) -> None:
        # Until the slide is open its process has seen nothing of it, and its word on the sandbox is good.
        reached = documents.reached_from(self._answer(process, stream=0))
        demand(reached, self._wish.spec.least)
        process.send({"op": "open"}, within_s=self._wish.spec.deadline_s)
        info = documents.info_from(self._answer(process, stream=0))
        if self._header not in (None, info):
            raise ServiceError("the slide's file has changed while it was read")
        self._level, self._header = reached.level, info

    def _answer(self, process: spawn.SlideProcess, *, stream: int, more_s: float = 0.0) -> Fields:
        """Wait for the next answer of a stream, or for the one to a single request (0)."""
        ends_at = time.monotonic() + self._wish.spec.deadline_s + more_s
        while (left_s := ends_at - time.monotonic()) > 0:
            fields = Fields(process.receive(within_s=left_s))
            number = fields.whole("stream", 0, _MAX_STREAMS)
            if number == stream:
                return _checked(fields)
            if number == 0 or len(self._kept) >= _MAX_KEPT:
                raise MisbehavedError("an answer came that nobody waits for")
            if number == self._last_stream:
                self._kept.append(fields)  # answers of other numbers belong to streams that were given up
        raise TimeoutError

    def _source_of(self, stream: int) -> spawn.SlideProcess:
        if self._process is None or stream != self._last_stream:
            raise ReplacedError
        return self._process


def _checked(fields: Fields) -> Fields:
    """Return an answer, unless it says that the reading failed: raise that."""
    if fields.word("re") == "error":
        raise faults.from_message(fields)
    return fields
