"""What is installed against its cards, and what is registered against what is installed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from db.model_rows import differing
from db.models import Registered
from scheduler.model_files import ENDINGS, document_of
from worker.errors import ModelError
from worker.nets import card_files, cards
from worker.nets.card_files import C, Kind, verified_bytes
from worker.nets.cards import MODEL, Card
from worker.nets.segmenter_cards import SEGMENTER


class Standing(StrEnum):
    """How a file or a registered version compares with what it should be."""

    OK = "ok"
    DIFFERS = "differs"
    ABSENT = "absent"  # registered, not installed, and nothing asks for it


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    what: str  # model or segmenter: its files; registered: a row of the database
    name: str
    standing: Standing
    said: str


def check_files(models_dir: Path) -> list[Check]:
    """Compare every weight file, the shipped ones and one's own, with its card."""
    return [*_files(MODEL, models_dir), *_files(SEGMENTER, models_dir)]


def check_registered(known: Iterable[Registered], needed: Iterable[str], models_dir: Path) -> list[Check]:
    """Compare every registered version with what is installed under its name.

    needed: the names that slides are read with, or wait to be.
    """
    wanted, installed = set(needed), cards.names(models_dir)
    found = []
    for one in known:
        name = one.version.name
        if name not in installed:
            standing = Standing.DIFFERS if name in wanted else Standing.ABSENT
            found.append(_registered(name, standing, "registered, but not installed here"))
        else:
            found.append(_compared(one, models_dir))
    return found


def _files(kind: Kind[C], models_dir: Path) -> Iterator[Check]:
    own = _stems(models_dir / kind.folder)
    for name in sorted(own):
        yield _file(kind, name, models_dir, models_dir)
    for name in sorted(_stems(card_files.SHIPPED / kind.folder)):
        if name in own:
            said = f"part of the package, but hidden by the one in {models_dir / kind.folder}: remove that"
            yield Check(what=kind.what, name=name, standing=Standing.DIFFERS, said=said)
        else:
            yield _file(kind, name, card_files.SHIPPED, None)


def _stems(folder: Path) -> set[str]:
    return {path.stem for ending in ENDINGS for path in folder.glob(f"*{ending}")}


def _file(kind: Kind[C], name: str, root: Path, models_dir: Path | None) -> Check:
    try:
        standing, said = Standing.OK, _verified(kind, name, root / kind.folder, models_dir)
    except ModelError as error:
        standing, said = Standing.DIFFERS, str(error)
    return Check(what=kind.what, name=name, standing=standing, said=said)


def _verified(kind: Kind[C], name: str, folder: Path, models_dir: Path | None) -> str:
    """Return what is well with the files of that name in a folder. Raises ModelError when something is not."""
    if not (folder / f"{name}.json").is_file():
        raise ModelError(f"{folder / name}.safetensors has no card")
    files = card_files.find(kind, name, models_dir)
    if files.weights.parent != folder:
        raise ModelError(f"{folder / name}.json has no weights beside it")
    verified_bytes(files)
    return f"SHA-256 {files.card.weights_sha256[:12]}… as its card says; {folder}"


def _compared(one: Registered, models_dir: Path) -> Check:
    name = one.version.name
    try:
        others = differing(cards.describe(name, models_dir), one.version)
        others += _card_differences(one.card, cards.find(name, models_dir).card)
    except ModelError as error:
        return _registered(name, Standing.DIFFERS, str(error))
    if others:
        fix = f"`marrowline models add {name}` takes the card over" if others == ["card"] else "install the right one"
        return _registered(name, Standing.DIFFERS, f"the one installed differs in {', '.join(others)}: {fix}")
    return _registered(name, Standing.OK, "as installed")


def _card_differences(stored: Mapping[str, Any] | None, card: Card) -> list[str]:
    """Return `card` in a list when the card says something else now; fields that cards gained since are not judged."""
    if stored is None:
        return []
    unsaid = {one.name: one.default_factory() for one in fields(card) if one.default_factory is not MISSING}
    unsaid |= {one.name: one.default for one in fields(card) if one.default is not MISSING}
    return [] if json.loads(json.dumps(unsaid)) | stored == document_of(card) else ["card"]


def _registered(name: str, standing: Standing, said: str) -> Check:
    return Check(what="registered", name=name, standing=standing, said=said)
