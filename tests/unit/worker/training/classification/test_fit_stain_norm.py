"""A training with stain normalisation, from pictures on disk to a card and the product's own crops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from db.records import CellClass
from tests.support.sets import write, write_manifest
from worker.drawing.crops import draw_crops
from worker.errors import BadRequestError
from worker.nets.architectures import channels_of
from worker.nets.cards import NO_STAIN_NORM, STAIN_ANCHORS
from worker.nets.registry import load
from worker.single_cells import crop_of
from worker.training.augment import centred
from worker.training.classification.cut import Wanted, cut
from worker.training.classification.data import CropSet, stored
from worker.training.classification.fit import Training, train_classifier
from worker.training.classification.recipe import Recipe
from worker.training.classification.sources.pictures import rgb

CLASSES = (CellClass.LYMPHOCYTE, CellClass.LYMPHOBLAST)
TINY = Recipe(
    arch="vgg16", channels=channels_of("vgg16", 1 / 16), input_px=32, early_px=32, epochs=1, draws=16, batch=8, seed=3
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine drawn pictures of one cell for each of two classes, each a group."""
    folder = tmp_path_factory.mktemp("cells")
    pictures, labels = draw_crops(np.random.default_rng(4), 9, crop_px=160, mpp_um=0.25, classes=CLASSES)
    rows = []
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        write(folder / f"{number}.png", picture)
        rows.append({"file": f"{number}.png", "label": label.value, "mpp_um": "0.25"})
    return write_manifest(folder, rows)


@pytest.fixture(scope="module")
def trained(data: Path) -> Training:
    training = Training(
        data=(data,),
        out=data.parent / "normalised.safetensors",
        work=data.parent / "normalised.training",
        device="cpu",
        drawn=False,
        recipe=TINY,
        stain_norm=STAIN_ANCHORS,
    )
    train_classifier(training, lambda _: None)
    return training


def cut_for(training: Training) -> CropSet:
    return stored(training.work / "crops.npz")


def test_the_cards_say_what_crops_were_brought_to(trained: Training) -> None:
    assert load("normalised", trained.out.parent, "cpu").card.stain_norm == STAIN_ANCHORS
    text = trained.out.with_suffix(".md").read_text(encoding="utf-8")
    assert f"brought to a reference stain first (`{STAIN_ANCHORS}`" in text


def test_the_trained_model_sees_the_crops_that_it_was_trained_on(data: Path, trained: Training) -> None:
    model, crops = load("normalised", trained.out.parent, "cpu"), cut_for(trained)
    assert len(crops) == 18
    for name, pixels in zip(crops.picture[::3], crops.pixels[::3], strict=True):
        used = crop_of(rgb(data / str(name).partition("/")[2]), 0.25, model)
        assert np.array_equal(centred(pixels, model.card.crop_px), used)


def test_without_it_crops_are_cut_as_photographed(data: Path, trained: Training, tmp_path: Path) -> None:
    wanted = Wanted(data=(data,), seed=TINY.seed, drawn=False)
    plain = cut(wanted, tmp_path / "crops.npz", device="cpu", say=lambda _: None)
    first = rgb(data / str(plain.picture[0]).partition("/")[2])
    assert any(np.array_equal(plain.pixels[0], first[y : y + 112, x : x + 112]) for y in range(48) for x in range(48))
    differ = (plain.pixels != cut_for(trained).pixels).any(axis=(1, 2, 3))
    assert differ[plain.keys() == CellClass.LYMPHOBLAST].all()
    assert not differ.all(), "pictures that show too small a nucleus or too few red cells are left as they are"


def test_a_training_is_not_gone_on_with_in_another_stain(trained: Training) -> None:
    with pytest.raises(BadRequestError, match=r"holds a training of something else \(stain_norm\)"):
        train_classifier(replace(trained, stain_norm=NO_STAIN_NORM), lambda _: None)
