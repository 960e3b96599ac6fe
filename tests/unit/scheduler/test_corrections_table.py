from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.corrections.table import read_table
from scheduler.corrections.words import Words
from worker.errors import BadRequestError


def words(tmp_path: Path, text: str, encoding: str = "utf-8") -> Words:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding=encoding, newline="")
    return read_table(path)


def test_a_row_names_a_cell_by_its_numbers(tmp_path: Path) -> None:
    (one,) = words(tmp_path, "run,batch,cell,class,note\n7,2,31,plasma_cell,binucleate\n").said
    assert (one.run_id, one.batch_no, one.cell_no, one.cell_class, one.note, one.where, one.unless_told) == (
        7,
        2,
        31,
        "plasma_cell",
        "binucleate",
        "a.csv, line 2",
        False,
    )


def test_a_row_names_a_cell_by_its_place(tmp_path: Path) -> None:
    (one,) = words(tmp_path, "slide,x,y,class\nlab/p/a.tif,10.5,20,Smudge\n").pointed
    assert (one.place.slide_key, one.place.x_l0, one.place.y_l0, one.cell_class, one.note) == (
        "lab/p/a.tif",
        10.5,
        20.0,
        "smudge",
        None,
    )


@pytest.mark.parametrize("head", ["run;batch;cell;class", "Run_ID\tbatch_no\tcell_no\tcell_class\tcalled"])
def test_tables_of_spreadsheets_and_of_our_own_views_are_read(tmp_path: Path, head: str) -> None:
    row = ("\t" if "\t" in head else ";").join(["1", "2", "3", "smudge"])
    (one,) = words(tmp_path, f"{head}\r\n{row}\r\n\r\n", "utf-8-sig").said
    assert (one.run_id, one.batch_no, one.cell_no) == (1, 2, 3)


def test_a_comma_may_be_the_decimal_point(tmp_path: Path) -> None:
    (one,) = words(tmp_path, "slide;x;y;class\na.tif;10,5;20;smudge\n").pointed
    assert one.place.x_l0 == 10.5


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "the first line must name the columns run, batch, cell, class, or slide, x, y, class"),
        ("run,batch,class\n1,2,smudge\n", "the first line must name"),
        ("run,batch,cell,class\n", "no row below"),
        ("run,batch,cell,class\n1,0,0,smudge\n1,x,0,smudge\n", "line 3: batch 'x' is no number"),
        ("run,batch,cell,class\n1,0,-1,smudge\n", "line 2: cell '-1' is no number"),
        ("run,batch,cell,class\n1,0,1234567890123456789,smudge\n", "line 2: cell '1234"),
        ("run,batch,cell,class\n1,0,0\n", "line 2: '' is no class"),
        ("run,batch,cell,class\n1,0,0,blast\n", "line 2: 'blast' is no class; give one of lymphoblast"),
        ("slide,x,y,class\na,nan,0,smudge\n", "line 2: x 'nan' is no place"),
        ("slide,x,y,class\na,1,-1,smudge\n", "line 2: y '-1' is no place"),
        ('run,batch,cell,class\n1,0,0,"smud"ge\n', "is no CSV file"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(BadRequestError, match=named):
        words(tmp_path, text)


def test_a_file_in_another_encoding_or_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"a\.csv is no CSV file in UTF-8"):
        words(tmp_path, "run,batch,cell,class,note\n1,0,0,smudge,größer\n", "latin-1")
    with pytest.raises(BadRequestError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


def test_in_an_export_only_what_a_person_filled_in_is_a_word(tmp_path: Path) -> None:
    head = "use,run_id,batch_no,cell_no,cell_class,abstained,corrected_class"
    rows = "r,7,0,1,lymphoblast,false,\nr,7,0,2,lymphoblast,false,basophil\nr,7,0,3,lymphocyte,true,\n"
    (one,) = words(tmp_path, f"{head}\n{rows}").said
    assert (one.cell_no, one.cell_class, one.unless_told) == (2, "basophil", True)
    (confirmed,) = read_table(tmp_path / "a.csv", reviewed=True).said
    assert not confirmed.unless_told
    with pytest.raises(BadRequestError, match="no row below the head names a class"):
        words(tmp_path, f"{head}\nr,7,0,1,lymphoblast,false,\n")
