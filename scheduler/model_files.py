"""Weight files and cards as the registry takes them in: verified first, then copied, never one for another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from db.model_rows import differing
from db.records import ModelVersion
from worker.config import StoreSettings
from worker.errors import BadRequestError, ModelError
from worker.nets import card_files, cards
from worker.nets.card_files import AnyCard, C, Files, Kind, read_card, verified_bytes, write_files
from worker.nets.cards import MODEL, Card
from worker.nets.segmenter_cards import SEGMENTER, SegmenterCard
from worker.storage import ObjectStore, open_store

ENDINGS = (".json", ".safetensors")
_CARD_BYTES = 2**20
_WEIGHT_BYTES = 2**31


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A model whose bytes are those that its card describes, with its segmenter where it brings one along."""

    card: Card
    content: bytes
    segmenter: tuple[SegmenterCard, bytes] | None  # None: it needs none, or the one it needs is installed

    @property
    def version(self) -> ModelVersion:
        """What is registered of it."""
        return cards.version_of(self.card)


def document_of(card: AnyCard) -> dict[str, Any]:
    """Return a card as JSON gives it back."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(card)))
    return document


def is_file(source: str) -> bool:
    """Tell whether a model is asked for by where its files lie, not by the name of an installed one."""
    return "/" in source or source.endswith(ENDINGS)


@contextmanager
def opened(source: str, models_dir: Path) -> Iterator[tuple[Path, str]]:
    """Yield the folder that holds a model's files, and its name; files of an S3 bucket are fetched for the block.

    source: the path, or the s3://bucket/key, of the card or of the weights. Raises BadRequestError, ServiceError.
    """
    place, _, file = source.rpartition("/")
    name = file.removesuffix(ENDINGS[0]).removesuffix(ENDINGS[1])
    if not source.startswith("s3://"):
        yield Path(source).expanduser().parent, name
        return
    with TemporaryDirectory(prefix="marrowline-model-") as folder:
        _fetch_model(open_store(StoreSettings(bucket=place)), name, Path(folder), models_dir)
        yield Path(folder), name


def verified(folder: Path, name: str, models_dir: Path) -> Verified:
    """Return the model of that name in a folder. Raises ModelError when a file is absent, altered or does not fit."""
    files = cards.find(name, folder)
    if files.weights.parent != folder:
        raise ModelError(f"{name}.safetensors and its card {name}.json are not both in {folder}")
    segmenter = None
    if not _has_segmenter(files.card, models_dir):
        beside = cards.segmenter_of(files.card, folder)
        segmenter = None if beside is None else (beside.card, verified_bytes(beside))
    return Verified(card=files.card, content=verified_bytes(files), segmenter=segmenter)


def install(model: Verified, models_dir: Path) -> Path | None:
    """Copy a verified model into the folder of one's own models; return where, None if it is part of the package.

    Raises ModelError when its name is installed with other contents, BadRequestError when the folder is not writable.
    """
    if model.card.name in cards.names(models_dir):
        found = cards.find(model.card.name, models_dir)
        _refuse_other(found, model)
        if found.weights.parent != models_dir:
            return None
    try:
        if model.segmenter is not None:
            write_files(SEGMENTER, *model.segmenter, models_dir / SEGMENTER.folder)
        return write_files(MODEL, model.card, model.content, models_dir).weights
    except OSError as error:
        raise BadRequestError(
            f"cannot write to {models_dir}: {error.strerror}; set MARROWLINE_MODELS_DIR to a folder of yours"
        ) from error


def _refuse_other(found: Files[Card], model: Verified) -> None:
    others = differing(cards.version_of(found.card), model.version)
    if not others and found.card != model.card and found.weights.parent == card_files.SHIPPED:
        others = ["card"]
    if others:
        raise ModelError(
            f"{model.card.name} is installed in {found.weights.parent} with other contents ({', '.join(others)}): "
            "give the new weights a new name"
        )


def _has_segmenter(card: Card, models_dir: Path) -> bool:
    """Tell whether what the card needs for finding cells is installed, unaltered."""
    try:
        found = cards.segmenter_of(card, models_dir)
        return found is None or bool(verified_bytes(found))
    except ModelError:
        return False


def _fetch_model(store: ObjectStore, name: str, folder: Path, models_dir: Path) -> None:
    card = _fetch(store, MODEL, name, folder)
    if not _has_segmenter(card, models_dir):
        _fetch(store, SEGMENTER, card.segmenter, folder)


def _fetch(store: ObjectStore, kind: Kind[C], name: str, folder: Path) -> C:
    """Fetch a card and its weights, which may be those of another model beside it; return the card."""
    if not card_files.NAME.fullmatch(name):  # it becomes a file's name here
        raise BadRequestError(f"{name!r} is no {kind.what} name: give s3://bucket/prefix/NAME.json")
    below = f"{store.prefix}{kind.folder}/" if kind.folder else store.prefix
    to = folder / kind.folder
    to.mkdir(exist_ok=True)
    _get(store, f"{below}{name}.json", to / f"{name}.json", most_bytes=_CARD_BYTES)
    card = read_card(kind, to / f"{name}.json")
    weights = name if not card.weights_of or store.head(f"{below}{name}.safetensors") else card.weights_of
    _get(store, f"{below}{weights}.safetensors", to / f"{weights}.safetensors", most_bytes=_WEIGHT_BYTES)
    return card


def _get(store: ObjectStore, key: str, to: Path, *, most_bytes: int) -> None:
    found = store.head(key)
    if found is None:
        raise BadRequestError(f"s3://{store.name}/{key} is not there, or may not be read")
    if found.size > most_bytes:
        raise BadRequestError(f"s3://{store.name}/{key} has {found.size} bytes, more than the {most_bytes} allowed")
    store.fetch(found, to)
