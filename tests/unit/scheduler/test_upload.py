from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from scheduler.config import SchedulerSettings
from scheduler.intake import facts_of, is_uploading
from scheduler.upload import (
    Case,
    Upload,
    placed_files,
    plan_placed,
    plan_uploads,
    put,
    replaced,
    slide_files,
    stored,
)
from worker.errors import BadRequestError, ServiceError
from worker.storage import Progress
from worker.store_folder import FolderStore

CASE = Case(lab="a", patient="P-1", specimen="marrow", stain="MGG", is_smear=True, mpp_um=0.25, is_urgent=True)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "bucket").mkdir()
    return FolderStore(tmp_path / "bucket")


def write(path: Path, content: bytes = b"pixels") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def upload(store: FolderStore, *paths: Path, case: Case = CASE) -> list[tuple[Upload, bool]]:
    planned = plan_uploads(store, slide_files(paths), case)
    return [(one, put(store, one, case.sidecar())) for one in planned]


def keys(store: FolderStore) -> list[str]:
    return [obj.key for obj in store.list()]


def test_folders_are_searched_to_their_depth_and_other_files_left(tmp_path: Path) -> None:
    for name in ("b.svs", "deep/er/a.TIFF", "notes.txt", ".hidden.svs", "deep/b.svs.json"):
        write(tmp_path / "in" / name)
    assert [name for _, name in slide_files([tmp_path / "in"])] == ["b.svs", "a.TIFF"]


def test_a_file_named_twice_is_taken_once(tmp_path: Path) -> None:
    file = write(tmp_path / "in" / "a.svs")
    assert len(slide_files([file, tmp_path / "in", file])) == 1


def test_files_of_one_name_get_names_of_their_own(tmp_path: Path) -> None:
    for name in ("x/in/1.png", "y/in/1.png", "z/1.png", "z/2.png"):
        write(tmp_path / name)
    found = [name for _, name in slide_files([tmp_path])]
    assert len(set(found)) == 4
    assert "2.png" in found
    assert "z_1.png" in found


