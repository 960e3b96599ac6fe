"""A finding is proven from its slides up, and whatever was changed behind the program's back is named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from db import models, patients, runs
from db.records import CellClass, SlideFacts
from db.session import make_engine, transaction
from scheduler.model_files import document_of
from tests.support.commands import Command
from tests.support.models import write_tiny_model
from tests.support.postgres import TEMPLATE, Server
from tests.support.registry import altered
from tests.support.rows import DEFAULTS, add, execute, scalar, stored
from tests.support.smears import write_smear
from worker.config import WorkerSettings
from worker.nets.cards import describe, find
from worker.nets.registry import load
from worker.proof.proof import Proof, Request
from worker.proof.verify import verify
from worker.read_run import Bench, Outcome, read_run
from worker.rules import DEFAULT_RULE
from worker.staging import CacheSpec
from worker.store_folder import FolderStore
from worker.verdict import decide
from worker.workshop import Workshop

FEW = {CellClass.NEUTROPHIL: 10, CellClass.LYMPHOBLAST: 10}
SLIDE = "lab/patient/1.tif"
ALL = 99
Verify = Callable[..., tuple[int, str]]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A laboratory whose one slide was read."""

    shop: Workshop
    bucket: Path

    def verified(self, sample: int = ALL, seed: int = 1) -> Proof:
        request = Request(patient="patient", sample=sample, seed=seed)
        return verify(self.shop, request, lambda _what, _done, _total: None)

    def behind(self, sql: str) -> None:
        execute(self.shop.engine, f"SET LOCAL session_replication_role = replica; {sql}")


