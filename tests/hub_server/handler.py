"""HTTP: requests read whole, answers written whole, or broken as a fault wants it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from hub_server.answers import Answer
from hub_server.faults import Fault
from hub_server.log import Request

if TYPE_CHECKING:
    from hub_server.server import HubServer


class Listener(ThreadingHTTPServer):
    """One address of the Hub. It is bound when made, and listens when it is told to."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, hub: HubServer, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler, bind_and_activate=False)
        self.server_bind()
        self.hub = hub
        self.connections: set[socket.socket] = set()
        self.listens = False

    def start(self) -> None:
        """Listen, in a thread that does not keep the process."""
        self.listens = True
        self.server_activate()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep bugs for the test; a client that went away is none. The connection is closed."""
        if not isinstance(sys.exception(), OSError):
            self.hub.errors.append(traceback.format_exc())

    def close_all(self) -> None:
        """Close what is open, so that no client goes on by an old connection."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def answer(self) -> None:
        """Answer one request."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self._body())
        hub, storage = self.server.hub, self.server is self.server.hub.storage
        answer, fault = hub.answer(request, from_storage=storage)
        if fault is not None and (fault.reset or fault.stall == 0):
            return self._broken(fault)
        request.status = answer.status
        sent = fault.sent(answer) if fault is not None else None
        self._send(answer, sent)
        return self._broken(fault) if sent is not None else None

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def _send(self, answer: Answer, count: int | None) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[:count])
        self.wfile.flush()

    def _broken(self, fault: Fault | None) -> None:
        """End the connection: at once, or when the client has had enough of waiting."""
        self.close_connection = True
        if fault is not None and fault.stall is not None:
            self._wait_for_client()
        if fault is not None and fault.reset:
            self._reset()

    def _reset(self) -> None:
        """Close the socket itself: an orderly shutdown before would tell the client of an end."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.server.connections.discard(self.connection)
        os.close(self.connection.detach())

    def _wait_for_client(self) -> None:
        """Wait until the client hangs up, or the test is over."""
        released = self.server.hub.released
        while not released.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable:
                return

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data
