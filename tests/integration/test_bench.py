from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import openslide
import pytest
from typer.testing import CliRunner

from tests.support.models import write_tiny_segmenter
from worker.bench import readers
from worker.bench.cli import bench
from worker.bench.memory import print_peak
from worker.bench.read import ReadSpec, bench_read
from worker.bench.report import as_json, as_table, measured
from worker.bench.segment import SegmentSpec, bench_segment
from worker.bench.slides import SlideSpec, bench_slide
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file


def silent(what: str, done: int, total: int) -> None:
    assert what
    assert 0 <= done <= total


@pytest.mark.parametrize("repeated", [False, True])
def test_the_slide_is_an_svs_of_drawn_tiles_read_directly(tmp_path: Path, repeated: bool) -> None:
    spec = SlideSpec(width_px=3000, height_px=2000, native_px=512, repeated=repeated)
    path = bench_slide(tmp_path, spec, silent)
    with openslide.OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.level_dimensions == ((3000, 2000), (750, 500), (187, 125))
    source = open_slide_file(path)
    assert source.info.reader == "tiled-jpeg"
    assert source.info.mpp_um == 0.25
    assert source.read_lv(0, Box(x=2400, y=1500, width=600, height=500)).std() > 10
    source.close()
    written = path.stat().st_mtime_ns
    assert bench_slide(tmp_path, spec, silent).stat().st_mtime_ns == written


def test_a_run_measures_every_configuration_beside_limit_and_alternatives(tmp_path: Path) -> None:
    spec = ReadSpec(width_px=5120, height_px=4096, native_px=(512,), threads=(2,), rounds=1, block_px=2048)
    results = bench_read(tmp_path, spec, silent)
    assert ["halo" in result.what for result in results] == [False, True]
    for result in results:
        assert result.ours > 0
        assert result.ratio_to_limit is not None
        assert {"openslide-python", "cucim (CPU)", "ours without the sandbox"} <= set(result.alternatives)
        assert result.alternatives["openslide-python"]


def test_an_alternative_that_is_not_installed_is_null_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(readers.ALTERNATIVES, "other", (readers.ALTERNATIVES["tiffslide"][0], "no_such_reader", ()))
    assert readers.installed("other") is None
    result = measured("w", {"ours": [2.0], "limit": [4.0], "other": []}, {}, {"other": "other: not installed"})
    (document,) = json.loads(as_json([result]))
    assert document["alternatives"] == {"other": None}
    assert document["notes"] == {"other": "other: not installed"}
    assert as_table(result).row_count == 3


def test_ratios_are_medians_of_the_rounds_own_ratios() -> None:
    rates = {"ours": [10.0, 100.0, 30.0], "limit": [20.0, 400.0, 40.0], "slow": [5.0, 10.0, 15.0]}
    result = measured("w", rates, {}, {})
    assert (result.ours, result.limit, result.ratio_to_limit) == (30.0, 40.0, 0.5)
    assert result.ours_to_alternatives == {"slow": 2.0}


def test_every_alternative_reads_the_same_pixels(tmp_path: Path) -> None:
    path = bench_slide(tmp_path, SlideSpec(width_px=1500, height_px=1200, native_px=256), silent)
    box = Box(x=130, y=70, width=700, height=600)
    with openslide.OpenSlide(path) as slide:
        oracle = np.asarray(slide.read_region((box.x, box.y), 0, (box.width, box.height)).convert("RGB"))
    for name, (opened, *_) in readers.ALTERNATIVES.items():
        if readers.installed(name):
            other = opened(path)
            rgb = np.asarray(other.read(box))
            other.close()
            assert rgb.shape == oracle.shape
            assert np.abs(rgb.astype(int) - oracle).max() <= (0 if name.startswith("openslide") else 20)


def test_the_peak_of_reading_a_slide_whole_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bench_slide(tmp_path, SlideSpec(width_px=1500, height_px=1200, native_px=256, repeated=True), silent)
    print_peak(str(path))
    assert 50 < float(capsys.readouterr().out) < 5000


def test_the_command_explains_itself() -> None:
    answer = CliRunner().invoke(bench, ["--help"])
    assert answer.exit_code == 0
    assert "read" in answer.output
    assert "memory" in answer.output


def test_segmenting_is_measured_beside_the_network_and_as_a_share_of_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_segmenter(tmp_path)
    monkeypatch.setenv("MARROWLINE_MODELS_DIR", str(tmp_path))
    spec = SegmentSpec(segmenter="tiny-segmenter", threads=(1,), rounds=1, crops_px=(48,))
    speed, share = bench_segment(spec, silent)
    assert speed.unit == "tiles/s"
    assert speed.ratio_to_limit is not None
    assert 0 < speed.ratio_to_limit <= 1
    assert set(speed.alternatives) == {"classical segmenter"}
    assert "% of the time in the network" in speed.notes["shares"]
    assert share.unit == "% of the time"
    assert 0 < share.ours <= 100
