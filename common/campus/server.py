"""The HTTP server: gunicorn's threaded worker, in which no client can keep others from being answered.

gunicorn gives each new connection to a thread, which waits for the request: as many silent clients as there are threads
stop the service. Here the main thread collects every request, and a thread gets it when all of it is there. THREADS
threads do the work; the rest of the requests wait in a queue. Four more threads answer what must always be answered.
"""

import contextlib
import errno
import logging
import re
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker

from campus import refusals
from campus.logs import JsonLines
from campus.partial_request import BODY_SECONDS, HEAD_SECONDS, PartialRequest
from campus.threads import Threads

REPLY_SECONDS = 10.0  # a client may take so long to take its answer
LINGER_SECONDS = 2.0  # so long a closed connection is read, as the answer is lost if the client still sends
DRAIN_SECONDS = 5.5  # a service that is stopped goes on answering for at most this long
LOOK_SECONDS = 0.5  # between two looks at all deadlines
CONTROL_THREADS = 4
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_CONTROL = re.compile(rb"(\r\n)?[A-Z]+ /(configure|health|ready|metrics)[ ?]")


class Log(Logger):
    """gunicorn's own log, as JSON lines like the service's."""

    def _set_handler(self, log: logging.Logger, output: Any, fmt: logging.Formatter, stream: Any = None) -> None:
        super()._set_handler(log, output, JsonLines("gunicorn"), stream)


class Connection:
    """A client's connection, and the request that arrives on it."""

    def __init__(self, sock: socket.socket, client: Any, server: Any) -> None:
        self.sock, self.client, self.server = sock, client, server
        self.request = PartialRequest()
        self.deadline = 0.0
        self.closing = False  # what still arrives is thrown away


class Worker(ThreadWorker):
    """The worker process of every service."""

    poller: selectors.DefaultSelector  # gunicorn makes both before `run`
    tpool: Threads

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: set[Connection] = set()  # for bytes
        self._working: set[Connection] = set()
        self._looked = 0.0
        self._control = Threads(CONTROL_THREADS, self._answer)

    def get_thread_pool(self) -> Threads:
        """Return the threads that do the work."""
        return Threads(self.cfg.threads, self._answer)

    def run(self) -> None:
        """Accept, collect and hand over until told to stop; then answer what was begun."""
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        self.set_accept_enabled(True)
        while self.alive and self.is_parent_alive():
            self._turn()
        self.alive = False
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        self._hurry()
        end = time.monotonic() + DRAIN_SECONDS
        while self.nr_conns > 0 and time.monotonic() < end:
            self._turn()

    def _turn(self) -> None:
        self.notify()
        self.wait_for_and_dispatch_events(LOOK_SECONDS)
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        for conn in [conn for conn in self._waiting if conn.deadline <= now]:
            self._give_up(conn)
        if self.alive:
            self.set_accept_enabled(self.nr_conns < self.worker_connections)

    def _hurry(self) -> None:
        """Let hanging requests end, and connections on which no request has begun."""
        for conn in self._working:
            _read_no_more(conn)
        for conn in self._waiting:
            conn.deadline = min(conn.deadline, time.monotonic() + LINGER_SECONDS)

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, and wait for its request."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in FULL:
                self.set_accept_enabled(False)  # until the next look
            return
        self.nr_conns += 1
        self._wait(Connection(sock, client, listener.getsockname()), HEAD_SECONDS)
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def _make_room(self) -> None:
        """Close a connection on which no request has begun, or accept no more until the next look."""
        idle = [conn for conn in self._waiting if not conn.request.data]
        if idle:
            self._give_up(min(idle, key=lambda conn: conn.deadline))
        else:
            self.set_accept_enabled(False)

    def _wait(self, conn: Connection, seconds: float) -> None:
        """Wait for what the client sends."""
        conn.deadline = time.monotonic() + seconds
        conn.sock.setblocking(False)
        self._waiting.add(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._read, conn))

    def _stop_waiting(self, conn: Connection) -> None:
        self._waiting.discard(conn)
        self.poller.unregister(conn.sock)

    def _read(self, conn: Connection, _: Any) -> None:
        if conn not in self._waiting:  # it was closed since the poller saw it
            return
        try:
            data = conn.sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._stop_waiting(conn)
            self._close(conn)
        elif not conn.closing:
            self._take(conn, data)

    def _take(self, conn: Connection, data: bytes) -> None:
        """Take in what has arrived; hand the request over when that is all of it."""
        request = conn.request
        before = request.has_head if request.data else None
        request.add(data)
        if request.complete:
            self._stop_waiting(conn)
            self._hand_over(conn)
        elif request.too_large:
            self._refuse(conn, 413 if request.has_head else 431)
        elif request.has_head != before:
            conn.deadline = time.monotonic() + (BODY_SECONDS if request.has_head else HEAD_SECONDS)
            if request.has_head and request.expects_continue:
                _send(conn.sock, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hand_over(self, conn: Connection) -> None:
        self._working.add(conn)
        if not self.alive:
            _read_no_more(conn)
        threads = self._control if _CONTROL.match(conn.request.data) else self.tpool
        threads.put(conn)

    def _answer(self, conn: Connection) -> None:
        keep = False
        try:
            keep = self.handle(conn)
        finally:
            self.method_queue.defer(self._answered, conn, keep)

    def handle(self, conn: Connection) -> bool:
        """Answer a request that is complete; return whether the connection stays open. Runs in a thread."""
        try:
            conn.sock.settimeout(REPLY_SECONDS)
            parser = RequestParser(self.cfg, iter([bytes(conn.request.data)]), conn.client)
            request = next(parser)
            request._expected_100_continue = False  # the body is there
            keep = self.handle_request(request, conn) and parser.finish_body()
            conn.request = PartialRequest()
            conn.request.add(parser.unreader.take_buffered())
            return keep
        except (OSError, StopIteration) as error:  # the client has left, or does not take its answer
            self.log.debug("connection lost: %s", error)
        except (Exception, SystemExit) as error:
            _send(conn.sock, refusals.failed(conn.request, error))
        return False

    def _answered(self, conn: Connection, keep: bool) -> None:
        self._working.discard(conn)
        if not keep:
            self._let_go(conn)
        elif conn.request.complete:
            self._hand_over(conn)
        else:
            seconds = self.cfg.keepalive if self.alive else LINGER_SECONDS
            self._wait(conn, HEAD_SECONDS if conn.request.data else seconds)

    def _give_up(self, conn: Connection) -> None:
        """Answer 408 if a request has begun, and close."""
        if conn.request.data and not conn.closing:
            self._refuse(conn, 408)
        else:
            self._stop_waiting(conn)
            self._close(conn)

    def _refuse(self, conn: Connection, status: int) -> None:
        self._stop_waiting(conn)
        _send(conn.sock, refusals.refused(conn.request, status))
        self._let_go(conn)

    def _let_go(self, conn: Connection) -> None:
        """Close the connection: say so first, and wait until the client has closed its end."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client was first
            self._close(conn)
        else:
            conn.closing = True
            self._wait(conn, LINGER_SECONDS if self.alive else 0.0)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.sock.close()


def _read_no_more(conn: Connection) -> None:
    """Let a request that hangs end: it takes this for its caller's leaving."""
    with contextlib.suppress(OSError):
        conn.sock.shutdown(socket.SHUT_RD)


def _send(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.send(data)
