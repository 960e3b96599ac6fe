"""The earlier code that `make upgrade` runs: which it is, and that it is run and no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from db import migrate
from tests.faults import earlier as laid_out
from tests.faults.earlier import HistoryError, before_newest_migration, earlier

OURS = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *OURS, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that grew from one migration to two, then went on."""
    root = tmp_path / "repository"
    versions = root / "db" / "migrations" / "versions"
    versions.mkdir(parents=True)
    git(tmp_path, "init", "--quiet", str(root))
    newest = migrate.head_revision()
    for name in ("0000_old.py", f"{newest}_new.py", "../note.txt"):
        (versions / name).write_text("", encoding="utf-8")
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", name)
    monkeypatch.setattr(laid_out, "ROOT", root)
    monkeypatch.setattr(migrate, "HERE", root / "db")
    monkeypatch.setattr(migrate, "head_revision", lambda: newest)
    return root


def test_by_default_it_is_the_last_that_lacks_the_newest_migration(history: Path) -> None:
    asked = git(history, "rev-parse", before_newest_migration())
    assert asked == git(history, "rev-parse", "HEAD~2")


def test_a_migration_that_is_not_committed_asks_for_a_revision(history: Path) -> None:
    (file,) = history.rglob(f"{migrate.head_revision()}_*.py")
    git(history, "checkout", "--quiet", "--orphan", "other")
    git(history, "rm", "--quiet", "--cached", str(file))
    git(history, "commit", "--quiet", "--message", "without it")
    with pytest.raises(HistoryError, match="commit it, or name what to upgrade from"):
        before_newest_migration()


@pytest.mark.usefixtures("history")
def test_a_history_without_it_names_what_fetches_it() -> None:
    with pytest.raises(HistoryError, match=r"lacks the earlier code.*git fetch --unshallow"), earlier("f" * 40):
        pass


@pytest.mark.usefixtures("history")
def test_a_revision_that_cannot_start_its_parts_is_refused() -> None:
    with pytest.raises(HistoryError, match="name a later revision"), earlier("HEAD"):
        pass
