import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from worker.errors import ModelError
from worker.nets import imagenet, resnet, vgg
from worker.nets.architectures import build
from worker.nets.classifier import Classifier
from worker.nets.guard import torchvision_resnet, torchvision_vgg
from worker.nets.imagenet import imagenet_state

TRAINED = {"vgg16": "vgg16_bn", "vgg19": "vgg19_bn", "resnet50": "resnet50"}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the published networks narrow, so that their files are small and quick."""
    monkeypatch.setattr(vgg, "FULL", (2, 2, 3, 3, 4))
    monkeypatch.setattr(resnet, "FULL", (2, 2, 2, 3, 4))
    monkeypatch.setattr(imagenet, "channels_of", lambda arch, _: _channels(arch))


def _channels(arch: str) -> tuple[int, ...]:
    return resnet.FULL if arch == "resnet50" else vgg.FULL


def _as_published(net: Classifier, *, counts: bool) -> dict[str, Tensor]:
    """Return a network's tensors by torchvision's names, with a head; the oldest files hold no counts of batches."""
    body = "" if net.arch == "resnet50" else "features."
    state = {key.replace("trunk.", body): value for key, value in net.state_dict().items() if key.startswith("trunk.")}
    head = "fc.weight" if net.arch == "resnet50" else "classifier.0.weight"
    return {k: v for k, v in {**state, head: torch.rand(3, 3)}.items() if counts or "num_batches" not in k}


def _write_published(folder: Path, monkeypatch: pytest.MonkeyPatch, *, as_zip: bool) -> dict[str, Classifier]:
    nets, files = {}, {}
    for arch, name in TRAINED.items():
        nets[arch] = build(arch, _channels(arch), 2)
        path = folder / name
        torch.save(_as_published(nets[arch], counts=as_zip), path, _use_new_zipfile_serialization=as_zip)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        files[arch] = (path.rename(folder / f"{name}-{digest}.pth").name,)
    monkeypatch.setattr(imagenet, "_PUBLISHED", files)
    return nets


@pytest.mark.parametrize("as_zip", [True, False])
def test_published_files_are_loaded_into_every_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, as_zip: bool
) -> None:
    nets = _write_published(tmp_path, monkeypatch, as_zip=as_zip)
    crops = torch.rand(1, 3, 64, 64)
    for arch in (*TRAINED, "hybrid", "hybrid-merged"):
        net = build(arch, _channels(arch), 3).eval()
        missing, unexpected = net.load_state_dict(imagenet_state(arch, tmp_path), strict=False)
        assert (set(missing), unexpected) == ({"head.weight", "head.bias"}, [])
        if arch in nets:
            torch.testing.assert_close(net.features(crops), nets[arch].eval().features(crops))


def test_the_same_tensors_may_be_safetensors(tmp_path: Path) -> None:
    net = build("vgg16", vgg.FULL, 2)
    save_file(_as_published(net, counts=True), tmp_path / "vgg16_bn.safetensors")
    assert torch.equal(imagenet_state("vgg16", tmp_path)["trunk.0.weight"], net.state_dict()["trunk.0.weight"])


def test_torchs_own_cache_is_where_files_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    save_file(_as_published(build("vgg16", vgg.FULL, 2), counts=True), tmp_path / "checkpoints/vgg16_bn.safetensors")
    assert "trunk.0.weight" in imagenet_state("vgg16")


@pytest.mark.parametrize(
    ("arch", "file"),
    [("vgg16", "vgg16_bn-6c64b313"), ("vgg19", "vgg19_bn-c79401a0"), ("resnet50", "resnet50-0676ba61")],
)
def test_files_that_are_not_here_are_named(tmp_path: Path, arch: str, file: str) -> None:
    with pytest.raises(ModelError, match=rf"{file}\.pth"):
        imagenet_state(arch, tmp_path)


@pytest.mark.parametrize("name", ["vgg16_bn-6c64b313.pth", "vgg16_bn-6c64b313.safetensors"])
def test_an_altered_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not the file")
    with pytest.raises(ModelError, match="SHA-256 starts 6c64b313"):
        imagenet_state("vgg16", tmp_path)


def test_nothing_was_published_for_the_dense_network(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="dcnn"):
        imagenet_state("dcnn", tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state | {"features.0.weight": torch.rand(3, 3, 3, 3)},
        lambda state: state | {"features.99.weight": torch.rand(1)},
        lambda state: {key: value for key, value in state.items() if key != "features.0.bias"},
    ],
)
def test_the_layers_of_another_network_are_refused(
    tmp_path: Path, spoil: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    state = _as_published(build("vgg16", vgg.FULL, 2), counts=True)
    save_file(spoil(state), tmp_path / "vgg16_bn.safetensors")
    with pytest.raises(ModelError, match=r"vgg16_bn\.safetensors: these are not the layers of vgg16"):
        imagenet_state("vgg16", tmp_path)


@pytest.mark.parametrize("name", ["vgg16_bn-{}.pth", "vgg16_bn.safetensors"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    content = b"<html>not found</html>"
    path = tmp_path / name.format(hashlib.sha256(content).hexdigest()[:8])
    path.write_bytes(content)
    if path.suffix == ".pth":
        monkeypatch.setattr(imagenet, "_PUBLISHED", {"vgg16": (path.name,)})
    with pytest.raises(ModelError, match=re.escape(str(path))):
        imagenet_state("vgg16", tmp_path)


def test_what_is_looked_for_is_what_torchvision_publishes() -> None:
    published = {
        "vgg16": torchvision_vgg().VGG16_BN_Weights,
        "vgg19": torchvision_vgg().VGG19_BN_Weights,
        "resnet50": torchvision_resnet().ResNet50_Weights,
    }
    for arch, weights in published.items():
        names = [entry.url.rpartition("/")[2] for entry in weights]
        assert list(imagenet._PUBLISHED[arch][: len(names)]) == names
        assert all(entry.transforms().mean == list(imagenet.IMAGENET_MEAN) for entry in weights)
        assert all(entry.transforms().std == list(imagenet.IMAGENET_STD) for entry in weights)
