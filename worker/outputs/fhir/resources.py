"""The patient by its pseudonym, the specimens with their slides, and the model that looked at them."""

from __future__ import annotations

from importlib.metadata import version

from db.cases import Case, CaseSlide
from worker.outputs.fhir.elements import Json, given, instant, urn
from worker.outputs.panel import NOTICE
from worker.outputs.report.words import UNSTATED

_WORDS = {"marrow": "bone marrow smear", "blood": "blood smear"}


def specimen_words(specimen: str) -> str:
    """Return what a specimen is, for people."""
    return _WORDS.get(specimen, f"smear of {UNSTATED}")


def patient_urn(case: Case) -> str:
    """Return the address of the patient."""
    return urn("patient", case.report.lab, case.report.patient)


def specimen_urn(case: Case, specimen: str) -> str:
    """Return the address of what the patient's slides of one kind were smeared from."""
    return urn("specimen", case.report.lab, case.report.patient, specimen)


def device_urn(case: Case) -> str:
    """Return the address of the model version."""
    return urn("model", case.model.model_version, case.model.weights_sha256)


def patient_of(case: Case) -> Json:
    """Return the patient: its pseudonym and nothing else, as nothing else is known."""
    return {
        "resourceType": "Patient",
        "identifier": [
            {
                "use": "secondary",
                "type": {"text": "pseudonym given by the laboratory"},
                "system": urn("pseudonyms of laboratory", case.report.lab),
                "value": case.report.patient,
                "assigner": {"display": case.report.lab},
            }
        ],
    }


def specimen_of(case: Case, specimen: str) -> Json:
    """Return a specimen with each slide that was made of it."""
    slides = [slide for slide in case.slides if slide.specimen == specimen]
    taken = [slide.taken_at for slide in slides if slide.taken_at is not None]
    return given(
        resourceType="Specimen",
        type={"text": specimen_words(specimen)},
        subject={"reference": patient_urn(case)},
        collection=given(collectedDateTime=instant(min(taken)) if taken else None),
        container=[_slide(slide) for slide in slides],
    )


def device_of(case: Case) -> Json:
    """Return the model version as the device that made the observations."""
    model = case.model
    return given(
        resourceType="Device",
        identifier=[{"type": {"text": "SHA-256 of the weights"}, "value": model.weights_sha256}],
        status="active",
        manufacturer="Marrowline",
        deviceName=[{"name": model.model_version, "type": "model-name"}],
        type={"text": "software that finds and classifies cells in scanned smears"},
        version=[{"type": {"text": "Marrowline"}, "value": version("marrowline")}],
        note=[{"text": text} for text in dict.fromkeys((NOTICE, model.limits)) if text],
    )


def _slide(slide: CaseSlide) -> Json:
    """Return a slide as a container: known by its bytes, since its key may hold the pseudonym."""
    return given(
        identifier=[{"type": {"text": "SHA-256 of the slide's file"}, "value": slide.sha256}] if slide.sha256 else [],
        description="; ".join(_said(slide)),
    )


def _said(slide: CaseSlide) -> list[str]:
    said = [f"slide {slide.slide_id}", slide.state]
    if slide.cells is not None:
        said.append(f"cells found: {slide.cells}")
    if slide.stain:
        said.append(f"stain: {slide.stain}")
    if slide.error_code:
        said.append(f"{slide.error_code}: {slide.reason}")
    return said
