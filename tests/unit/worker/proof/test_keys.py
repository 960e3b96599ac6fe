from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from worker.errors import BadRequestError, ProofError
from worker.proof.keys import fingerprint, make_key, private_key, public_key

NO_PASSWORD = serialization.NoEncryption()
PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def test_a_new_key_is_its_owners_alone_and_its_public_half_belongs_to_it(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert fingerprint(public_key(public)) == fingerprint(private_key(tmp_path / "key").public_key())


def test_no_file_is_ever_overwritten_by_a_key(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key")
    before = (tmp_path / "key").read_bytes(), public.read_bytes()
    with pytest.raises(BadRequestError, match="exists"):
        make_key(tmp_path / "key")
    (tmp_path / "key").unlink()
    with pytest.raises(BadRequestError, match=r"key\.pub exists"):
        make_key(tmp_path / "key")
    assert not (tmp_path / "key").exists()
    assert public.read_bytes() == before[1]


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o620, 0o601])
def test_a_key_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(ProofError, match="by others"):
        private_key(tmp_path / "key")


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o640])
def test_its_owner_and_its_group_may_read_a_key(tmp_path: Path, mode: int) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    private_key(tmp_path / "key")


def test_what_is_no_ed25519_key_is_refused_by_name(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    locked = serialization.BestAvailableEncryption(b"secret")
    contents = {
        "text": b"no key",
        "other": other.private_bytes(PEM, PKCS8, NO_PASSWORD),
        "locked": other.private_bytes(PEM, PKCS8, locked),
        "public": other.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    }
    for name, content in contents.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(content)
        for read in (private_key, public_key):
            with pytest.raises(ProofError, match=name):
                read(tmp_path / name)
    with pytest.raises(ProofError, match="No such file"):
        private_key(tmp_path / "absent")
