"""`marrowline models` on a real database: what comes in, what is refused, and what changes when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from db import reports, runs
from db.session import transaction
from scheduler import cli
from tests.support.commands import Command
from tests.support.registry import CARD, altered, write_model, write_segmenter
from tests.support.rows import add_slide, decide, execute, read, scalar, taken
from tests.support.swift import ACCESS_KEY, SECRET_KEY, S3Server
from worker.nets.card_files import write_card
from worker.nets.cards import MODEL, find
from worker.storage import open_store

OLD, NEW = replace(CARD, name="old"), CARD
RULE = "marrowline-2026.1"  # asks for no precursors, which these cells of few classes lack


@dataclass(frozen=True, kw_only=True)
class Site:
    """A database and a folder of models, as commands find them."""

    engine: Engine
    models: Path
    made: Path  # where new models come from
    run: Command

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        """Return the document that a command prints."""
        found, out, err = self.run(*arguments, "--json")
        assert found == code, out + err
        return json.loads(out)

    def refused(self, *arguments: str | Path, code: int) -> str:
        """Return why a command did nothing."""
        found, out, err = self.run(*arguments)
        assert (found, out) == (code, "")
        return err

    def due(self) -> list[int]:
        with transaction(self.engine) as conn:
            return runs.due(conn, 100)


@pytest.fixture
def site(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marrowline: Command) -> Site:
    url = engine.url.render_as_string(hide_password=False)
    settings = {"DATABASE_URL": url, "MODELS_DIR": str(tmp_path / "models"), "HOME": str(tmp_path / "home")}
    for name, value in settings.items():
        monkeypatch.setenv(f"MARROWLINE_{name}", value)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        return marrowline("models", *arguments)

    return Site(engine=engine, models=tmp_path / "models", made=tmp_path / "made", run=run)


@pytest.fixture
def line(site: Site) -> Site:
    """A site that reads slides with the model `old`."""
    site.json("add", write_model(site.made, OLD).weights)
    site.json("activate", "old", "--yes")
    return site


def slide(site: Site, name: str, cells: Sequence[str] = ("lymphocyte",)) -> int:
    """Add a patient with one slide that the active model reads."""
    run_id = add_slide(site.engine, name, patient=name)
    execute(site.engine, f"UPDATE lab SET rule = '{RULE}'")
    read_with(site, run_id, cells)
    return run_id


def read_with(site: Site, run_id: int, cells: Sequence[str]) -> None:
    read(site.engine, run_id, cells)


def registered(site: Site) -> list[str]:
    with transaction(site.engine) as conn:
        return [one.model_version for one in reports.model_versions(conn)]


def test_a_pair_of_files_is_copied_and_registered_once(site: Site) -> None:
    files = write_model(site.made)
    answer = {"name": "new", "weights_sha256": files.card.weights_sha256, "registered": True, "slides_to_read": 0}
    for source in (files.weights, files.weights.with_suffix(".json")):
        assert site.json("add", source) == answer | {"copied_to": str(site.models / "new.safetensors")}
    assert site.json("add", "new") == answer | {"copied_to": None}
    (row,) = (row for row in site.json("list") if row["registered_at"])
    assert (row["name"], row["terms"], row["active"], row["installed"]) == ("new", "CC BY 4.0", False, str(site.models))


def test_altered_weights_are_neither_copied_nor_registered(site: Site) -> None:
    files = write_model(site.made)
    altered(files.weights)
    assert "altered or incomplete" in site.refused("add", files.weights, code=1)
    assert registered(site) == []
    assert not site.models.exists()


def test_a_name_that_the_database_knows_for_something_else_is_not_copied(line: Site) -> None:
    (line.models / "old.safetensors").unlink()
    (line.models / "old.json").unlink()
    other = write_model(line.made / "other", OLD, b"other weights")
    assert "other contents (weights)" in line.refused("add", other.weights, code=1)
    assert list(line.models.iterdir()) == []


def test_a_model_of_the_package_is_registered_by_its_name(site: Site) -> None:
    assert site.json("add", "hybrid-2026-11-quarter")["copied_to"] is None
    assert registered(site) == ["hybrid-2026-11-quarter"]
    assert "no weights for model 'nowhere'" in site.refused("add", "nowhere", code=1)


def test_a_shared_database_needs_a_shared_folder(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARROWLINE_MODELS_DIR")
    assert "MARROWLINE_MODELS_DIR" in site.refused("add", write_model(site.made).weights, code=2)


def test_the_confusion_of_a_registered_model_is_kept(site: Site) -> None:
    confusion = {"classes": list(NEW.classes), "counts": [[8, 1, 1], [0, 9, 1]]}
    site.json("add", write_model(site.made, replace(NEW, confusion=confusion)).weights)
    assert scalar(site.engine, "SELECT confusion FROM report.model_versions") == confusion
    other = {**confusion, "counts": [[8, 1, 1], [0, 9, 2]]}
    bad = write_model(site.made, replace(NEW, confusion=other))
    assert "other contents (confusion)" in site.refused("add", bad.weights, code=1)


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    named = {"ENDPOINT": s3_server.endpoint, "ACCESS_KEY": ACCESS_KEY, "SECRET_KEY": SECRET_KEY}
    for name, value in named.items():
        monkeypatch.setenv(f"MARROWLINE_S3_{name}", value)
    return s3_server.make_bucket()


def put(s3_server: S3Server, bucket: str, folder: Path) -> None:
    store = open_store(s3_server.settings(f"s3://{bucket}"))
    for path in folder.rglob("*.*"):
        store.put_file(f"models/{path.relative_to(folder)}", path)


def test_a_model_comes_from_a_bucket_with_its_segmenter(site: Site, s3_server: S3Server, bucket: str) -> None:
    finder = write_segmenter(site.made).card
    files = write_model(site.made, replace(NEW, segmenter="finder", segmenter_sha256=finder.weights_sha256))
    put(s3_server, bucket, site.made)
    assert site.json("add", f"s3://{bucket}/models/new.json")["weights_sha256"] == files.card.weights_sha256
    assert find("new", site.models).card == files.card
    assert (site.models / "segmenters" / "finder.safetensors").is_file()
    assert site.json("verify")


def test_altered_weights_in_a_bucket_are_refused(site: Site, s3_server: S3Server, bucket: str) -> None:
    altered(write_model(site.made).weights)
    put(s3_server, bucket, site.made)
    assert "altered or incomplete" in site.refused("add", f"s3://{bucket}/models/new", code=1)
    assert f"s3://{bucket}/models/old.json is not there" in site.refused("add", f"s3://{bucket}/models/old", code=2)
    assert "no model name" in site.refused("add", f"s3://{bucket}/models/..", code=2)
    assert registered(site) == []
    assert not site.models.exists()


def test_verify_fails_on_altered_weights_and_says_which(line: Site) -> None:
    assert {check["standing"] for check in line.json("verify")} == {"ok"}
    altered(line.models / "old.safetensors")
    checks = line.json("verify", code=1)
    assert {(one["what"], one["name"]) for one in checks if one["standing"] == "differs"} == {
        ("model", "old"), ("registered", "old"),
    }  # fmt: skip


def test_verify_finds_a_registered_model_that_is_another_or_gone(line: Site) -> None:
    write_model(line.models, OLD, b"other weights")
    (bad,) = (one for one in line.json("verify", code=1) if one["standing"] == "differs")
    assert (bad["what"], "weights" in bad["said"]) == ("registered", True)
    (line.models / "old.json").unlink()
    (line.models / "old.safetensors").unlink()
    assert "not installed" in line.run("verify")[1]
    line.json("add", write_model(line.made).weights)
    line.json("activate", "new", "--yes")
    assert {one["standing"] for one in line.json("verify")} == {"ok", "absent"}


def test_a_corrected_card_is_taken_over_on_purpose(line: Site) -> None:
    write_card(MODEL, replace(find("old", line.models).card, limits="more than was thought"), line.models / "old.json")
    line.json("verify", code=1)
    line.json("add", "old")
    line.json("verify")
    assert scalar(line.engine, "SELECT limits FROM report.model_versions") == "more than was thought"


def test_a_new_model_is_compared_before_it_is_activated(line: Site) -> None:
    slide(line, "same")
    slide(line, "flips", ["lymphocyte"] * 600)
    before = scalar(line.engine, "SELECT json_agg(p ORDER BY patient)::text FROM report.patients AS p")
    assert line.json("add", write_model(line.made).weights, "--read")["slides_to_read"] == 2
    assert "has still to read 2 of 2 slides" in line.run("activate", "new", "--yes")[2]
    for run_id, cells in zip(line.due(), (["lymphocyte"], ["lymphoblast"] * 600), strict=True):
        read_with(line, run_id, cells)
    assert scalar(line.engine, "SELECT json_agg(p ORDER BY patient)::text FROM report.patients AS p") == before
    found = line.json("diff", "old", "new")
    assert (found["compared"], found["waiting"], found["reach_after"]["to_read"]) == (2, 0, 0)
    (flip,) = found["flips"]
    assert (flip["patient"], flip["before"]["finding"], flip["before"]["cells"]) == ("flips", "no_evidence", 600)
    assert (flip["after"]["finding"], "lymphoblasts" in flip["after"]["reason"]) == ("consistent_with_ALL", True)
    assert line.json("activate", "new", "--yes") == {"active": "new", "difference": found}
    assert scalar(line.engine, "SELECT array_agg(DISTINCT model_version) FROM report.patients") == ["new"]
    assert scalar(line.engine, "SELECT finding FROM report.patients WHERE patient = 'flips'") == "consistent_with_ALL"


def test_people_read_who_flips_and_why(line: Site) -> None:
    slide(line, "flips", ["lymphocyte"] * 600)
    line.json("add", write_model(line.made).weights, "--read")
    (run_id,) = line.due()
    claim = taken(line.engine, run_id)
    runs.fail(line.engine, claim, code="x", cause="x", remedy="x", decide=decide)
    _, screen, _ = line.run("diff", "old", "new")
    said = " ".join(screen.split())
    assert "1 of 1 patients compared have another finding with new" in said
    assert "no evidence" in said
    assert "incomplete" in said
    assert "could not read 1" in said
    assert cli.NOTICE in said


def test_nothing_is_activated_unasked_or_unread(line: Site) -> None:
    slide(line, "a")
    line.json("add", write_model(line.made).weights)
    assert "give --yes" in line.refused("activate", "new", "--json", code=2)
    code, screen, err = line.run("activate", "new", "--anyway")
    assert (code, "nobody asked for 1" in screen, "nobody can be asked" in err) == (2, True, True)
    assert line.run("activate", "new", "--yes")[0] == 2
    assert scalar(line.engine, "SELECT model_version FROM report.model_versions WHERE active") == "old"
    line.json("activate", "new", "--yes", "--anyway")
    assert scalar(line.engine, "SELECT model_version FROM report.model_versions WHERE active") == "new"
    assert len(line.due()) == 1


@pytest.mark.parametrize("fault", ["altered", "other"])
def test_weights_that_are_not_those_registered_are_not_activated(line: Site, fault: str) -> None:
    files = write_model(line.made)
    line.json("add", files.weights)
    if fault == "altered":
        altered(line.models / "new.safetensors")
    else:
        write_model(line.models, NEW, b"other weights")
    said = line.refused("activate", "new", "--yes", code=1)
    assert ("altered or incomplete" if fault == "altered" else "other contents (weights)") in said
    assert scalar(line.engine, "SELECT model_version FROM report.model_versions WHERE active") == "old"


def test_activating_against_the_setting_is_told(line: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    line.json("add", write_model(line.made).weights)
    monkeypatch.setenv("MARROWLINE_MODEL", "old")
    assert "MARROWLINE_MODEL is old" in line.run("activate", "new", "--yes")[2]


def test_without_a_database_models_are_listed_checked_and_copied(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARROWLINE_DATABASE_URL")
    answer = site.json("add", write_model(site.made).weights)
    assert (answer["registered"], answer["copied_to"]) == (False, str(site.models / "new.safetensors"))
    assert "new" in [row["name"] for row in site.json("list")]
    assert site.json("verify")
    assert "leave --read out" in site.refused("add", "new", "--read", code=2)
