from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import BadSlideError
from worker.set_index import LIMIT_BYTES, named_files
from worker.slide_sets import MOST_FILES, SetKind, is_plain_name

_SLIDEDAT = (
    "\ufeff[GENERAL]\r\nSLIDE_ID = x\r\nFILE_9 = no\r\n[HIERARCHICAL]\r\nINDEXFILE = Index.dat\r\n"
    "[DATAFILE]\r\nFILE_COUNT = 2\r\nFILE_0 = Data0000.dat\r\nFILE_1=Data0001.dat\r\nFILE_2 = later.dat\r\n"
)
_VMS = (
    "[Virtual Microscope Specimen]\n# ImageFile=comment.jpg\nNoLayers=1\nImageFile=x.jpg\nImageFile(1,0)=x(1,0).jpg\n"
    "MapFile=x_map2.jpg\nOptimisationFile=\nMacroImage=x_macro.jpg\nOther=other.jpg\n[Else]\nImageFile=else.jpg\n"
)


def test_slidedat_names_itself_the_index_and_the_data_files() -> None:
    names = {"Slidedat.ini", "Index.dat", "Data0000.dat", "Data0001.dat"}
    assert named_files(SetKind.MRXS, _SLIDEDAT.encode()) == names


def test_a_vms_index_names_images_map_and_macro_of_its_own_section() -> None:
    names = {"x.jpg", "x(1,0).jpg", "x_map2.jpg", "x_macro.jpg"}
    assert named_files(SetKind.HAMAMATSU, _VMS.encode()) == names


def test_a_vmu_index_has_another_section() -> None:
    text = "[Uncompressed Virtual Microscope Specimen]\nImageFile=x.ngr\nMapFile=x_map.ngr\n"
    assert named_files(SetKind.HAMAMATSU, text.encode()) == {"x.ngr", "x_map.ngr"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[DATAFILE]\nFILE_COUNT = 0\n",
        _SLIDEDAT.replace("FILE_COUNT = 2", "FILE_COUNT = -2"),
        _SLIDEDAT.replace("FILE_COUNT = 2", "FILE_COUNT = two"),
        _SLIDEDAT.replace("FILE_COUNT = 2", f"FILE_COUNT = {MOST_FILES + 1}"),
        _SLIDEDAT.replace("FILE_COUNT = 2", "FILE_COUNT = 99999999999999999999"),
        _SLIDEDAT.replace("FILE_COUNT = 2", "FILE_COUNT = 4"),
        _SLIDEDAT.replace("Data0001.dat", "../../etc/passwd"),
        _SLIDEDAT.replace("Data0001.dat", "/etc/passwd"),
        _SLIDEDAT.replace("Data0001.dat", ".."),
        _SLIDEDAT.replace("Data0001.dat", "a\\b.dat"),
        _SLIDEDAT.replace("Index.dat", "x\0.dat"),
        _SLIDEDAT.replace("Index.dat", ""),
        _SLIDEDAT + " " * LIMIT_BYTES[SetKind.MRXS],
    ],
)
def test_what_is_no_list_of_plain_names_is_refused(text: str) -> None:
    with pytest.raises(BadSlideError, match="bad_index"):
        named_files(SetKind.MRXS, text.encode())


@given(kind=st.sampled_from([SetKind.MRXS, SetKind.HAMAMATSU]), index=st.binary(max_size=300), cut=st.integers(0, 300))
def test_any_bytes_give_plain_names_or_a_reason(kind: SetKind, index: bytes, cut: int) -> None:
    good = (_SLIDEDAT if kind is SetKind.MRXS else _VMS).encode()
    for data in (index, good[:cut] + index + good[cut:]):
        try:
            names = named_files(kind, data)
        except BadSlideError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either end is right, and only this one has a text
        else:
            assert names
            assert all(is_plain_name(name) for name in names)
