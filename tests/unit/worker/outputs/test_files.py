from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.export_cases import REPORT
from worker.errors import BadRequestError
from worker.outputs.files import patient_stem, whole


def test_a_file_appears_when_it_is_whole_and_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("before")
    with whole(path) as file:
        file.write("µ\n")
        assert path.read_text() == "before"
    assert path.read_bytes() == "µ\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_of_a_file_that_fails_nothing_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError), whole(path, packed=True) as file:
        file.write("half \ud800")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_text_is_packed_to_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        with whole(tmp_path / name, packed=True) as file:
            file.write("text " * 1000)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"text " * 1000


def test_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"a\.csv cannot be written: No such file"), whole(tmp_path / "x/a.csv"):
        pass


def test_a_file_name_says_nothing_of_the_patient_and_is_another_for_each() -> None:
    names = {patient_stem(replace(REPORT, lab=lab, patient=patient), "cells")
             for lab, patient in (("a", "b/../c"), ("a", "b"), ("ab", ""), ("a\0b", "c"))}  # fmt: skip
    assert len(names) == 4
    assert all(name.startswith("cells-") and name.replace("-", "").isalnum() for name in names)
    assert patient_stem(REPORT, "cells") == patient_stem(REPORT, "cells")