@pytest.fixture(scope="module")
def read(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A database in which the slide of a folder was read; tests work on copies of both."""
    url, folder = postgres.new_database(template=TEMPLATE), tmp_path_factory.mktemp("verify")
    write_smear(folder / "bucket" / SLIDE, seed=1, side_px=640, composition=FEW)
    write_tiny_model(folder / "models")
    engine = make_engine(url)
    shop = shop_of(engine, folder)
    with transaction(engine) as conn:
        card = find("tiny", shop.models_dir).card
        models.register_model(conn, describe("tiny", shop.models_dir), document_of(card))
        models.activate(conn, "tiny", decide)
        (run_id,) = [add(conn, obj) for obj in shop.store.list()]
    execute(engine, f"UPDATE lab SET rule = '{DEFAULT_RULE}'")
    bench = Bench(
        engine=engine, store=shop.store, cache=shop.cache, settings=shop.settings, worker_id="w1",
        load_model=lambda name: load(name, shop.models_dir, "cpu"),
    )  # fmt: skip
    assert read_run(run_id, bench) is Outcome.DONE
    engine.dispose()
    yield url, folder
    postgres.drop_database(url)


def shop_of(engine: Engine, folder: Path) -> Workshop:
    return Workshop(
        engine=engine,
        store=FolderStore(folder / "bucket", name="bucket"),
        cache=CacheSpec(folder=folder / "cache", max_bytes=10**8, reserve_bytes=0),
        models_dir=folder / "models",
        settings=WorkerSettings(models_dir=folder / "models", device="cpu", tile_core_px=256, tiles_per_batch=1),
    )


@pytest.fixture
def site(read: tuple[str, Path], postgres: Server, tmp_path: Path) -> Iterator[Site]:
    url, folder = postgres.new_database(template=make_url(read[0]).database), tmp_path / "site"
    shutil.copytree(read[1], folder)
    engine = make_engine(url)
    yield Site(shop=shop_of(engine, folder), bucket=folder / "bucket")
    engine.dispose()
    postgres.drop_database(url)


def differing(proof: Proof) -> list[str]:
    return [one.what.split(",")[0].split(":")[0] for one in proof.checks if one.differences]


def test_a_finding_is_proven_from_bytes_to_audit(site: Site) -> None:
    proof = site.verified()
    assert proof.differences == ()
    cells, batches = (scalar(site.shop.engine, f"SELECT count(*) FROM {name}") for name in ("cell", "batch"))
    assert [one.checked for one in proof.checks][:5] == [1, 1, 1, cells, 1]
    assert (proof.batches, cells > 10, batches > 3) == (batches, True, True)
    assert all(one.agreed == one.checked > 0 for one in proof.checks)
    assert [path.name for path in site.shop.cache.folder.iterdir()] == ["slides"]  # nothing is left behind


def test_the_sample_is_drawn_by_its_seed(site: Site) -> None:
    execute(site.shop.engine, "UPDATE cell SET cell_class = 'smudge' WHERE mod(batch_no, 2) = 0")
    caught = [len(site.verified(1, seed).differences) for seed in (0, 1, 2, 3, 0)]
    assert caught[0] == caught[4]
    assert len(set(caught)) > 1


COLUMNS = "x_l0, y_l0, cell_class, abstained, probabilities, features"
CORRECTED = "run_id, batch_no, cell_no, 'smudge', cell_class, abstained, 1"
WORD = (
    "correction (run_id, batch_no, cell_no, x_l0, y_l0, made_by, cell_class)"
    " SELECT run_id, batch_no, cell_no, x_l0, y_l0, 'p', 'smudge'"
)
CELL = "(run_id, batch_no, cell_no) = (SELECT run_id, batch_no, cell_no FROM cell ORDER BY batch_no, cell_no LIMIT 1)"


@pytest.mark.parametrize(
    ("tampering", "checks", "difference"),
    [
        (f"UPDATE cell SET x_l0 = x_l0 + 0.2 WHERE {CELL}", ["cells"], "no cell is found there"),
        (f"UPDATE cell SET cell_class = 'smudge' WHERE {CELL}", ["cells", "counts"], "stored as smudge"),
        (f"UPDATE cell SET abstained = NOT abstained WHERE {CELL}", ["cells", "counts"], "abstained"),
        (f"UPDATE cell SET probabilities[1] = 0.9 - probabilities[1] WHERE {CELL}", ["cells"], "probabilities"),
        (f"UPDATE cell SET features[1] = features[1] + 1 WHERE {CELL}", ["cells"], "differ"),
        (f"DELETE FROM cell WHERE {CELL}", ["cells", "counts"], "is found and not stored"),
        (
            f"INSERT INTO cell SELECT run_id, batch_no, 999, {COLUMNS} FROM cell WHERE {CELL}",
            ["cells", "counts"],
            "cell 999",
        ),
        ("UPDATE run_count SET called = called + 1", ["counts", "verdict"], "of its cells"),
        ("UPDATE run SET n_cells = n_cells + 1", ["counts"], "its batches have"),
        (
            f"INSERT INTO corrected_cell SELECT {CORRECTED} FROM cell WHERE {CELL}",
            ["counts", "verdict"],
            "or its correction says",
        ),
        (f"INSERT INTO {WORD} FROM cell WHERE {CELL}", ["counts", "audit"], "correction 1 of run 1 does not count"),
        (
            (
                f"INSERT INTO {WORD} FROM cell WHERE {CELL};"
                f" INSERT INTO corrected_cell SELECT {CORRECTED} FROM cell WHERE {CELL}"
            ),
            ["verdict", "audit"],
            "correction 1 was never sealed",
        ),
        ("UPDATE run SET n_batches = n_batches + 1", ["counts"], "ends with batch"),
        ("UPDATE run SET plan = jsonb_set(plan, '{core_px}', '512')", ["plans of reading"], "its digest names"),
        ("UPDATE area SET mm2 = mm2 * 2", ["plans of reading"], "other areas"),
        ("UPDATE slide SET sha256 = repeat('a', 64)", ["slides", "plans of reading"], "the one that was read had aaaa"),
        ("UPDATE verdict SET finding = 'consistent_with_ALL'", ["verdict", "audit"], "verdict, finding"),
        ("UPDATE verdict SET cells = 1", ["verdict", "audit"], "verdict, cells"),
        (
            "UPDATE verdict SET evidence = jsonb_set(evidence, '{specimens, 0, cells}', '1')",
            ["verdict", "audit"],
            "verdict, evidence",
        ),
        ("UPDATE transition SET reason = 'other' WHERE id = 2", ["audit"], "transition 2 was changed"),
    ],
)
def test_whatever_is_changed_is_named(site: Site, tampering: str, checks: list[str], difference: str) -> None:
    site.behind(tampering)
    proof = site.verified()
    assert differing(proof) == checks
    assert any(difference in one for one in proof.differences)


def test_a_verdict_from_before_tallies_told_slides_apart_is_held_against_one_taken_as_then(site: Site) -> None:
    with transaction(site.shop.engine) as conn:
        now = patients.tally(conn, 1, 1)
    early = replace(now, specimens=tuple(replace(one, slides=()) for one in now.specimens))
    less = "jsonb_set(evidence, '{specimens, 0}', (evidence #> '{specimens, 0}') - 'shares')"
    stored = f"UPDATE verdict SET inputs_digest = '{patients.digest(early)}'"
    execute(site.shop.engine, stored)
    assert "verdict" in " ".join(differing(site.verified()))
    execute(site.shop.engine, f"{stored}, evidence = {less}")
    assert [name for name in differing(site.verified()) if "verdict" in name] == []


def test_a_slide_with_other_bytes_is_found_whatever_lies_in_the_cache(site: Site) -> None:
    path = site.bucket / SLIDE
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # the store takes it for the same version
    assert "has SHA-256" in site.verified().differences[0]
    path.unlink()
    assert "another version in the bucket by now, or gone" in site.verified().differences[0]


def test_a_model_that_is_not_the_registered_one_reads_nothing(site: Site) -> None:
    altered(site.shop.models_dir / "tiny.safetensors")
    proof = site.verified()
    assert (differing(proof), proof.batches) == (["model"], 0)


def test_a_patient_whose_slides_wait_is_proven_to_be_incomplete(site: Site) -> None:
    with transaction(site.shop.engine) as conn:
        runs.register(conn, stored("lab/other/b.tif"), SlideFacts(lab="lab", patient="other"), DEFAULTS, decide)
    proof = verify(site.shop, Request(patient="other", seed=1), lambda _what, _done, _total: None)
    assert (proof.case.report.finding, proof.differences, proof.batches) == ("incomplete", (), 0)


@pytest.fixture
def command(site: Site, monkeypatch: pytest.MonkeyPatch, marrowline: Command, tmp_path: Path) -> Verify:
    """The command, with the site's settings; answers its exit code and what it printed."""
    url = site.shop.engine.url.render_as_string(hide_password=False).replace("+psycopg2", "")
    settings = {
        "HOME": tmp_path / "home", "DATABASE_URL": url, "BUCKET": site.bucket, "BUCKET_NAME": "bucket",
        "CACHE_DIR": tmp_path / "cache",
        "MODELS_DIR": site.shop.models_dir, "DEVICE": "cpu", "SIGNING_KEY_FILE": tmp_path / "key",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(f"MARROWLINE_{name}", str(value))

    def run(*arguments: object) -> tuple[int, str]:
        code, out, err = marrowline("verify", *arguments)
        return code, out or err

    return run


def test_a_certificate_is_written_only_for_what_agrees_and_checked_without_the_line(
    site: Site, command: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, written = tmp_path / "key", tmp_path / "certificate.json"
    assert command("--make-key", key)[0] == 0
    code, said = command("patient", "--sample", 1, "--seed", 5, "--out", written, "--json")
    assert (code, json.loads(said)["agrees"], json.loads(said)["seed"]) == (0, True, 5)
    body = json.loads(written.read_text())["certificate"]
    with transaction(site.shop.engine) as conn:
        row = conn.execute(text("SELECT sha256, inputs_digest, finding FROM slide, verdict")).one()
    assert (body["slides"][0]["sha256"], body["inputs_digest"], body["finding"]) == tuple(row)

    monkeypatch.setenv("MARROWLINE_DATABASE_URL", "postgresql://nowhere.invalid/none")
    public = ("--public-key", f"{key}.pub")
    code, said = command("--certificate", written, *public)
    assert (code, "1 batch, at most 1 of each slide, drawn by --seed 5" in " ".join(said.split())) == (0, True)
    assert "--public-key" in command("--certificate", written)[1]
    written.write_text(written.read_text().replace('"patient": "patient"', '"patient": "another"'))
    code, said = command("--certificate", written, *public)
    assert (code, "changed after it was signed" in said) == (1, True)


def test_what_reads_nothing_again_is_refused_or_says_so(site: Site, command: Verify, tmp_path: Path) -> None:
    command("--make-key", tmp_path / "key")
    code, said = command("patient", "--sample", 0, "--out", tmp_path / "certificate.json")
    assert (code, "--sample" in said, (tmp_path / "certificate.json").exists()) == (2, True, False)
    with transaction(site.shop.engine) as conn:
        runs.register(conn, stored("lab/other/b.tif"), SlideFacts(lab="lab", patient="other"), DEFAULTS, decide)
    code, said = command("other")
    assert (code, "Read again: nothing: no batch of any slide was read again." in said) == (0, True)


def test_what_differs_is_printed_fails_and_gets_no_certificate(site: Site, command: Verify, tmp_path: Path) -> None:
    command("--make-key", tmp_path / "key")
    site.behind("UPDATE run_count SET called = called + 1")
    code, said = command("patient", "--out", tmp_path / "certificate.json")
    assert (code, "NOT PROVEN" in said, "of its cells" in said) == (1, True, True)
    assert not (tmp_path / "certificate.json").exists()
