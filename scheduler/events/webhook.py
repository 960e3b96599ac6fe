"""The HTTP server that events are pushed to. It speaks as little HTTP as will do: one request for each connection."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import structlog

from scheduler.events.readiness import Readiness
from scheduler.events.reception import Reception, Reply, Request
from worker.errors import BadRequestError

log = structlog.get_logger(__name__)

_MOST_CONNECTIONS = 32
_SILENCE_S = 10.0
"""How long a sender may say nothing."""
_DEADLINE_S = 20.0
"""How long a request may take in all: one that comes byte by byte holds its place no longer."""
HEALTH = "/healthz"
"""Whether events can be taken: not while the inbox is away."""
ALIVE = "/livez"
"""Whether the process serves, for those who start it anew when it does not: that helps no database."""


class Webhook(socketserver.ThreadingMixIn, HTTPServer):
    """A listening server; `serve_forever` serves, `shutdown` stops it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, reception: Reception) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.reception = reception
        self.readiness = Readiness(reception.engine)
        self._places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise BadRequestError(
                f"cannot listen at {host} port {port} ({error.strerror}): "
                "correct MARROWLINE_WEBHOOK_HOST and MARROWLINE_WEBHOOK_PORT"
            ) from error

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread; one too many is closed at once."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection within its time."""
        deadline = threading.Timer(_DEADLINE_S, _cut, (request,))
        deadline.daemon = True
        deadline.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the server's interface
        """Log what ended a connection; a broken one is nothing special."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            log.info("a connection broke off", error=type(error).__name__)
        else:
            log.exception("a request met a bug")


class _Handler(BaseHTTPRequestHandler):
    """One request. Nothing of it is logged: its path may hold the token."""

    server: Webhook
    timeout = _SILENCE_S
    server_version = "marrowline"
    sys_version = ""

    def do_POST(self) -> None:
        """Take events."""
        request = Request(
            address=self.client_address[0],
            path=self.path,
            header=lambda name: self.headers.get(name, ""),
            read=self.rfile.read,
        )
        self._send(self.server.reception.answer(request))

    def do_GET(self) -> None:
        """Say that the server is there, and whether events can be taken."""
        if self.path not in (ALIVE, HEALTH):
            self._send(Reply(status=HTTPStatus.METHOD_NOT_ALLOWED, document={"error": "events are taken by POST"}))
        elif self.path == ALIVE or self.server.readiness.now():
            self._send(Reply(status=HTTPStatus.OK, document={"ok": True}))
        else:
            self._send(Reply(status=HTTPStatus.SERVICE_UNAVAILABLE, document={"error": "the inbox is away"}))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
        if reply.status != HTTPStatus.OK:
            self._linger()

    def _linger(self) -> None:
        """Wait until the sender is done: it might never see an answer that came before, as closing would cut it off."""
        self.connection.shutdown(socket.SHUT_WR)
        while self.connection.recv(65_536):
            continue


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # over already
        return