@pytest.mark.parametrize("name", ["notes.txt", "gone.svs", "empty"])
def test_what_is_no_slide_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write(tmp_path / "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRequestError, match=name):
        slide_files([tmp_path / name])


def test_the_facts_stand_beside_the_slide_and_intake_reads_them(store: FolderStore, tmp_path: Path) -> None:
    upload(store, write(tmp_path / "s.svs"))
    assert keys(store) == ["a/P-1/s.svs", "a/P-1/s.svs.json"]
    facts = facts_of("a/P-1/s.svs", store.read_small("a/P-1/s.svs.json"), SchedulerSettings())
    assert (facts.patient, facts.mpp_um, facts.stain, facts.preparation) == ("P-1", 0.25, "MGG", "smear")


def test_the_sidecar_is_there_before_its_slide(store: FolderStore, tmp_path: Path) -> None:
    seen: list[list[str]] = []
    (planned,) = plan_uploads(store, slide_files([write(tmp_path / "s.svs")]), CASE)
    put(store, planned, CASE.sidecar(), progress=lambda _: seen.append(keys(store)))
    assert seen[0] == ["a/P-1/s.svs.json"]


def test_the_same_file_again_changes_nothing(store: FolderStore, tmp_path: Path) -> None:
    file = write(tmp_path / "s.svs")
    upload(store, file)
    before = store.head("a/P-1/s.svs")
    os.utime(file, (1, 1))
    assert [changed for _, changed in upload(store, file)] == [False]
    assert store.head("a/P-1/s.svs") == before


def test_a_copy_under_another_name_is_the_same_slide(store: FolderStore, tmp_path: Path) -> None:
    file = write(tmp_path / "s.svs")
    upload(store, file)
    copied = Path(shutil.copy(file, tmp_path / "copy.svs"))
    assert [(one.key, changed) for one, changed in upload(store, copied)] == [("a/P-1/s.svs", False)]


def test_other_facts_are_stored_and_make_the_slide_newer(store: FolderStore, tmp_path: Path) -> None:
    file = write(tmp_path / "s.svs")
    ((first, _),) = upload(store, file)
    before = stored(store, first)
    ((again, _),) = upload(store, file, case=Case(lab="a", patient="P-1", mpp_um=0.5))
    after = stored(store, again)
    assert json.loads(store.read_small("a/P-1/s.svs.json") or b"")["mpp"] == 0.5
    assert after.etag == before.etag
    assert after.last_modified > before.last_modified


def test_a_slide_that_was_removed_meanwhile_is_noticed(store: FolderStore, tmp_path: Path) -> None:
    ((one, _),) = upload(store, write(tmp_path / "s.svs"))
    store.delete(one.key)
    with pytest.raises(ServiceError, match=r"s\.svs"):
        stored(store, one)


def test_another_content_under_a_taken_name_is_noticed(store: FolderStore, tmp_path: Path) -> None:
    upload(store, write(tmp_path / "s.svs"))
    other = plan_uploads(store, slide_files([write(tmp_path / "other" / "s.svs", b"others")]), CASE)
    assert replaced(store, other) == ["a/P-1/s.svs"]


@pytest.mark.parametrize(
    "case", [Case(lab="a", patient=" P"), Case(lab="", patient="P"), Case(lab="a", patient="P", mpp_um=99.0)]
)
def test_facts_that_intake_would_refuse_are_refused_before_anything_is_stored(
    store: FolderStore, tmp_path: Path, case: Case
) -> None:
    with pytest.raises(BadRequestError):
        upload(store, write(tmp_path / "s.svs"), case=case)
    assert keys(store) == []


def test_a_laid_out_folder_keeps_its_places(store: FolderStore, tmp_path: Path) -> None:
    write(tmp_path / "in" / "lab-a" / "P-7" / "s.svs")
    files = placed_files([tmp_path / "in"])
    for one in plan_placed(store, files, Case(stain="MGG")):
        put(store, one, Case(stain="MGG").sidecar())
    assert keys(store) == ["lab-a/P-7/s.svs", "lab-a/P-7/s.svs.json"]
    (again,) = plan_placed(store, files, Case(stain="MGG"))
    assert put(store, again, Case(stain="MGG").sidecar()) is False


def test_without_a_patient_a_file_or_an_unordered_folder_is_refused(store: FolderStore, tmp_path: Path) -> None:
    slide = write(tmp_path / "in" / "s.svs")
    with pytest.raises(BadRequestError, match="--patient"):
        placed_files([slide])
    with pytest.raises(BadRequestError, match="lab and patient"):
        plan_placed(store, placed_files([tmp_path / "in"]), Case())


MRXS = ("x.mrxs", "x/Slidedat.ini", "x/Index.dat", "x/a.dat")
SLIDEDAT = b"[HIERARCHICAL]\nINDEXFILE = Index.dat\n[DATAFILE]\nFILE_COUNT = 1\nFILE_0 = a.dat\n"


def mrxs(folder: Path, *, leave_out: str = "") -> Path:
    for name in MRXS:
        if name != leave_out:
            write(folder / name, SLIDEDAT if name.endswith(".ini") else name.encode())
    return folder


@pytest.mark.parametrize("leave_out", MRXS[1:])
def test_a_slide_of_several_files_is_not_stored_without_the_others(
    store: FolderStore, tmp_path: Path, leave_out: str
) -> None:
    with pytest.raises(BadRequestError, match="all of them"):
        upload(store, mrxs(tmp_path / "in", leave_out=leave_out) / "x.mrxs")
    assert keys(store) == []


def test_a_slide_of_several_files_arrives_with_all_of_them_once(store: FolderStore, tmp_path: Path) -> None:
    folder = mrxs(tmp_path / "in")
    write(folder / "x" / "notes.txt")
    write(folder / "x" / "preview.PNG")
    assert [changed for _, changed in upload(store, folder)] == [True]
    assert keys(store) == [f"a/P-1/{name}" for name in sorted((*MRXS, "x.mrxs.json"))]
    ((one, changed),) = upload(store, folder)
    assert changed is False
    told = stored(store, one)
    assert (told.key, told.size) == ("a/P-1/x.mrxs", sum(path.stat().st_size for path, _ in one.files))
    assert one.size == told.size


def test_a_slide_in_the_folder_of_another_is_taken_too(tmp_path: Path) -> None:
    folder = mrxs(tmp_path / "in")
    for name in ("x/other.svs", "x/deeper/field.png", "y/field.png"):
        write(folder / name)
    assert sorted(name for _, name in slide_files([folder])) == [
        "deeper_field.png",
        "other.svs",
        "x.mrxs",
        "y_field.png",
    ]


def test_slides_of_one_name_keep_their_own_files(store: FolderStore, tmp_path: Path) -> None:
    for name in ("1", "2"):
        write(mrxs(tmp_path / "in" / name) / "x" / "a.dat", name.encode())
    upload(store, tmp_path / "in")
    assert [store.read_small(f"a/P-1/{name}_x/a.dat") for name in ("1", "2")] == [b"1", b"2"]


def test_a_cut_off_slide_of_several_files_goes_on_and_another_is_noticed(store: FolderStore, tmp_path: Path) -> None:
    folder = mrxs(tmp_path / "in")
    upload(store, folder)
    store.delete("a/P-1/x.mrxs")
    first = store.head("a/P-1/x/a.dat")
    planned = plan_uploads(store, slide_files([folder]), CASE)
    assert replaced(store, planned) == []
    assert [put(store, one, CASE.sidecar()) for one in planned] == [True]
    assert store.head("a/P-1/x/a.dat") == first
    write(folder / "x" / "a.dat", b"other")
    assert replaced(store, plan_uploads(store, slide_files([folder]), CASE)) == ["a/P-1/x.mrxs"]


class CutStore(FolderStore):
    """A folder that notes what the sidecar of a set says as each of its files arrives, and may break off."""

    def __init__(self, root: Path, *, most: int = 99) -> None:
        super().__init__(root)
        self.told: list[bool] = []
        self._most = most

    def put_file(self, key: str, path: Path, *, progress: Progress | None = None) -> None:
        if len(self.told) == self._most:
            raise ServiceError("broken off")
        self.told.append(says_uploading(self))
        super().put_file(key, path, progress=progress)


def says_uploading(store: FolderStore) -> bool:
    sidecar = store.read_small("a/P-1/x.mrxs.json")
    return is_uploading("a/P-1/x.mrxs", sidecar)


def test_the_sidecar_says_while_the_files_of_a_slide_are_replaced(store: FolderStore, tmp_path: Path) -> None:
    upload(store, mrxs(tmp_path / "in"))
    for name in MRXS[2:]:
        write(tmp_path / "in" / name, b"other")
    cut = CutStore(tmp_path / "bucket", most=1)
    with pytest.raises(ServiceError):
        upload(cut, tmp_path / "in")
    assert (cut.told, says_uploading(store)) == ([True], True)
    again = CutStore(tmp_path / "bucket")
    upload(again, tmp_path / "in")
    assert (again.told, says_uploading(store)) == ([True], False)
    assert store.read_small("a/P-1/x.mrxs.json") == CASE.sidecar()


def test_a_series_arrives_as_its_folder_and_says_that_it_is_whole(store: FolderStore, tmp_path: Path) -> None:
    for name in ("P-7/s/1.dcm", "P-7/s/2.dcm", "P-7/field.jpg"):
        write(tmp_path / "lab" / name, name.encode())
    for one in plan_placed(store, placed_files([tmp_path]), Case()):
        put(store, one, Case().sidecar())
    of_series = ["lab/P-7/s.json", "lab/P-7/s/1.dcm", "lab/P-7/s/2.dcm", "lab/P-7/s/_COMPLETE"]
    assert keys(store) == ["lab/P-7/field.jpg", "lab/P-7/field.jpg.json", *of_series]
    assert [name for _, name in slide_files([tmp_path / "lab" / "P-7" / "s"])] == ["s/"]


def test_pictures_of_a_vms_are_part_of_it(store: FolderStore, tmp_path: Path) -> None:
    index = b"[Virtual Microscope Specimen]\nImageFile=x.jpg\nMapFile=x_map.jpg\n"
    for name, content in (("x.vms", index), ("x.jpg", b"1"), ("x_map.jpg", b"2"), ("other.jpg", b"3")):
        write(tmp_path / "in" / name, content)
    upload(store, tmp_path / "in")
    assert keys(store) == [f"a/P-1/{name}" for name in ("x.jpg", "x.vms", "x.vms.json", "x_map.jpg")]
