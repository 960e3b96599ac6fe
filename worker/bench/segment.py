"""How fast cells are found, beside the network alone and the classical segmenter, and its share of the line's time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from db.records import CellClass
from worker.bench.report import Measured, machine, measured
from worker.bench.slides import Progress
from worker.cells import preprocess
from worker.cells.gpu_basins import basins_on
from worker.cells.instances import cells_of
from worker.cells.learned import predict_maps
from worker.cells.segment import CellMask, fit_stain, segment
from worker.config import WorkerSettings
from worker.drawing.smear import SmearSpec, draw_smear
from worker.geometry import Box
from worker.nets.hybrid import FULL, Hybrid
from worker.nets.imagenet import IMAGENET_MEAN, IMAGENET_STD
from worker.nets.reach import LEARNED_HALO_PX
from worker.nets.segmenters import Segmenter, load_segmenter

_CORE_PX = 1024
_SIDE_PX = _CORE_PX + 2 * LEARNED_HALO_PX
_MPP_UM = 0.25
_CELLS_PER_MPX = 13
"""White cells of a blood smear."""
_CLASSES = 14
_SEED = 2026

Tile = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class SegmentSpec:
    """What is measured."""

    segmenter: str
    threads: tuple[int, ...] = (1, 2)
    rounds: int = 7
    crops_px: tuple[int, ...] = (224, 80)  # inputs of the hybrid at full width: as published, and as shipped


QUICK_ROUNDS, QUICK_CROPS_PX = 2, (80,)


def bench_segment(spec: SegmentSpec, progress: Progress) -> list[Measured]:
    """Measure on the CPU with each number of threads, and on a GPU where there is one; then the shares of the line."""
    tiles, models_dir = _drawn_tiles(3), WorkerSettings().models_dir
    devices = [("cpu", threads) for threads in spec.threads]
    devices += [("cuda:0", 1)] if torch.cuda.is_available() else []
    results: list[Measured] = []
    total = len(devices) + len(spec.crops_px)
    for device, threads in devices:
        progress("measuring", len(results), total)
        results.append(_speed(load_segmenter(spec.segmenter, models_dir, device), tiles, threads, spec.rounds))
    for crop_px in spec.crops_px:
        progress("measuring", len(results), total)
        results.append(_share(load_segmenter(spec.segmenter, models_dir, "cpu"), tiles, crop_px, max(spec.threads)))
    progress("measuring", total, total)
    return results


def _speed(segmenter: Segmenter, tiles: Sequence[Tile], threads: int, rounds: int) -> Measured:
    fit = fit_stain(tiles[0], _MPP_UM)
    seconds: dict[str, list[float]] = {"network": [], "decoding": [], "classical": []}
    with _threads(threads):
        for number in range(-1, rounds):  # the first round warms up
            tile = tiles[number % len(tiles)]
            network, maps = _timed(partial(predict_maps, tile, segmenter))
            decoding, _ = _timed(partial(cells_of, maps, _MPP_UM, basins=basins_on(segmenter.device)))
            classical, _ = _timed(partial(segment, tile, fit, _MPP_UM))
            if number >= 0:
                for name, taken in (("network", network), ("decoding", decoding), ("classical", classical)):
                    seconds[name].append(taken)
    both = [a + b for a, b in zip(seconds["network"], seconds["decoding"], strict=True)]
    share = statistics.median(a / b for a, b in zip(seconds["network"], both, strict=True))
    rates = {
        "ours": [1 / taken for taken in both],
        "limit": [1 / taken for taken in seconds["network"]],
        "classical segmenter": [1 / taken for taken in seconds["classical"]],
    }
    where = f"{segmenter.device}, {threads} thread{'s' * (threads > 1)}"
    what = f"segment {_CORE_PX} px tiles with a halo of {LEARNED_HALO_PX} px: {segmenter.card.name}, {where}"
    notes = {
        "limit": "limit: the network alone",
        "shares": f"{share:.0%} of the time in the network, {1 - share:.0%} in decoding",
    }
    return measured(what, rates, machine(), notes, unit="tiles/s")


def _share(segmenter: Segmenter, tiles: Sequence[Tile], crop_px: int, threads: int) -> Measured:
    """Measure which share of finding and calling a tile's cells is finding them; reading, as small, is left out."""
    torch.manual_seed(_SEED)
    net = Hybrid(FULL, _CLASSES).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    finding, calling, found = [], [], 0
    with _threads(threads):
        for number in range(-1, len(tiles)):
            tile = tiles[number]
            taken, cells = _timed(partial(_counted, tile, segmenter))
            called, _ = _timed(partial(_call, net, tile, cells, crop_px))
            if number >= 0:
                finding.append(taken)
                calling.append(called)
                found += len(cells)
    share = sum(finding) / (sum(finding) + sum(calling))
    return Measured(
        what=f"share of segmentation in finding and calling cells: hybrid of full width at {crop_px} px, cpu",
        unit="% of the time",
        ours=round(100 * share, 1),
        limit=None,
        ratio_to_limit=None,
        alternatives={},
        ours_to_alternatives={},
        machine=machine(),
        notes={"cells": f"{found / len(tiles):.0f} cells a tile, {threads} threads"},
    )


def _counted(tile: Tile, segmenter: Segmenter) -> list[CellMask]:
    """Return the cells that the line would call for a tile: those whose centre lies in its core."""
    core = Box(x=LEARNED_HALO_PX, y=LEARNED_HALO_PX, width=_CORE_PX, height=_CORE_PX)
    found = cells_of(predict_maps(tile, segmenter), _MPP_UM, basins=basins_on(segmenter.device))
    return [cell for cell in found if core.holds_mean(cell.sum_x, cell.sum_y, cell.count)]


def _call(net: Hybrid, tile: Tile, cells: Sequence[CellMask], crop_px: int) -> None:
    cut = preprocess.crops(tile, [cell.centre_tile for cell in cells], crop_px)
    values = torch.from_numpy(preprocess.to_input(cut, IMAGENET_MEAN, IMAGENET_STD))
    with torch.inference_mode():
        net(values.contiguous(memory_format=torch.channels_last))


def _drawn_tiles(number: int) -> list[Tile]:
    cells = round(_CELLS_PER_MPX * _SIDE_PX**2 / 1e6)
    kinds = (CellClass.NEUTROPHIL, CellClass.LYMPHOCYTE, CellClass.MONOCYTE)
    composition: Mapping[CellClass, int] = {kind: -(-cells // len(kinds)) for kind in kinds}
    specs = (
        SmearSpec(width_px=_SIDE_PX, height_px=_SIDE_PX, mpp_um=_MPP_UM, seed=_SEED + no, composition=composition)
        for no in range(number)
    )
    return [draw_smear(spec).rgb for spec in specs]


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    out = action()
    return time.perf_counter() - begun, out


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(number)
    cv2.setNumThreads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
