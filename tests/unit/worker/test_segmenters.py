import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support.models import write_tiny_model, write_tiny_segmenter
from worker.errors import ModelError
from worker.nets import segmenter_cards
from worker.nets.card_files import write_card
from worker.nets.cards import MODEL, describe
from worker.nets.reach import MOST_LEVELS, RECEPTIVE_PX, STRIDE_PX
from worker.nets.registry import load
from worker.nets.segmenter_cards import SEGMENTER
from worker.nets.segmenters import load_segmenter
from worker.nets.segnet import SegNet, fold


def test_a_segmenter_comes_back_as_it_was_written(tmp_path: Path) -> None:
    files = write_tiny_segmenter(tmp_path)
    segmenter = load_segmenter("tiny-segmenter", tmp_path, "cpu")
    assert segmenter.card == files.card
    assert files.weights == tmp_path / "segmenters" / "tiny-segmenter.safetensors"
    assert segmenter_cards.names(tmp_path) == tuple(sorted({*segmenter_cards.names(), "tiny-segmenter"}))


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    files = write_tiny_segmenter(tmp_path)
    content = bytearray(files.weights.read_bytes())
    content[-1] ^= 1
    files.weights.write_bytes(content)
    with pytest.raises(ModelError, match="altered or incomplete"):
        load_segmenter("tiny-segmenter", tmp_path, "cpu")


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    files = write_tiny_segmenter(tmp_path)
    write_card(SEGMENTER, replace(files.card, widths=(8, 12)), files.weights.with_suffix(".json"))
    with pytest.raises(ModelError, match="does not fit its card"):
        load_segmenter("tiny-segmenter", tmp_path, "cpu")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": [8]}, "widths"),
        ({"widths": [8, 8, 12, 12, 16]}, "two to 4"),
        ({"widths": [8, 0]}, "widths"),
        ({"mpp_um": 0.2}, "192 px around a tile"),
        ({"mpp_um": -0.25}, "192 px around a tile"),
        ({"cell_above": 1.0}, "cell_above"),
    ],
)
def test_a_card_of_what_could_not_be_counted_with_is_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = write_tiny_segmenter(tmp_path).weights.with_suffix(".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=said):
        segmenter_cards.find("tiny-segmenter", tmp_path)


def test_a_segmenter_is_described_without_torch() -> None:
    program = "import sys; import worker.nets.segmenter_cards; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_a_model_brings_its_segmenter_and_no_other(tmp_path: Path) -> None:
    segmenter = write_tiny_segmenter(tmp_path)
    card = write_tiny_model(tmp_path).card
    named = replace(card, segmenter="tiny-segmenter", segmenter_sha256=segmenter.card.weights_sha256)
    write_card(MODEL, named, tmp_path / "tiny.json")
    found = load("tiny", tmp_path, "cpu").segmenter
    assert found is not None
    assert found.card == segmenter.card
    assert describe("tiny", tmp_path).preprocess["segmenter_sha256"] == segmenter.card.weights_sha256
    write_tiny_segmenter(tmp_path, seed=8)
    with pytest.raises(ModelError, match="install the one that the card names"):
        load("tiny", tmp_path, "cpu")
    with pytest.raises(ModelError, match="install the one that the card names"):
        describe("tiny", tmp_path)


def test_altered_weights_of_a_segmenter_keep_its_model_from_being_used(tmp_path: Path) -> None:
    segmenter = write_tiny_segmenter(tmp_path)
    card = write_tiny_model(tmp_path).card
    named = replace(card, segmenter="tiny-segmenter", segmenter_sha256=segmenter.card.weights_sha256)
    write_card(MODEL, named, tmp_path / "tiny.json")
    segmenter.weights.write_bytes(segmenter.weights.read_bytes()[:-1])
    with pytest.raises(ModelError, match="altered or incomplete"):
        describe("tiny", tmp_path)


def test_a_folded_network_says_the_same() -> None:
    torch.manual_seed(3)
    net = SegNet((8, 12, 16, 16))
    pixels = torch.randn(2, 3, 64, 96)
    net(pixels)  # moves the running means away from where they start
    net.eval()
    with torch.inference_mode():
        assert torch.allclose(net(pixels), fold(net)(pixels), atol=1e-4)


def test_nothing_beyond_the_receptive_radius_has_a_part_in_a_pixel() -> None:
    """By the gradient, with all weights positive so that no path cancels another, for every phase of the stride."""
    torch.manual_seed(4)
    net = SegNet((2,) * MOST_LEVELS).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.abs_()
    side = 2 * RECEPTIVE_PX + 3 * STRIDE_PX
    pixels = torch.rand(1, 3, side, side, requires_grad=True)
    planes = net(pixels)
    reach = []
    for row in range(RECEPTIVE_PX + STRIDE_PX, RECEPTIVE_PX + 2 * STRIDE_PX):
        (gradient,) = torch.autograd.grad(planes[0, 0, row, row], pixels, retain_graph=True)
        rows = gradient.abs().sum((0, 1, 3)).nonzero()
        reach.append(max(row - int(rows.min()), int(rows.max()) - row))
    assert STRIDE_PX < max(reach) <= RECEPTIVE_PX
