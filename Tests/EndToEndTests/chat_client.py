"""A WebSocket client over the `websockets` library, and what tests ask of any client."""

import contextlib
import json
import select
import socket
import ssl
import threading
import time
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


def address(port, user_id=None, session_id=None, user_type=None, query=None, base=None):
    """Where a user's WebSocket is opened; `base` is another edge's `wss://host:port`."""
    fields = {"user_id": user_id, "session_id": session_id, "user_type": user_type, **(query or {})}
    text = urlencode({name: value for name, value in fields.items() if value is not None})
    return f"{base or f'ws://127.0.0.1:{port}'}/ws" + (f"?{text}" if text else "")


class OneAtATime(ssl.SSLSocket):
    """Lets one thread into OpenSSL at a time; `websockets` writes in one and reads in another.

    Where the one takes the session tickets that come after the handshake while the other writes, OpenSSL loses what
    is written: the request for a WebSocket never left, one time in a hundred on a machine with much to do.
    """

    def __new__(cls, *arguments, **options):
        self = super().__new__(cls, *arguments, **options)
        self.turn = threading.RLock()
        return self

    def recv(self, *arguments):
        while True:
            with self.turn:
                timeout = self.gettimeout()
                self.settimeout(0)
                try:
                    return super().recv(*arguments)
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self.settimeout(timeout)
            select.select([self], [], [])

    def sendall(self, *arguments):
        with self.turn:
            super().sendall(*arguments)

    def settimeout(self, *arguments):
        with self.turn:
            super().settimeout(*arguments)


def tls(authority):
    """What `Chat` needs for `wss://` with an authority of one's own."""
    context = ssl.create_default_context(cafile=authority)
    context.sslsocket_class = OneAtATime
    return context


# What has a `seq`: the entries of a conversation's log.
ENTRY_TYPES = {"Chat", "Recall", "AgentAssigned", "Transferred", "ConversationClosed"}


class Connection:
    """One connection. `expect` looks for a frame, and keeps the others for later.

    A subclass has `_text(timeout)`, the next message, `_send(data)`, `raw`, `pause`, `resume`, `drop` and `close`.
    """

    def __init__(self):
        self.seen = []
        self.kept = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, frame):
        """Sends a text frame: a document, or as it is; bytes go as a binary frame."""
        self._send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame, ensure_ascii=False))

    def receive(self, timeout=5.0):
        frame = json.loads(self._text(timeout))
        self.seen.append(frame)
        return frame

    def expect(self, type, timeout=5.0, **members):
        """The next frame of this type with these members."""

        def fits(frame):
            return frame.get("type") == type and all(frame.get(name) == value for name, value in members.items())

        return self.expect_that(fits, f"{type} {members}", timeout)

    def expect_that(self, fits, what, timeout=5.0):
        """The next frame that fits."""
        for index, frame in enumerate(self.kept):
            if fits(frame):
                return self.kept.pop(index)
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise TimeoutError
                frame = self.receive(timeout=left)
            except TimeoutError:
                raise AssertionError(f"no {what} within {timeout} s; seen: {self.seen[-20:]}") from None
            if fits(frame):
                return frame
            self.kept.append(frame)

    def expect_closed(self, timeout=5.0):
        """Reads on until the server closes; returns its close code."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.kept.append(self.receive(timeout=max(0.01, deadline - time.monotonic())))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None
        except TimeoutError:
            raise AssertionError(f"still open after {timeout} s; seen: {self.seen[-20:]}") from None

    def settle(self):
        """Waits until the server has answered everything sent so far; keeps what came in between."""
        marker = {"type": "Heartbeat"}
        self.send(marker)
        self.expect("Heartbeat")


class Chat(Connection):
    """The client of Python's `websockets`."""

    def __init__(
        self, port, user_id=None, session_id=None, user_type=None, headers=None, query=None, base=None, **options
    ):
        super().__init__()
        self.url = address(port, user_id, session_id, user_type, query, base)
        options.setdefault("open_timeout", 10)
        options.setdefault("max_queue", None)
        self.socket = connect(
            self.url, additional_headers=headers, compression=None, proxy=None, max_size=1 << 22, **options
        )
        self.paused = False

    def _send(self, data):
        self.socket.send(data)

    def _text(self, timeout):
        return self.socket.recv(timeout=timeout)

    def raw(self, data):
        """Sends bytes that are no frame, or a bad one."""
        self.socket.socket.sendall(data)

    def pause(self):
        """Reads nothing from here on, and so answers no ping."""
        self.socket.recv_flow_control.acquire()
        self.paused = True

    def resume(self):
        self.paused = False
        self.socket.recv_flow_control.release()

    def drop(self):
        """Ends the connection without a close frame."""
        with contextlib.suppress(OSError):
            self.socket.socket.shutdown(socket.SHUT_RDWR)

    def close(self):
        if self.paused:
            self.resume()
        self.socket.close()


def refused(port, client=Chat, **options):
    """Opens a connection that has to be refused; returns the HTTP answer."""
    try:
        chat = client(port, **options)
    except InvalidStatus as error:
        return error.response
    chat.close()
    raise AssertionError(f"the handshake was accepted: {chat.url}")
