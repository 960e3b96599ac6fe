"""From an object in the bucket to what is known of a slide: its key's place and its sidecar.

A sidecar is a JSON file beside the slide, named `<key>.json`:

    {"lab": "A", "patient": "P-17", "specimen": "marrow", "stain": "MGG", "mpp": 0.25,
     "taken_at": "2026-03-01T09:30:00+01:00", "preparation": "smear", "urgent": true}

Every field may be left out. `preparation` overrules what the slide looks like. An urgent slide is read before others.
`"uploading": true` says of a slide of several files that they are on their way: it is not read until that is gone.
Where lab and patient are both named they hold; where one of the two is, that must be what the key says. All messages
here are without the key and the values, as those hold pseudonyms.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from db.records import Preparation, SlideFacts, Specimen
from scheduler.config import SchedulerSettings
from worker.errors import BadRequestError
from worker.slide_sets import set_kind, suffix_of
from worker.staging import EXTENSIONS
from worker.storage import RESULTS_PREFIX

SIDECAR = ".json"
_STATUS = ".status"
_SERIES = ".dcm"
_LONGEST_KEY_BYTES = 1024
_MOST_FAULTS = 5
_PLACES = ("lab", "patient", "slide")
_SIDECAR_FIX = "correct the sidecar <key>.json, then it is read again"


class RefusedError(BadRequestError):
    """An object that cannot become a slide, and what to do; `reason` is without the key."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.key!r}: {self.reason}"


def _plain_name(name: str) -> str:
    """Return the name in one Unicode form, so that no patient is split over two spellings of one text."""
    name = unicodedata.normalize("NFC", name)
    if name.strip() != name or not name.isprintable() or name in (".", ".."):
        raise ValueError("must be printable and neither start nor end with a space")
    return name


_Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain_name)]


class Sidecar(BaseModel):
    """What a lab may say of a slide beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    lab: _Name | None = None
    patient: _Name | None = None
    specimen: Specimen | None = None
    stain: _Name | None = None
    preparation: Preparation | None = None
    mpp: Annotated[float, Field(ge=0.02, le=5, allow_inf_nan=False)] | None = None
    taken_at: AwareDatetime | None = None
    urgent: bool = False
    uploading: bool = False


class _Place(BaseModel):
    lab: _Name | None = None
    patient: _Name | None = None


def is_slide_key(key: str, prefix: str = "") -> bool:
    """Tell whether an object of this key is meant to be a slide, or to stand for one of several files.

    A file of a DICOM series counts as meant; `facts_of` refuses it, as a series is known by its folder.
    """
    if key.startswith(prefix + RESULTS_PREFIX) or key.endswith("/"):
        return False
    suffix = suffix_of(key)
    return suffix in EXTENSIONS or suffix == _SERIES or set_kind(key) is not None


def sidecar_key(key: str) -> str:
    """Return where the sidecar of a slide lies: `<key>.json`; of the DICOM series in `folder/`, `folder.json`."""
    return key.removesuffix("/") + SIDECAR


def status_key(key: str) -> str:
    """Return where a slide's status is told: `<key>.status.json`; of the series in `folder/`, `folder.status.json`.

    No slide is called so, and no sidecar but that of a series whose folder ends in `.status`, which is refused.
    """
    return sidecar_key(key.removesuffix("/") + _STATUS)


def slide_of_sidecar(key: str, prefix: str = "") -> str | None:
    """Return the key of the slide that an object of this key describes, None when it is no sidecar."""
    slide = key.removesuffix(SIDECAR)
    return slide if slide != key and is_slide_key(slide, prefix) else None


def fault_of_key(key: str) -> str | None:
    """Return why no row could hold the key, with the fix; None when one can."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "the name is not valid UTF-8: rename the file"
    if size > _LONGEST_KEY_BYTES or "\0" in key:
        return f"the name is longer than {_LONGEST_KEY_BYTES} bytes or holds a NUL: rename the object"
    return None


