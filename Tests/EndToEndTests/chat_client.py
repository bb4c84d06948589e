"""A WebSocket client over the `websockets` library."""

import json
import time
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


class Chat:
    """One connection. `expect` looks for a frame, and keeps the others for later."""

    def __init__(self, port, user_id=None, session_id=None, user_type=None, headers=None, query=None, **options):
        fields = {"user_id": user_id, "session_id": session_id, "user_type": user_type, **(query or {})}
        text = urlencode({name: value for name, value in fields.items() if value is not None})
        self.url = f"ws://127.0.0.1:{port}/ws" + (f"?{text}" if text else "")
        options.setdefault("open_timeout", 10)
        options.setdefault("max_queue", None)
        self.socket = connect(
            self.url, additional_headers=headers, compression=None, proxy=None, max_size=1 << 22, **options
        )
        self.seen = []
        self.kept = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, frame):
        self.socket.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame, ensure_ascii=False))

    def receive(self, timeout=5.0):
        frame = json.loads(self.socket.recv(timeout=timeout))
        self.seen.append(frame)
        return frame

    def expect(self, type, timeout=5.0, **members):
        """The next frame of this type with these members."""

        def fits(frame):
            return frame.get("type") == type and all(frame.get(name) == value for name, value in members.items())

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
                raise AssertionError(f"no {type} {members} within {timeout} s; seen: {self.seen[-20:]}") from None
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

    def close(self):
        self.socket.close()


def refused(port, **options):
    """Opens a connection that has to be refused; returns the HTTP answer."""
    try:
        chat = Chat(port, **options)
    except InvalidStatus as error:
        return error.response
    chat.close()
    raise AssertionError(f"the handshake was accepted: {chat.url}")
