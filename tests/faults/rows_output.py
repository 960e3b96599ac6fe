"""Rows 20 and 39-42: a model that gives nonsense, runs out of memory, breaks its device, or was altered."""

from __future__ import annotations

import shutil

from tests.faults.rig import Rig
from tests.support.registry import altered


def _spoilt(rig: Rig, change: str) -> None:
    """Have the first batch that a worker calls come out spoilt; the slide after it is read by the same worker."""
    rig.line()
    rig.start("worker-3", change=change)
    rig.upload("struck", readable=False)
    rig.until(lambda: rig.value("SELECT count(*) FROM run WHERE state = 'quarantined'") == 1, "it is quarantined")
    rig.upload("bystander", "b", patient="other")
    rig.settled()
    row = rig.rows("SELECT error_code, attempt FROM run WHERE state = 'quarantined'")
    assert row == [{"error_code": "bad_output", "attempt": 1}], row
    written = rig.value("SELECT count(*) FROM cell JOIN run ON run.id = run_id WHERE state = 'quarantined'")
    assert written == 0, f"{written} cells of the spoilt run were written"


def beyond_one(rig: Rig) -> None:
    """Row 20."""
    _spoilt(rig, "probabilities beyond one")


def not_a_number(rig: Rig) -> None:
    """Row 41."""
    _spoilt(rig, "probabilities not a number")


def out_of_memory(rig: Rig) -> None:
    """Row 39."""
    rig.line()
    rig.start("worker-3", change="memory for one crop")
    rig.upload("struck")
    rig.settled()
    assert rig.value("SELECT attempt FROM run") == 1


def device_broken(rig: Rig) -> None:
    """Row 40."""
    rig.line()
    rig.start("worker-3", change="device breaks for good")
    rig.upload("struck")
    rig.until(lambda: rig.children("worker-3"), "the worker is up")
    first = rig.child("worker-3").pid
    rig.settled()
    assert rig.value("SELECT attempt FROM run") == 2
    assert rig.child("worker-3").pid != first, "the process with the broken device goes on"
    assert rig.ended("worker-3") is None


def weights_altered(rig: Rig) -> None:
    """Row 42."""
    models = rig.folder / "models"
    shutil.copytree(rig.ground.models, models)
    (weights,) = models.glob("*.safetensors")
    altered(weights)
    rig.line()
    rig.upload("struck")
    rig.start("worker-3", models_dir=str(models))
    rig.until(lambda: rig.ended("worker-3") is not None, "the worker refuses to start")
    assert rig.ended("worker-3") != 0
    assert "ModelError" in rig.log_of("worker-3").read_text()
    assert rig.value("SELECT coalesce(max(attempt), 0) FROM run") == 0, "it claimed a run"
    del rig.parts["worker-3"]
    rig.line("worker")
    rig.settled()
