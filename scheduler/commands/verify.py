"""`marrowline verify`: proof of a finding, certificates of it, and their keys."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.text import Text

from scheduler.cli import EXIT_FAILED
from scheduler.commands import screen
from scheduler.commands.bar import counting_bar
from scheduler.commands.screen import Json
from scheduler.commands.tables import Lab
from scheduler.config import ProofSettings
from scheduler.embedded.resolve import resolve
from scheduler.workshop import part, workshop_of
from worker.errors import BadRequestError, ProofError
from worker.outputs.files import whole_bytes
from worker.proof import keys
from worker.proof.certificate import checked, signed
from worker.proof.proof import Proof, Request
from worker.proof.statement import statement

_MOST_SHOWN = 20
_FileOption = Path | None


def verify(
    patient: Annotated[str | None, typer.Argument(metavar="PATIENT", help="Whose finding: the pseudonym.")] = None,
    *,
    lab: Lab = None,
    sample: Annotated[int, typer.Option(min=1, help="Batches of each slide to read again.")] = 2,
    seed: Annotated[int | None, typer.Option(min=0, help="What they are drawn by; left out: drawn anew.")] = None,
    out: Annotated[_FileOption, typer.Option(metavar="FILE", help="Where to write a signed certificate.")] = None,
    certificate: Annotated[_FileOption, typer.Option(metavar="FILE", help="Check this certificate instead.")] = None,
    public_key: Annotated[_FileOption, typer.Option(metavar="FILE", help="The key that it must be signed by.")] = None,
    make_key: Annotated[_FileOption, typer.Option(metavar="FILE", help="Make a key, and FILE.pub, instead.")] = None,
    as_json: Json = False,
) -> None:
    """Prove a patient's finding: slides, plans, model, cells, counts, verdict and audit. Exit 1 when anything differs.

    A certificate is signed with the key that MARROWLINE_SIGNING_KEY_FILE names. Checking one needs neither the
    database nor the network: give it with --certificate, and the signer's FILE.pub with --public-key.
    """
    if sum(one is not None for one in (patient, certificate, make_key)) != 1:
        raise BadRequestError("give a PATIENT, or --certificate FILE, or --make-key FILE")
    if make_key is not None:
        _make_key(make_key, as_json=as_json)
    elif certificate is not None:
        _check(certificate, public_key, as_json=as_json)
    else:
        drawn = secrets.randbelow(2**32) if seed is None else seed
        request = Request(patient=patient or "", lab=lab, sample=sample, seed=drawn)
        _prove(request, out, as_json=as_json)


def _make_key(path: Path, *, as_json: bool) -> None:
    public = keys.make_key(path)
    fingerprint = keys.fingerprint(keys.public_key(public))
    if as_json:
        screen.print_json({"key": str(path), "public_key": str(public), "public_key_sha256": fingerprint})
        return
    screen.say(screen.facts({"key": str(path), "public key": str(public), "its SHA-256": fingerprint}))
    screen.say(Text(f"Sign with it: MARROWLINE_SIGNING_KEY_FILE={path}. Give out {public} only.", overflow="fold"))
    screen.close()


def _check(path: Path, public_key: Path | None, *, as_json: bool) -> None:
    if public_key is None:
        raise BadRequestError("name the signer's key: --public-key FILE.pub; a certificate cannot vouch for itself")
    try:
        document = path.read_bytes()
    except OSError as error:
        raise ProofError(f"{path} cannot be read: {error.strerror}") from error
    body = checked(document, keys.public_key(public_key))
    if as_json:
        screen.print_json({"valid": True, "certificate": body})
        return
    screen.say(Text("The signature is valid: this was certified and has not been changed.", style="bold green"))
    screen.say(screen.facts(_essentials(body)))
    screen.close()


def _essentials(body: Mapping[str, Any]) -> dict[str, str]:
    names = ("lab", "patient", "finding", "reason", "rule", "cells", "audit_head", "issued_at")
    slides = {f"slide {one['slide_id']}": str(one["sha256"]) for one in body["slides"]}
    model = {"model": f"{body['model']['name']}  {body['model']['weights_sha256']}"}
    read = body["verified"]
    again = {"read again": _read_again(read["batches"], read["batches_of_each_slide"], read["seed"])}
    return {name: str(body[name]) for name in names} | model | slides | again


def _read_again(batches: int, of_each: int, seed: int) -> str:
    """Return how much of the slides a proof rests on, so that no certificate is taken for more than it is."""
    if not batches:
        return "nothing: no batch of any slide was read again"
    return f"{batches:,} batch{'es' if batches > 1 else ''}, at most {of_each:,} of each slide, drawn by --seed {seed}"


def _prove(request: Request, out: Path | None, *, as_json: bool) -> None:
    key = _signing_key() if out else None  # asked for before the work is done, as the place is
    if out and not out.parent.is_dir():
        raise BadRequestError(f"{out} cannot be written: there is no folder {out.parent}; make it first")
    with workshop_of(resolve()) as workshop, counting_bar("read again") as tell:
        proof: Proof = part("verify")(workshop, request, tell)
    if out and key and not proof.differences:
        with whole_bytes(out) as file:
            file.write(signed(statement(proof, datetime.now(UTC)), key))
    if as_json:
        screen.print_json(_document(proof, out))
    else:
        _show(proof, out)
    if proof.differences:
        raise typer.Exit(EXIT_FAILED)


def _signing_key() -> Ed25519PrivateKey:
    path = ProofSettings().signing_key_file
    if path is None:
        raise BadRequestError(
            "no key to sign with: set MARROWLINE_SIGNING_KEY_FILE, made by `marrowline verify --make-key FILE`"
        )
    return keys.private_key(path)


def _document(proof: Proof, out: Path | None) -> dict[str, Any]:
    report = proof.case.report
    return {
        "lab": report.lab,
        "patient": report.patient,
        "finding": report.finding,
        "rule": report.rule,
        "model_version": report.model_version,
        "agrees": not proof.differences,
        "checks": [asdict(one) for one in proof.checks],
        "notes": proof.notes,
        "seed": proof.request.seed,
        "batches": proof.batches,
        "audit_head": proof.audit_head,
        "certificate": str(out) if out and not proof.differences else None,
    }


def _show(proof: Proof, out: Path | None) -> None:
    report = proof.case.report
    screen.say(Text(f"{report.lab}/{report.patient}: {report.finding}, by {report.rule}", style="bold"))
    made = screen.table("checked", "of", "agreed", right=("of", "agreed"))
    for one in proof.checks:
        style = "red" if one.differences else "green"
        made.add_row(one.what, f"{one.checked:,}", Text(f"{one.agreed:,}", style=style))
    screen.say(made)
    screen.say()
    for difference in proof.differences[:_MOST_SHOWN]:
        screen.say(Text(difference, style="red", overflow="fold"))
    if len(proof.differences) > _MOST_SHOWN:
        screen.say(f"and {len(proof.differences) - _MOST_SHOWN:,} more; --json tells all")
    for note in proof.notes:
        screen.say(note)
    asked = proof.request
    screen.say(f"Read again: {_read_again(proof.batches, asked.sample, asked.seed)}.")
    if proof.differences:
        screen.say(Text("NOT PROVEN: what is stored differs from what is found now.", style="bold red"))
    else:
        screen.say(Text("Everything agrees." + (f" Certificate: {out}" if out else ""), style="bold green"))
    screen.close()
