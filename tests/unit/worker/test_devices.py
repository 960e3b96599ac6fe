from __future__ import annotations

import sys

import pytest

from worker.devices import refuse_absent
from worker.errors import DeviceError


def test_what_every_machine_has_is_not_even_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    refuse_absent(["auto", "cpu"])


@pytest.mark.parametrize(("name", "cause"), [("cuda:99", "was asked for, but"), ("abacus", "is no device")])
def test_a_device_that_is_not_there_is_refused_with_the_setting(name: str, cause: str) -> None:
    with pytest.raises(DeviceError, match=f"'{name}' {cause}.*MARROWLINE_DEVICES"):
        refuse_absent(["cpu", name])