def facts_of(key: str, sidecar: bytes | None, settings: SchedulerSettings, *, prefix: str = "") -> SlideFacts:
    """Return what key and sidecar say of a slide.

    prefix: the store's; the key pattern speaks of what comes after it.
    Raises RefusedError (a BadRequestError) with the reason and the fix.
    """
    fault = fault_of_key(key)
    if fault:
        raise RefusedError(key, fault)
    if suffix_of(key) == _SERIES and not key.endswith("/"):
        raise RefusedError(key, "a DICOM series is one slide: put its files into a folder lab/patient/slide of its own")
    if key.endswith(f"{_STATUS}/"):
        raise RefusedError(key, f"folders ending in {_STATUS} would mix up sidecars and statuses: rename the folder")
    told = _read(key, sidecar)
    lab, patient = _whose(key, told, settings.key_pattern, prefix)
    return SlideFacts(
        lab=lab,
        patient=patient,
        specimen=told.specimen,
        stain=told.stain,
        preparation=told.preparation,
        mpp_um=told.mpp,
        taken_at=told.taken_at,
        urgent=told.urgent,
    )


def is_uploading(key: str, sidecar: bytes | None) -> bool:
    """Tell whether the sidecar says that not all files of the slide have come. Raises RefusedError."""
    return _read(key, sidecar).uploading


def check_pattern(pattern: str) -> None:
    """Raise BadRequestError when the setting `MARROWLINE_KEY_PATTERN` cannot be used."""
    _compiled(pattern)


def _read(key: str, sidecar: bytes | None) -> Sidecar:
    if sidecar is None:
        return Sidecar()
    try:
        return Sidecar.model_validate_json(sidecar.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        raise RefusedError(key, f"{_faults(error)}; {_SIDECAR_FIX}") from error


def _faults(error: ValidationError) -> str:
    """Return the first fields and their faults, without the values that were given."""
    told = error.errors(include_input=False, include_url=False)[:_MOST_FAULTS]
    return "; ".join(
        f"sidecar field {'.'.join(map(str, one['loc']))[:60] or '(whole file)'}: {one['msg']}" for one in told
    )


def _whose(key: str, told: Sidecar, pattern: str, prefix: str) -> tuple[str, str]:
    """Return lab and patient."""
    if told.lab and told.patient:
        return told.lab, told.patient
    place = _placed(key, pattern, prefix)
    for name, said, found in (("lab", told.lab, place.lab), ("patient", told.patient, place.patient)):
        if said and found and said != found:
            raise RefusedError(
                key, f"key and sidecar name a different {name}; name both lab and patient in the sidecar to overrule"
            )
    lab, patient = told.lab or place.lab, told.patient or place.patient
    if not lab or not patient:
        raise RefusedError(
            key,
            f"neither the key (pattern {pattern!r}) nor a sidecar names lab and patient; "
            "move the object, or put <key>.json with both beside it",
        )
    return lab, patient


def _placed(key: str, pattern: str, prefix: str) -> _Place:
    """Return what the key's place says; nothing when it does not match the pattern."""
    found = _compiled(pattern).fullmatch(key.removeprefix(prefix).removesuffix("/"))
    if found is None:
        return _Place()
    named = found.groupdict()
    try:
        return _Place(lab=named.get("lab"), patient=named.get("patient"))
    except ValidationError as error:
        raise RefusedError(key, f"{_faults(error).replace('sidecar field', 'in the key,')}; move the object") from error


@lru_cache(maxsize=8)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern as a regular expression; a placeholder stands for one name without `/`."""
    text = ""
    seen: list[str] = []
    for part in re.split(r"(\{[^{}]*\})", pattern):
        name = part[1:-1]
        if part == f"{{{name}}}" and name in _PLACES and name not in seen:
            seen.append(name)
            text += f"(?P<{name}>[^/]+)"
        elif "{" in part or "}" in part:
            raise BadRequestError(
                f"MARROWLINE_KEY_PATTERN is {pattern!r}: use {{lab}}, {{patient}} and {{slide}}, each once"
            )
        else:
            text += re.escape(part)
    if "slide" not in seen:
        raise BadRequestError(f"MARROWLINE_KEY_PATTERN is {pattern!r}: it must hold {{slide}}")
    return re.compile(text, re.DOTALL)
