"""Certificates: a JSON document that says what was verified, signed so that nobody can change it unseen.

Signed is the canonical JSON of the document's `certificate` (sorted names, no spaces, ASCII) behind a fixed line, by
Ed25519 (RFC 8032). A certificate carries the fingerprint of its key, never the key: who checks it brings the key.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from worker.errors import ProofError
from worker.proof.keys import fingerprint

TYPE = "marrowline certificate"
_DOMAIN = b"marrowline certificate, version 1\n"
_ALGORITHM = "Ed25519"


def signed(body: Mapping[str, Any], key: Ed25519PrivateKey) -> bytes:
    """Return the document of a certificate with that content, as UTF-8 that people can read too."""
    document = {
        "certificate": dict(body),
        "signature": {
            "algorithm": _ALGORITHM,
            "public_key_sha256": fingerprint(key.public_key()),
            "value": base64.b64encode(key.sign(_message(body))).decode(),
        },
    }
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def checked(document: bytes, key: Ed25519PublicKey) -> dict[str, Any]:
    """Return what a certificate says, when the key's owner signed exactly that.

    Raises ProofError, which tells a document that is no certificate, another signer, and an altered content apart.
    """
    body, signature = _parts(document)
    if signature.get("public_key_sha256") != fingerprint(key):
        raise ProofError(
            f"the certificate names another key: its fingerprint is {signature.get('public_key_sha256')}, "
            f"that of the key given is {fingerprint(key)}"
        )
    try:
        key.verify(base64.b64decode(str(signature.get("value")), validate=True), _message(body))
    except (InvalidSignature, ValueError) as error:
        raise ProofError("the signature does not fit: the certificate was changed after it was signed") from error
    return body


def _message(body: Mapping[str, Any]) -> bytes:
    return _DOMAIN + json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _parts(document: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        found = json.loads(document, object_pairs_hook=_without_doubles, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise ProofError(f"not a certificate: {error}") from error
    body, signature = (found.get(name) if isinstance(found, dict) else None for name in ("certificate", "signature"))
    if not isinstance(body, dict) or not isinstance(signature, dict) or body.get("type") != TYPE:
        raise ProofError("not a certificate: it has no `certificate` of this kind with a `signature`")
    if signature.get("algorithm") != _ALGORITHM:
        raise ProofError(f"not signed by {_ALGORITHM}, but by {signature.get('algorithm')}")
    return body, signature


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; readers differ in which of two values of one name they take, so there may be one only."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
