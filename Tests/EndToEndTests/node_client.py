"""A WebSocket client over node's `ws`, as `chat_client.Chat` is one over Python's `websockets`."""

import base64
import contextlib
import json
import pathlib
import queue
import subprocess
import threading

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from chat_client import Connection, address
from commands import ENVIRONMENT

SCRIPT = pathlib.Path(__file__).resolve().parent / "node_client.js"


class NodeChat(Connection):
    """The client of node's `ws`, in a process of its own."""

    def __init__(self, port, user_id=None, session_id=None, user_type=None, headers=None, query=None):
        super().__init__()
        self.url = address(port, user_id, session_id, user_type, query)
        self.child = subprocess.Popen(
            ["node", str(SCRIPT), self.url, json.dumps(headers or {})], env=ENVIRONMENT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        )
        self.events = queue.SimpleQueue()
        self.errors = []
        self.closed = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            name, value = self._event(timeout=15)
        except TimeoutError:
            self._end()
            raise AssertionError(f"node has neither opened the connection nor failed: {self.errors}") from None
        if name == "open":
            return
        self._end()
        if name != "refused":
            raise AssertionError(f"node could not connect: {self.errors} {value}")
        fields = Headers(zip(value["headers"][::2], value["headers"][1::2]))
        raise InvalidStatus(Response(value["status"], value["reason"], fields, base64.b64decode(value["body"])))

    def _read(self):
        for line in self.child.stdout:
            self.events.put(next(iter(json.loads(line).items())))
        self.events.put(("end", None))

    def _event(self, timeout):
        while True:
            try:
                name, value = self.events.get(timeout=max(timeout, 0.001))
            except queue.Empty:
                raise TimeoutError from None
            if name != "error":
                return name, value
            self.errors.append(value)

    def _text(self, timeout):
        if self.closed is not None:
            raise self.closed
        name, value = self._event(timeout)
        if name == "text":
            return value
        # 1006 is node's word for an end without a close frame.
        received = Close(value["code"], value["reason"]) if name == "closed" and value["code"] != 1006 else None
        self.closed = ConnectionClosedError(received, None)
        raise self.closed

    def _tell(self, **command):
        try:
            self.child.stdin.write(json.dumps(command) + "\n")
            self.child.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise ConnectionClosedError(None, None) from None

    def _send(self, data):
        if isinstance(data, bytes):
            self._tell(binary=base64.b64encode(data).decode())
        else:
            self._tell(text=data)

    def raw(self, data):
        """Sends bytes that are no frame, or a bad one."""
        self._tell(raw=base64.b64encode(data).decode())

    def pause(self):
        """Reads nothing from here on, and so answers no ping."""
        self._tell(pause=True)

    def resume(self):
        self._tell(resume=True)

    def drop(self):
        """Ends the connection without a close frame."""
        self._tell(drop=True)

    def close(self):
        with contextlib.suppress(ConnectionClosedError):
            self._tell(close=1000)
        self._end()

    def _end(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(timeout=5)
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.reader.join()
        with contextlib.suppress(BrokenPipeError):
            # A command that it has not taken may be in the buffer.
            self.child.stdin.close()
        self.child.stdout.close()
