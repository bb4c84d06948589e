"""A WebSocket client that does only what it is told: it answers no ping and no close frame by itself."""

import json
import os
import socket
import struct
import time
from urllib.parse import urlencode

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, payload=b"", final=True):
    """A masked frame."""
    head = bytes([opcode | (0x80 if final else 0)])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", len(payload))
    key = os.urandom(4)
    mask = (key * (len(payload) // 4 + 1))[:len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + key + masked.to_bytes(len(payload), "big")


def text(document):
    return frame(TEXT, json.dumps(document, ensure_ascii=False).encode())


def handshake(port, login, headers=()):
    """The request that opens a WebSocket."""
    query = urlencode({name: login[name] for name in ("user_id", "session_id", "user_type")})
    lines = [
        f"GET /ws?{query} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers, "", "",
    ]
    return "\r\n".join(lines).encode()


class RawSocket:
    def __init__(self, port, login, early=b"", receive_buffer=None, headers=(), timeout=10, source=None):
        """`source` is the client's own address."""
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(handshake(port, login, headers) + early)
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        self.head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def header(self, name):
        for line in self.head.decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError("the server has ended the stream")
        self.buffer += piece

    def _take(self, count):
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next frame: its opcode and payload."""
        first, second = self._take(2)
        length = second
        if length == 126:
            length, = struct.unpack("!H", self._take(2))
        elif length == 127:
            length, = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(length)

    def expect(self, type, **members):
        """The next text frame of this type with these members; others are dropped."""
        while True:
            opcode, payload = self.receive()
            assert opcode != CLOSE, f"closed while waiting for {type}: {payload!r}"
            if opcode == TEXT:
                document = json.loads(payload)
                if document["type"] == type and all(document.get(name) == value for name, value in members.items()):
                    return document

    def until_close(self, timeout=10):
        """Reads to the close frame; the text frames before it, and its code."""
        documents, deadline = [], time.monotonic() + timeout
        while time.monotonic() < deadline:
            opcode, payload = self.receive()
            if opcode == CLOSE:
                return documents, struct.unpack("!H", payload[:2])[0] if payload else None
            if opcode == TEXT:
                documents.append(json.loads(payload))
        raise AssertionError(f"no close frame within {timeout} s")

    def at_end(self):
        """Whether the stream is ended, and not by a reset."""
        return self.buffer == b"" and self.socket.recv(1) == b""
