from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support.models import card_of
from worker.errors import BadRequestError
from worker.nets.architectures import build, channels_of
from worker.nets.imagenet import IMAGENET_MEAN, IMAGENET_STD
from worker.nets.merged import corresponding_layers
from worker.nets.morphology import Morphology
from worker.nets.registry import save
from worker.training.classification import begin
from worker.training.classification.begin import Begin, digest_of, state_of, told
from worker.training.classification.data import CLASSES
from worker.training.classification.recipe import Recipe

CHANNELS = channels_of("vgg16", 1 / 32)
MERGED = Recipe(arch="hybrid-merged", channels=CHANNELS)
FULL = Recipe(arch="vgg16", mean=IMAGENET_MEAN, std=IMAGENET_STD)


@pytest.fixture(scope="module")
def trunks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The weight files of a vgg19 and a vgg16, in this order."""
    folder = tmp_path_factory.mktemp("trunks")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        nets = [build(arch, CHANNELS, len(CLASSES)) for arch in ("vgg19", "vgg16")]
    files = [save(net, card_of(net, CLASSES, name=net.arch), folder).weights for net in nets]
    return files[0], files[1]


def test_a_merged_hybrid_begins_with_the_mean_of_two_trunks(trunks: tuple[Path, Path]) -> None:
    state = state_of(Begin(files=trunks), MERGED)
    of19, of16 = (state_of(Begin(files=(file,)), replace(MERGED, arch=file.stem)) for file in trunks)
    assert state is not None
    assert of16 is not None
    assert of19 is not None
    at16, at19 = corresponding_layers()[-1]
    mean = (of16[f"trunk.{at16}.weight"] + of19[f"trunk.{at19}.weight"]) / 2
    assert torch.equal(state[f"trunk.{at19}.weight"], mean)


def test_a_hybrid_begins_with_both_trunks_and_no_head(trunks: tuple[Path, Path]) -> None:
    recipe = Recipe(channels=CHANNELS)
    state = state_of(Begin(files=trunks), recipe)
    assert state is not None
    missing, unexpected = build("hybrid", CHANNELS, 2).load_state_dict(state, strict=False)
    assert (set(missing), unexpected) == ({"head.weight", "head.bias"}, [])


def test_two_narrower_trunks_are_widened(trunks: tuple[Path, Path]) -> None:
    wider = tuple(2 * count for count in CHANNELS)
    state = state_of(Begin(files=trunks), replace(MERGED, channels=wider))
    assert state is not None
    assert len(state["trunk.0.weight"]) == wider[0]


def test_a_merged_hybrid_of_nothing_is_refused() -> None:
    with pytest.raises(BadRequestError, match="give both with --init, or --imagenet"):
        state_of(Begin(), MERGED)
    assert state_of(Begin(), Recipe()) is None


def test_weights_that_do_not_go_together_are_refused(trunks: tuple[Path, Path]) -> None:
    with pytest.raises(BadRequestError, match="not vgg16, vgg16 for hybrid-merged"):
        state_of(Begin(files=(trunks[1], trunks[1])), MERGED)
    with pytest.raises(BadRequestError, match="not vgg16, vgg19 for vgg16"):
        state_of(Begin(files=trunks), replace(MERGED, arch="vgg16"))


def test_imagenet_weights_come_from_the_folder_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"trunk.0.bias": torch.zeros(2)}
    monkeypatch.setattr(begin, "imagenet_state", lambda *asked: {("vgg16", tmp_path): weights}[asked])
    assert state_of(Begin(imagenet=tmp_path), FULL) is weights
    assert "ImageNet" in told(Begin(imagenet=tmp_path))


def test_imagenet_weights_want_the_full_width_and_their_own_normalisation(tmp_path: Path) -> None:
    both = Begin(imagenet=tmp_path, files=(tmp_path / "x.safetensors",))
    for asked, recipe, what in (
        (Begin(imagenet=tmp_path), replace(FULL, channels=CHANNELS), "full width only"),
        (Begin(imagenet=tmp_path), Recipe(arch="vgg16"), "go with mean"),
        (both, FULL, "not with both"),
    ):
        with pytest.raises(BadRequestError, match=what):
            state_of(asked, recipe)


def test_the_digest_tells_weights_apart() -> None:
    ones, twos = ({"a": torch.full((2,), value), "n": torch.tensor(3)} for value in (1.0, 2.0))
    assert digest_of(None) is None
    assert digest_of(ones) == digest_of(dict(reversed(ones.items())))
    assert digest_of(ones) != digest_of(twos)


def test_what_weighed_measurements_is_not_begun_with(tmp_path: Path) -> None:
    net = build("vgg16", CHANNELS, len(CLASSES))
    net.morphology = Morphology(1, len(CLASSES))
    card = replace(card_of(net, CLASSES), measures=("solidity",), measures_weight=0.5)
    state = state_of(Begin(files=(save(net, card, tmp_path).weights,)), replace(MERGED, arch="vgg16"))
    assert state is not None
    build("vgg16", CHANNELS, len(CLASSES)).load_state_dict(state)
