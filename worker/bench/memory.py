"""How much memory reading takes, for a small and a large slide: it must not grow with the slide.

Each slide is read whole, overview first, by a fresh process and its sandboxed one; their peaks are added up.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil

from worker.bench.report import Measured, machine
from worker.bench.slides import Progress, SlideSpec, bench_slide
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.sandbox.reader import open_sandboxed
from worker.slides.scale import Scale, plane_for
from worker.slides.slide import WHITE
from worker.slides.tiling import batches, plan_tiles

SIDES_PX = (10_000, 60_000)
QUICK_SIDES_PX = (4_000, 12_000)
LIMIT_MB = 50.0
_NATIVE_PX, _CORE_PX, _HALO_PX, _BATCH = 256, 1024, 128, 8
_OVERVIEW_FACTOR = 32
_MPP_UM = 0.25
_THREADS = 2
_PROGRAM = "import sys; from worker.bench.memory import print_peak; print_peak(sys.argv[1])"


def bench_memory(folder: Path, sides_px: tuple[int, ...], progress: Progress) -> list[Measured]:
    """Return the difference between the peaks in MB, beside the most that is allowed."""
    peaks_mb: dict[int, float] = {}
    for number, side in enumerate(sides_px):
        spec = SlideSpec(width_px=side, height_px=side, native_px=_NATIVE_PX, repeated=True)
        path = bench_slide(folder, spec, progress)
        progress("reading whole slides", number, len(sides_px))
        answer = subprocess.run([sys.executable, "-c", _PROGRAM, str(path)], check=True, capture_output=True, text=True)
        peaks_mb[side] = float(answer.stdout)
    progress("reading whole slides", len(sides_px), len(sides_px))
    small, *_, large = sides_px
    more_mb = round(peaks_mb[large] - peaks_mb[small], 1)
    return [
        Measured(
            what=f"peak memory of reading {large} x {large} px over that of {small} x {small} px, {_THREADS} threads",
            unit="MB",
            ours=more_mb,
            limit=LIMIT_MB,
            ratio_to_limit=round(more_mb / LIMIT_MB, 3),
            alternatives={f"{side} x {side} px": peak for side, peak in peaks_mb.items()},
            ours_to_alternatives={},
            machine=machine(),
            notes={},
        )
    ]


def print_peak(path: str) -> None:
    """Read a slide whole and print the peak of this process and those below it in MB."""
    with closing(open_sandboxed(Path(path), threads=_THREADS)) as reader:
        plane = plane_for(reader.info, Scale(mpp_um=_MPP_UM, source="header"), _MPP_UM)
        reader.overview(_OVERVIEW_FACTOR)
        planned = plan_tiles(
            plane.width_work, plane.height_work, core_px=_CORE_PX, halo_px=_HALO_PX, readable=_Everywhere()
        )
        boxes = [tile.read_work for batch in batches(planned, _BATCH, 1) for tile in batch]
        for tile in reader.tiles(plane, boxes, WHITE):
            if isinstance(tile, BadSlideError):
                raise tile
        sys.stdout.write(f"{sum(_peaks_mb()):.1f}\n")


class _Everywhere:
    def any_in(self, box_work: Box) -> bool:
        """Tell that everything is read."""
        return bool(box_work.width)


def _peaks_mb() -> Iterator[float]:
    here = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                yield int(line.split()[1]) * 1024 / 1e6
