"""What went wrong inside a slide's process, as a message, and as the error that the worker raises."""

from __future__ import annotations

import signal
import struct
import zlib
from typing import Any

from worker.errors import BadSlideError, MarrowlineError, ReaderStuckError, ServiceError
from worker.slides.sandbox import documents
from worker.slides.sandbox.messages import Fields

_DECODERS = frozenset({"PIL", "imagecodecs", "tifffile", "openslide", "cv2", "simplejpeg"})
_DECODER_ERRORS = (struct.error, zlib.error, EOFError)
_UPLOAD_AGAIN = "Upload the file again; if its size equals the original's, export the original again."
_CRASHES = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGILL,
        signal.SIGFPE,
        signal.SIGSYS,
        signal.SIGTRAP,
        signal.SIGXCPU,
        signal.SIGXFSZ,
    }
)
"""Ends that a file can bring about; SIGKILL and the like come from outside."""


class ReaderBugError(RuntimeError):
    """The reading code itself failed on a slide: a bug."""


def to_json(error: Exception, *, stream: int = 0) -> dict[str, Any]:
    """Return an exception as a message of a stream; only errors of the file's carry text."""
    if isinstance(error, BadSlideError):
        return {"re": "error", "stream": stream, "kind": "bad_slide", **documents.bad_slide_to_json(error)}
    kind = "bug"
    if isinstance(error, MemoryError):
        kind = "memory"
    elif isinstance(error, OSError) and error.errno is not None:
        kind = "disk"
    elif isinstance(error, _DECODER_ERRORS) or type(error).__module__.partition(".")[0] in _DECODERS:
        kind = "decoder"
    return {"re": "error", "stream": stream, "kind": kind, "cause": type(error).__name__}


def from_message(fields: Fields) -> Exception:
    """Return the error that a message stands for.

    Raises:
        MisbehavedError: when it is no such message.
    """
    match fields.word("kind"):
        case "bad_slide":
            return documents.bad_slide_from(fields)
        case "memory":
            return BadSlideError(
                "too_large",
                "reading it needs more memory than one slide may have",
                "Save it as a tiled, pyramidal TIFF.",
            )
        case "decoder":
            cause = f"its data cannot be decoded ({fields.text('cause')})"
            return BadSlideError("damaged", cause, _UPLOAD_AGAIN)
        case "disk":
            return ServiceError(f"the slide's file could not be read from this machine's disk ({fields.text('cause')})")
        case _:
            return ReaderBugError(f"reading the slide raised {fields.text('cause')}")


def is_crash(number: int) -> bool:
    """Tell whether a signal is one that the file can have brought about."""
    return number in _CRASHES


def crashed(number: int) -> BadSlideError:
    """Return the error for a slide whose process died twice."""
    name = signal.Signals(number).name
    means = "asked for what no reader needs, as an attack would" if number == signal.SIGSYS else "crashed"
    return BadSlideError(
        "reader_crashed",
        f"its reader {means}, twice ({name})",
        "Export the slide again; if that crashes too, report the format and scanner.",
    )


def stuck(deadline_s: float) -> ReaderStuckError:
    """Return the error for a slide that twice did not answer in time; a stalled disk looks just like a bad file."""
    return ReaderStuckError(
        f"the slide's reader gave no answer within {deadline_s:g} s, twice: the file is damaged, or this machine or "
        "its disk is too slow (MARROWLINE_READ_DEADLINE_S allows more time)"
    )


def misbehaved() -> BadSlideError:
    """Return the error for a slide whose process twice sent what it never sends."""
    return BadSlideError(
        "reader_crashed",
        "its reader sent what no reader sends, as an attack would, twice",
        "Export the slide again; keep this file for those who look after security.",
    )


def gone(why: str) -> MarrowlineError:
    """Return the transient error for a process that was ended from outside."""
    return ServiceError(f"the slide's reading process was ended from outside ({why})")
