"""Weight files and their cards on disk, whatever they are cards of; known without loading torch.

A model is two files in one folder: NAME.safetensors and NAME.json, its card. The card names the weights' SHA-256, so
that what was described and what is loaded cannot drift apart. A card may use the weight file of another model.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from worker.errors import ModelError

SHIPPED = Path(__file__).parent / "weights"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
LATER = "later"
"""Marks, in a field's metadata, what earlier versions do not know: it is written only where it is not empty."""


class AnyCard(Protocol):
    """What every card says."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """The name of the card's file and of the model."""

    @property
    def weights_of(self) -> str:
        """The model whose weight file is used; empty: its own."""

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the weight file."""


C = TypeVar("C", bound=AnyCard)


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[C]):
    """A kind of model: where its files lie and what its card must be."""

    what: str  # as an error names it
    card: type[C]
    check: Callable[[C], None]  # raises ValueError or TypeError for a card that cannot be meant
    folder: str  # below the folder of the shipped weights, and below one of the user's own
    trained_by: str  # the command that makes one


@dataclass(frozen=True, kw_only=True)
class Files(Generic[C]):
    """A card and where its weights lie."""

    card: C
    weights: Path


def names(kind: Kind[C], models_dir: Path | None = None) -> tuple[str, ...]:
    """Return the names that have both a card and weights, sorted; those in `models_dir` and the shipped ones."""
    cards = (card for folder in _folders(kind, models_dir) for card in folder.glob("*.json"))
    return tuple(sorted({card.stem for card in cards if _weights_beside(card) is not None}))


def find(kind: Kind[C], name: str, models_dir: Path | None = None) -> Files[C]:
    """Return the files of a model; a folder of one's own comes before the shipped weights.

    Raises ModelError when the model is not installed or its card cannot be read.
    """
    if not NAME.fullmatch(name):
        raise ModelError(f"{name!r} is no {kind.what} name: use letters a-z, digits, '.', '_' and '-'")
    for folder in _folders(kind, models_dir):
        path = folder / f"{name}.json"
        weights = _weights_beside(path) if path.is_file() else None
        if weights is not None:
            card = read_card(kind, path)
            if card.name != name:
                raise ModelError(f"{path} is the card of {card.name!r}: rename the files back")
            return Files(card=card, weights=weights)
    searched = ", ".join(str(folder) for folder in _folders(kind, models_dir))
    known = ", ".join(names(kind, models_dir)) or "none"
    raise ModelError(
        f"no weights for {kind.what} {name!r}: {name}.safetensors with its card {name}.json was looked for in "
        f"{searched}; installed: {known}. Put both files into {Path('FOLDER') / kind.folder} and set "
        f"MARROWLINE_MODELS_DIR to FOLDER, or train them with {kind.trained_by}"
    )


def verified_bytes(files: Files[C]) -> bytes:
    """Return the content of the weight file; raises ModelError unless it is the one the card describes."""
    content = files.weights.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != files.card.weights_sha256:
        raise ModelError(
            f"{files.weights} has SHA-256 {found}, its card says {files.card.weights_sha256 or 'nothing'}: "
            "the file is altered or incomplete; install it again"
        )
    return content


def read_card(kind: Kind[C], path: Path) -> C:
    """Return the card in a JSON file; raises ModelError when it is not one."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        known = {entry.name for entry in fields(kind.card)}
        if unknown := set(stored) - known:
            raise ModelError(f"{path}: unknown fields {', '.join(sorted(unknown))}")
        lists = {key: tuple(value) for key, value in stored.items() if isinstance(value, list)}
        card = kind.card(**{**stored, **lists})
        _check(kind, card)
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a {kind.what} card: {error}") from error
    return card


def write_card(kind: Kind[C], card: C, path: Path) -> None:
    """Write a card as JSON; raises ModelError when it would not be read back."""
    path.write_text(_as_json(kind, card), encoding="utf-8")


def write_files(kind: Kind[C], card: C, content: bytes, folder: Path) -> Files[C]:
    """Write NAME.safetensors and NAME.json; the weights land before the card, each whole or not at all.

    Raises ModelError when the card would not be read back; what lies in the folder is left as it is then.
    """
    stored = _as_json(kind, card)
    folder.mkdir(parents=True, exist_ok=True)
    weights, card_file = folder / f"{card.name}.safetensors", folder / f"{card.name}.json"
    staged = folder / f".{card.name}.part"
    staged.write_bytes(content)
    staged.replace(weights)
    staged.write_text(stored, encoding="utf-8")
    staged.replace(card_file)
    return Files(card=card, weights=weights)


def _as_json(kind: Kind[C], card: C) -> str:
    try:
        _check(kind, card)
        unsaid = {entry.name for entry in fields(card) if LATER in entry.metadata and not getattr(card, entry.name)}
        stated = {name: value for name, value in asdict(card).items() if name not in unsaid}
        return json.dumps(stated, indent=1, ensure_ascii=False) + "\n"
    except (ValueError, TypeError) as error:
        raise ModelError(f"card {card.name!r}: {error}") from error


def _check(kind: Kind[C], card: C) -> None:
    for name in (card.name, card.weights_of):
        if name and not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no {kind.what} name")
    kind.check(card)


def _weights_beside(card: Path) -> Path | None:
    """Return the weight file of the card in this file, when it is there."""
    own = card.with_suffix(".safetensors")
    if own.is_file():
        return own
    try:
        other = json.loads(card.read_text(encoding="utf-8")).get("weights_of", "")
    except (ValueError, AttributeError):
        return None
    if not isinstance(other, str) or not NAME.fullmatch(other):
        return None
    shared = card.with_name(f"{other}.safetensors")
    return shared if shared.is_file() else None


def _folders(kind: Kind[C], models_dir: Path | None) -> Iterator[Path]:
    if models_dir is not None:
        yield models_dir / kind.folder
    yield SHIPPED / kind.folder
