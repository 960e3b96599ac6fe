import hashlib
from pathlib import Path

import pytest
import torch

from worker.errors import ModelError
from worker.nets import hybrid
from worker.nets.classifier import pooled
from worker.nets.hybrid import FULL, QUARTER, Hybrid, load_imagenet, scaled

TINY = scaled(1 / 32)


def test_the_trunks_have_the_convolutions_of_vgg16_and_vgg19() -> None:
    net = Hybrid(TINY, 3)
    counts = [sum(isinstance(layer, torch.nn.Conv2d) for layer in trunk) for trunk in (net.vgg16, net.vgg19)]
    assert counts == [13, 16]


def test_a_batch_gives_one_row_of_logits_per_crop() -> None:
    assert Hybrid(TINY, 5).eval()(torch.zeros(2, 3, 80, 80)).shape == (2, 5)


def test_features_of_both_trunks_are_concatenated() -> None:
    net = Hybrid(TINY, 2).eval()
    assert net.features(torch.zeros(1, 3, 80, 80)).shape == (1, 4 * TINY[-1])


def test_a_width_of_one_is_the_published_network() -> None:
    assert scaled(1) == FULL
    with torch.device("meta"):
        net = Hybrid(FULL, 14)
    assert sum(p.numel() for p in net.vgg16.parameters() if p.dim() == 4) == 14_710_464


def test_the_quarter_network_fits_four_megabytes_in_half_precision() -> None:
    net = Hybrid(QUARTER, 14)
    size = sum(value.numel() * (2 if value.dim() > 1 else 4) for value in net.state_dict().values())
    assert size + 40_000 < 4_000_000


def test_the_last_stage_may_be_narrower_than_the_fourth() -> None:
    net = Hybrid((2, 2, 2, 4, 3), 2)
    assert [layer.out_channels for layer in net.vgg16 if isinstance(layer, torch.nn.Conv2d)][-3:] == [3, 3, 3]


def test_a_trunk_has_five_stages() -> None:
    with pytest.raises(ValueError, match="five stages"):
        Hybrid((8, 8), 2)


def test_the_middle_of_the_crop_weighs_more_than_its_border() -> None:
    maps = torch.zeros(2, 1, 5, 5)
    maps[0, 0, 2, 2] = 1
    maps[1, 0, 0, 0] = 1
    middle, corner = pooled(maps).sum(dim=1)
    assert middle > corner > 0


def test_imagenet_weights_that_are_not_here_are_named(tmp_path: Path) -> None:
    with torch.device("meta"):
        net = Hybrid(FULL, 2)
    with pytest.raises(ModelError, match=r"vgg16_bn-6c64b313\.pth"):
        load_imagenet(net, tmp_path)


def test_altered_imagenet_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "vgg16_bn-6c64b313.pth").write_bytes(b"not the file")
    with torch.device("meta"):
        net = Hybrid(FULL, 2)
    with pytest.raises(ModelError, match="SHA-256 must start 6c64b313"):
        load_imagenet(net, tmp_path)


def test_imagenet_weights_fit_the_full_width_only(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="full width"):
        load_imagenet(Hybrid(TINY, 2), tmp_path)


def test_published_files_with_the_right_layers_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hybrid, "FULL", TINY)  # so that the files stay small
    source, net = Hybrid(TINY, 2), Hybrid(TINY, 2)
    files = []
    for name, trunk in (("vgg16_bn", source.vgg16), ("vgg19_bn", source.vgg19)):
        stored = {f"features.{key}": value for key, value in trunk.state_dict().items()}
        torch.save({**stored, "classifier.0.bias": torch.zeros(1)}, tmp_path / name)
        digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()[:8]
        files.append((tmp_path / name).rename(tmp_path / f"{name}-{digest}.pth").name)
    monkeypatch.setattr(hybrid, "_IMAGENET_FILES", tuple(files))
    load_imagenet(net, tmp_path)
    assert torch.equal(net.vgg19.state_dict()["0.weight"], source.vgg19.state_dict()["0.weight"])
