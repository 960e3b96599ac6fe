from __future__ import annotations

from scheduler.failures import name_in_logs


def test_names_in_logs_tell_nothing_of_the_key() -> None:
    assert name_in_logs("lab/patient/x.svs") == name_in_logs("lab/patient/x.svs")
    assert name_in_logs("lab/patient/x.svs") != name_in_logs("lab/patient/y.svs")
    assert len(name_in_logs("\udcff")) == 12
