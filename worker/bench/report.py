"""What a benchmark answers, as JSON and as a table."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One configuration: our figure beside its limit and its alternatives, all from the same rounds."""

    what: str
    unit: str
    ours: float
    limit: float | None
    ratio_to_limit: float | None
    alternatives: Mapping[str, float | None]  # None: not installed
    ours_to_alternatives: Mapping[str, float | None]
    machine: Mapping[str, Any]
    notes: Mapping[str, str]


def measured(
    what: str,
    rates: Mapping[str, Sequence[float]],
    machine: Mapping[str, Any],
    notes: Mapping[str, str],
    *,
    unit: str = "MPix/s",
) -> Measured:
    """Return medians of the rounds' rates, and ratios as medians of the rounds' own ratios.

    Args:
        rates: by name, a rate per round; `ours` and `limit` are among them. An empty one was not measured.
    """
    beside = {name: values for name, values in rates.items() if name not in ("ours", "limit")}
    return Measured(
        what=what,
        unit=unit,
        ours=_figure(rates["ours"]),
        limit=_figure(rates["limit"]),
        ratio_to_limit=_ratio(rates["ours"], rates["limit"]),
        alternatives={name: _figure(values) if values else None for name, values in beside.items()},
        ours_to_alternatives={name: _ratio(rates["ours"], values) for name, values in beside.items()},
        machine=machine,
        notes=notes,
    )


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def as_json(results: Sequence[Measured]) -> str:
    """Return the results as one JSON document."""
    return json.dumps([asdict(result) for result in results], indent=1)


def as_table(result: Measured) -> Table:
    """Return one result as a table."""
    table = Table(title=result.what, title_justify="left", caption="; ".join(result.notes.values()) or None)
    for name in ("reader", result.unit, "of the limit", "ours is"):
        table.add_column(name, justify="left" if name == "reader" else "right")
    rows = {"ours": result.ours, "the limit": result.limit, **result.alternatives}
    for name, value in rows.items():
        times = result.ours_to_alternatives.get(name)
        table.add_row(
            name,
            "-" if value is None else f"{value:.3g}",
            f"{value / result.limit:.2f}" if value is not None and result.limit else "-",
            f"{times:.2f} x" if times else "",
        )
    return table


def _figure(values: Sequence[float]) -> float:
    return round(statistics.median(values), 1)


def _ratio(ours: Sequence[float], others: Sequence[float]) -> float | None:
    if not others:
        return None
    return round(statistics.median(mine / other for mine, other in zip(ours, others, strict=True)), 3)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
