"""Ed25519 keys of certificates, as PEM files: made, and read with care for who else may read them."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from worker.errors import BadRequestError, ProofError

_TOO_OPEN = stat.S_IRWXO | stat.S_IWGRP
_MOST_BYTES = 65_536


def make_key(path: Path) -> Path:
    """Write a new private key that only its owner may read, and FILE.pub beside it; return the latter's path.

    Raises BadRequestError when one of the files exists, as a key that was used is never replaced in silence.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    beside = path.with_name(f"{path.name}.pub")
    if beside.exists():
        raise BadRequestError(f"{beside} exists: name another file")
    _written(path, private, mode=0o600)
    _written(beside, public, mode=0o644)
    return beside


def private_key(path: Path) -> Ed25519PrivateKey:
    """Return the key that certificates are signed with.

    Raises ProofError when the file is no such key, and when others than its owner and group may read it.
    """
    fd = _opened(path)
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_mode & _TOO_OPEN:
            raise ProofError(f"{path} may be read or changed by others: chmod 600 it, or make a new key if they did")
        pem = file.read(_MOST_BYTES)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ProofError(f"{path} is no private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ProofError(f"{path} is no Ed25519 key: make one with `marrowline verify --make-key FILE`")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """Return the key that certificates are checked with. Raises ProofError."""
    with os.fdopen(_opened(path), "rb") as file:
        pem = file.read(_MOST_BYTES)
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProofError(f"{path} is no public key in PEM: give the file that ends in .pub") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ProofError(f"{path} is no Ed25519 key")
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of the key's 32 bytes, in hex: what a reader compares with what the lab has told."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ProofError(f"{path} cannot be read: {error.strerror}") from error


def _written(path: Path, content: bytes, *, mode: int) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise BadRequestError(f"{path} exists: name another file") from error
    except OSError as error:
        raise BadRequestError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(fd, "wb") as file:
        file.write(content)
