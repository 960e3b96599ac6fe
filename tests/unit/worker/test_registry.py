import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support.models import weighing, write_tiny_model
from worker.config import DEFAULT_MODEL
from worker.errors import DeviceError, ModelError
from worker.nets.architectures import NETWORKS, build, channels_of
from worker.nets.card_files import write_card
from worker.nets.cards import FLOAT16, INT8, MODEL, Card, find
from worker.nets.classifier import Classifier
from worker.nets.device import chosen_device
from worker.nets.outliers import Outliers
from worker.nets.packing import round_as_stored
from worker.nets.registry import load, save

SHIPPED = [(DEFAULT_MODEL, 4_000_000), ("hybrid-2026-11-quarter", 4_000_000), ("hybrid-2026-11", 40_000_000)]
"""The models of the package, and the most bytes that each may take."""


def test_a_saved_network_comes_back_with_the_same_answers(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    first, second = load("tiny", tmp_path, "cpu"), load("tiny", tmp_path, "cpu")
    crop = torch.rand(1, 3, 48, 48)
    assert torch.equal(first.net(crop), second.net(crop))


def test_a_loaded_network_neither_trains_nor_keeps_gradients(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    model = load("tiny", tmp_path, "cpu")
    assert not model.net.training
    assert not any(weight.requires_grad for weight in model.net.parameters())
    assert {weight.dtype for weight in model.net.parameters()} == {torch.float32}


def test_nothing_is_loaded_from_altered_weights(tmp_path: Path) -> None:
    files = write_tiny_model(tmp_path)
    files.weights.write_bytes(files.weights.read_bytes()[:-2])
    with pytest.raises(ModelError, match="altered or incomplete"):
        load("tiny", tmp_path, "cpu")


def test_missing_weights_are_an_error_and_never_random_ones(tmp_path: Path) -> None:
    write_tiny_model(tmp_path).weights.unlink()
    with pytest.raises(ModelError, match=r"no weights for model 'tiny'"):
        load("tiny", tmp_path, "cpu")


def test_weights_that_do_not_fit_their_card_are_refused(tmp_path: Path) -> None:
    card = write_tiny_model(tmp_path).card
    _rewrite(tmp_path, card, classes=("lymphoblast", "platelet"))
    with pytest.raises(ModelError, match="does not fit its card"):
        load("tiny", tmp_path, "cpu")


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    card = write_tiny_model(tmp_path).card
    _rewrite(tmp_path, card, arch="alexnet")
    with pytest.raises(ModelError, match=r"'alexnet'.*dcnn.*hybrid-vgg16bn-vgg19bn.*resnet50"):
        load("tiny", tmp_path, "cpu")


@pytest.mark.parametrize("arch", NETWORKS)
@pytest.mark.parametrize("stored", [FLOAT16, INT8])
def test_every_network_comes_back_as_it_was_rounded(tmp_path: Path, arch: str, stored: str) -> None:
    card = replace(write_tiny_model(tmp_path).card, name="other", stored=stored)
    net = build(arch, channels_of(arch, 1 / 32), len(card.classes)).eval()
    round_as_stored(net, stored)
    written = save(net, card, tmp_path).card
    model = load("other", tmp_path, "cpu")
    crops = torch.rand(2, 3, 48, 48)
    torch.testing.assert_close(model.net(crops), net(crops))
    assert (model.card, model.net.arch, model.card.channels) == (written, arch, net.channels)


def test_the_parallel_hybrid_keeps_the_name_that_is_registered(tmp_path: Path) -> None:
    card = write_tiny_model(tmp_path).card
    assert card.arch == "hybrid-vgg16bn-vgg19bn"
    _rewrite(tmp_path, card, arch="hybrid")
    with pytest.raises(ModelError, match="no network called 'hybrid'"):
        load("tiny", tmp_path, "cpu")


@pytest.mark.parametrize("channels", [(8, 8), (8, 8, 8, 8, 0), (8, 8, 8, 8, 8)])
def test_channels_that_the_weights_do_not_have_are_refused(tmp_path: Path, channels: tuple[int, ...]) -> None:
    _rewrite(tmp_path, write_tiny_model(tmp_path).card, channels=channels)
    with pytest.raises(ModelError, match="does not fit its card"):
        load("tiny", tmp_path, "cpu")


def test_weights_stored_otherwise_than_their_card_says_are_refused(tmp_path: Path) -> None:
    _rewrite(tmp_path, write_tiny_model(tmp_path).card, stored=INT8)
    with pytest.raises(ModelError, match="not stored as int8"):
        load("tiny", tmp_path, "cpu")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    files = write_tiny_model(tmp_path)
    files.weights.write_bytes(b"\x80\x04pickle")
    _rewrite(tmp_path, files.card, weights_sha256=hashlib.sha256(b"\x80\x04pickle").hexdigest())
    with pytest.raises(ModelError, match="does not fit its card"):
        load("tiny", tmp_path, "cpu")


def _statistics(net: Classifier, features: int | None = None) -> Outliers:
    width = features or net.head.in_features
    return Outliers(centre=torch.zeros(width), projection=torch.rand(width, 3), means=torch.rand(2, 3))


@pytest.mark.parametrize("stored", [FLOAT16, INT8])
def test_statistics_of_outliers_are_kept_whole_beside_the_weights(tmp_path: Path, stored: str) -> None:
    first = load("tiny", write_tiny_model(tmp_path).weights.parent, "cpu")
    outliers = _statistics(first.net)
    save(first.net, replace(first.card, outlying_above=2.5, stored=stored), tmp_path, outliers)
    found = load("tiny", tmp_path, "cpu").outliers
    assert found is not None
    assert torch.equal(found.projection, outliers.projection)


def test_statistics_without_a_limit_are_not_used(tmp_path: Path) -> None:
    model = load("tiny", write_tiny_model(tmp_path).weights.parent, "cpu")
    save(model.net, model.card, tmp_path, _statistics(model.net))
    assert load("tiny", tmp_path, "cpu").outliers is None


def test_a_limit_without_statistics_is_refused(tmp_path: Path) -> None:
    _rewrite(tmp_path, write_tiny_model(tmp_path).card, outlying_above=2.0)
    with pytest.raises(ModelError, match="no statistics"):
        load("tiny", tmp_path, "cpu")


def test_statistics_of_another_network_are_refused(tmp_path: Path) -> None:
    model = load("tiny", write_tiny_model(tmp_path).weights.parent, "cpu")
    save(model.net, replace(model.card, outlying_above=2.0), tmp_path, _statistics(model.net, 5))
    with pytest.raises(ModelError, match="outlier statistics of 5 features"):
        load("tiny", tmp_path, "cpu")


def test_what_weighs_measurements_comes_back_with_the_network(tmp_path: Path) -> None:
    model = weighing(load("tiny", write_tiny_model(tmp_path).weights.parent, "cpu"), 0.5)
    save(model.net, model.card, tmp_path)
    back = load("tiny", tmp_path, "cpu")
    assert back.card.measures == ("nucleus_area_um2",)
    areas = torch.tensor([[35.0], [40.0], [47.0]])
    assert back.net.morphology is not None
    assert model.net.morphology is not None
    assert torch.equal(back.net.morphology(areas), model.net.morphology(areas))
    assert not any(weight.requires_grad for weight in back.net.parameters())


def test_measures_without_what_weighs_them_are_refused(tmp_path: Path) -> None:
    model = load("tiny", write_tiny_model(tmp_path).weights.parent, "cpu")
    measured = replace(model.card, measures=("solidity",), measures_weight=0.5)
    with pytest.raises(ValueError, match="names measures when the network weighs them"):
        save(model.net, measured, tmp_path)
    _rewrite(tmp_path, model.card, measures=("solidity",), measures_weight=0.5)
    with pytest.raises(ModelError, match="does not fit its card"):
        load("tiny", tmp_path, "cpu")
    with pytest.raises(ModelError, match="distinct names with a weight above zero"):
        _rewrite(tmp_path, model.card, measures=("solidity",))


def test_writing_again_gives_the_same_digest(tmp_path: Path) -> None:
    first = write_tiny_model(tmp_path / "a").card.weights_sha256
    assert write_tiny_model(tmp_path / "b").card.weights_sha256 == first
    assert find("tiny", tmp_path / "a").card.weights_sha256 == first


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="no device"):
        chosen_device("abacus")
    if not torch.cuda.is_available():
        assert chosen_device("auto").type == "cpu"
        with pytest.raises(DeviceError, match="no GPU"):
            chosen_device("cuda:0")


@pytest.mark.parametrize(("name", "most"), SHIPPED)
def test_the_shipped_weights_fit_their_card_and_stay_small(name: str, most: int) -> None:
    model = load(name, None, "cpu")
    assert find(name).weights.stat().st_size <= most
    assert model.net.head.out_features == len(model.card.classes)
    assert "not for diagnostic procedures" in model.card.limits
    assert "CC BY-NC-SA" in model.card.terms


def test_the_shipped_figures_stand_beside_the_colour_only_baseline() -> None:
    figures = find(DEFAULT_MODEL).card.figures
    reached = figures["photographed"]["balanced_accuracy"]
    assert reached > figures["colour_only_baseline_balanced_accuracy"] + 0.1
    assert min(figures["photographed"]["recall"][c] for c in ("lymphoblast", "plasma_cell")) >= 0.9


def test_the_shipped_model_is_calibrated_and_errs_half_as_often_where_it_is_sure() -> None:
    certainty = find(DEFAULT_MODEL).card.figures["certainty"]
    assert certainty["calibration_error"] <= certainty["calibration_error_of_perfect_95"]
    assert certainty["error_at_coverage"] <= certainty["error"] / 2


def _rewrite(folder: Path, card: Card, **changes: object) -> None:
    write_card(MODEL, replace(card, **changes), folder / "tiny.json")  # type: ignore[arg-type]
