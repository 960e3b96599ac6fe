"""The segmenters that are judged beside each other, and which weights each of them uses on a data set."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from worker.errors import BadRequestError
from worker.nets.segmenter_cards import CLASSICAL
from worker.training.segmentation.baseline import classical
from worker.training.segmentation.scores import SegmentFn

SOURCE = "{source}"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A row of the tables for every data set."""

    label: str
    name: str  # of the weights; SOURCE in it stands for the data set, for weights trained without it

    def on(self, source: str, installed: Collection[str]) -> str | None:
        """Return the name of the weights for a data set; None where none were trained without it."""
        name = self.name.replace(SOURCE, source)
        return name if name == self.name or name in installed else None


def contender(text: str) -> Contender:
    """Read NAME or LABEL=NAME; raises BadRequestError when either is empty."""
    label, _, name = text.rpartition("=")
    if not name.strip() or (not label.strip() and "=" in text):
        raise BadRequestError(f"{text!r} is neither NAME nor LABEL=NAME")
    return Contender(label=(label or name).strip(), name=name.strip())


def loader(models_dir: Path | None, device: str) -> Callable[[str], SegmentFn]:
    """Return what gives a segmenter by its name, ModelError when there are no such weights; each is loaded once."""
    loaded: dict[str, SegmentFn] = {}

    def load(name: str) -> SegmentFn:
        if name not in loaded:
            loaded[name] = segment_with(name, models_dir, device)
        return loaded[name]

    return load


def segment_with(name: str, models_dir: Path | None, device: str) -> SegmentFn:
    """Return the segmenter of a name, the classical one too; raises ModelError when there are no such weights."""
    if name == CLASSICAL:
        return classical
    # The classical segmenter is used without loading torch.
    from worker.cells.learned import segment_image  # noqa: PLC0415
    from worker.nets.segmenters import load_segmenter  # noqa: PLC0415

    segmenter = load_segmenter(name, models_dir, device)
    return lambda rgb, mpp_um: segment_image(rgb, mpp_um, segmenter)
