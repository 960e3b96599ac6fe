"""The one user of the embedded broker. Its password lies in the home and travels in environments, and nowhere else."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from urllib.parse import quote

import redis

from scheduler.embedded.home import Home, write_whole

_USER = "marrowline"
_PASSWORD_BYTES = 24
_RIGHTS = "~* &* +@all -@admin -@dangerous -scan -randomkey +info +client|setname +client|setinfo"
"""All that queues need. Not among it: to empty, configure, watch or stop the server, list its keys, load modules."""


def users_file(home: Home) -> Path:
    """Return the file that the server reads its users from; of the password it holds a hash."""
    return home.redis / "users.acl"


def make_login(home: Home) -> None:
    """Make the password unless there is one, and the server's list of users; under the lock, before Redis starts."""
    password = _password(home) or secrets.token_hex(_PASSWORD_BYTES)
    digest = hashlib.sha256(password.encode()).hexdigest()
    write_whole(_password_file(home), password, mode=0o600)
    write_whole(users_file(home), f"user default off\nuser {_USER} on #{digest} {_RIGHTS}\n", mode=0o600)


def broker_url(home: Home) -> str:
    """Return the address of the embedded broker; it has no password where no start has made one yet."""
    password = _password(home)
    login = f"{_USER}:{password}@" if password else ""
    return f"redis+socket://{login}{quote(str(home.redis_socket), safe='/')}"


def client_at(url: str) -> redis.Redis:
    """Return a client of a broker at whichever address Celery reaches it; close it."""
    if url.startswith("redis+socket://"):
        address, mark, options = url.removeprefix("redis+socket://").partition("?")
        url = f"unix://{address}{mark}{options.replace('virtual_host=', 'db=')}"  # Celery's name for the same
    return redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)


def _password(home: Home) -> str:
    """Return the password; none in a home that was last started by a version without passwords.

    Nor in one of another user: whoever only asks how that stack stands needs none, and the socket keeps all else out.
    """
    try:
        return _password_file(home).read_text(encoding="ascii")
    except (FileNotFoundError, PermissionError):
        return ""


def _password_file(home: Home) -> Path:
    return home.redis / "password"
