"""What fixes everything that decides the result of a reading, and gives it a digest: the plan of a slide."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from db.records import Plan
from worker.cells import stain_profile
from worker.cells.find import halo_px, named
from worker.cells.stain import fit_stain
from worker.cells.stain_norm import norm_for
from worker.nets.registry import Model
from worker.slides.reader import SlideReader
from worker.slides.scale import Scale, WorkingPlane
from worker.slides.smear import areas
from worker.slides.smear.readable import Readable
from worker.slides.smear.sample import sample_fields
from worker.slides.smear.survey import Told, survey
from worker.slides.tiling import Tile, batches, plan_tiles

_BATCH_ORDER_SEED = 2026


@dataclass(frozen=True, kw_only=True)
class ReadingSpec:
    """What a reading depends on besides the slide and the model."""

    told: Told = field(default_factory=Told)
    sandbox: str | None = None  # how firmly the slide is shut in, for the record
    core_px: int = 1024
    tiles_per_batch: int = 8
    origin_px: tuple[int, int] = (0, 0)  # of the tile grid, on the 64-px lattice
    counting: Mapping[str, Any] | None = None  # by whose looks it may stop early (`worker.counting.course`)


def plan_slide(reader: SlideReader, model: Model, spec: ReadingSpec, *, sha256: str) -> Plan:
    """Return the plan of one slide: scale, readable area, stain fit, tiles and their order.

    Raises:
        BadSlideError: when it is no smear, has no usable scale, or cannot be read at low resolution.
    """
    found = survey(reader, spec.told, model.card.mpp_um)
    plane, readable, scale = found.plane, found.readable, found.plane.scale
    sample = sample_fields(reader, plane, readable)
    stain = fit_stain(sample, plane.mpp_um)
    profile = stain_profile.measure(sample, plane.mpp_um, stain)
    document: dict[str, Any] = {
        **_of_program(model),
        **_of_slide(reader, plane, readable, sha256),
        **_of_settings(spec),
        "stain": stain.to_json(),
        "stain_norm": norm_for(profile, model.card.stain_norm).to_json(),
    }
    document = json.loads(json.dumps(document))  # what a take-over will read back
    in_order = tiles_in_order(document, plane, readable)
    document["n_tiles"] = sum(len(batch) for batch in in_order)
    return Plan(
        digest=plan_digest(document),
        n_batches=len(in_order),
        document=document,
        mpp_um=scale.mpp_um,
        mpp_source=scale.source,
        mpp_error_um=scale.error_um if scale.source == "estimated" else None,
        reader=reader.info.reader,
        sandbox=spec.sandbox,
        areas=areas.areas(readable, plane),
        area_shares=areas.shares(readable),
        stain_profile=profile.named(),
        sha256=sha256,
    )


def plane_of(document: Mapping[str, Any]) -> WorkingPlane:
    """Return the plane that a plan's tiles lie on."""
    return WorkingPlane(**{**document["plane"], "scale": Scale(**document["plane"]["scale"])})


def plan_digest(document: Mapping[str, Any]) -> str:
    """Return the name of a plan: the SHA-256 of its document, in hex."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def tiles_in_order(
    document: Mapping[str, Any], plane: WorkingPlane, readable: Readable
) -> tuple[tuple[Tile, ...], ...]:
    """Return a plan's batches of tiles, in the order in which they are read."""
    tiles = plan_tiles(
        plane.width_work,
        plane.height_work,
        core_px=document["core_px"],
        halo_px=document["halo_px"],
        readable=readable,
        origin=(document["origin_px"][0], document["origin_px"][1]),
    )
    return batches(tiles, document["tiles_per_batch"], document["order_seed"])


def _of_program(model: Model) -> dict[str, Any]:
    """Return what a plan says of what reads."""
    return {
        "version": 1,
        "package": version("marrowline"),
        "engine": model.device.type,
        "model": model.card.name,
        "weights_sha256": model.card.weights_sha256,
        "segmenter": named(model.segmenter),
        "halo_px": halo_px(model.segmenter),
        "order_seed": _BATCH_ORDER_SEED,
    }


def _of_slide(reader: SlideReader, plane: WorkingPlane, readable: Readable, sha256: str) -> dict[str, Any]:
    """Return what a plan says of what is read."""
    return {
        "slide_sha256": sha256,
        "plane": asdict(plane),
        "reader": reader.info.reader,
        "colours": reader.info.colours,
        "readable": readable.to_json(),
    }


def _of_settings(spec: ReadingSpec) -> dict[str, Any]:
    """Return what a plan says of how it is read."""
    told = {
        "core_px": spec.core_px,
        "origin_px": list(spec.origin_px),
        "tiles_per_batch": spec.tiles_per_batch,
    }
    # Looks are left out where there are none, so that such plans keep their digests.
    return told if spec.counting is None else told | {"counting": dict(spec.counting)}
