"""Errors of the worker.

MarrowlineError
├── BadSlideError       the file is at fault: quarantine, never retry
├── ServiceError        a server is at fault: retry later with back-off
│   ├── StoreRefusedError   the bucket answers and refuses: credentials, permissions or settings
│   ├── NoSpaceError    this machine's cache has no room for the slide now: retry, no attempt is counted
│   ├── SandboxError    this machine cannot shut slides in as firmly as it is asked to
│   └── ReaderStuckError    a slide's reader gave no answer in time: the file's fault, or that of a stalled disk
├── ObjectChangedError  the stored object is not the registered version any more: the next listing decides
├── ModelError          weights are absent, altered or do not fit: fix the installation
├── DeviceError         this machine has no such device to compute on: change the setting, or mend the driver
├── UnknownRuleError    the lab uses a rule set that this version has not: fix the installation
├── ProofError          a certificate or a key does not prove what it is given for
└── BadRequestError     a sidecar, key or argument is not valid
Anything else is a bug and rises.
"""

from __future__ import annotations


class MarrowlineError(Exception):
    """Base of the errors that this project raises on purpose."""


class BadSlideError(MarrowlineError):
    """The file is at fault: its run is quarantined and never retried by itself."""

    def __init__(self, code: str, cause: str, remedy: str) -> None:
        super().__init__(code, cause, remedy)
        self.code = code
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.code}: {self.cause} — {self.remedy}"


class ServiceError(MarrowlineError):
    """A server did not answer as it should; the run is retried with back-off."""


class StoreRefusedError(ServiceError):
    """The bucket answers and refuses what was asked: mend credentials, permissions or settings."""


class NoSpaceError(ServiceError):
    """This machine's cache has no room for the slide now."""


class SandboxError(ServiceError):
    """This machine cannot give the sandbox that slides are to be read in."""


class ReaderStuckError(ServiceError):
    """A slide's reader gave no answer in time, twice: retry, and the last attempt quarantines the slide."""


class ObjectChangedError(MarrowlineError):
    """The stored object was replaced or deleted since it was registered."""


class ModelError(MarrowlineError):
    """Weights are absent, altered or do not fit their card."""


class DeviceError(MarrowlineError):
    """This machine has no such device to compute on."""


class UnknownRuleError(MarrowlineError):
    """A lab uses a rule set that this version of the package does not have."""


class ProofError(MarrowlineError):
    """A certificate or a key does not prove what it is given for."""


class BadRequestError(MarrowlineError):
    """A sidecar, an object key or an argument is not valid."""
