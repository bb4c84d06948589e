"""A WebSocket client for thousands in one process: what `AsyncClient` asks of a connection, and little else.

It takes what this server may send, whole text frames, pings and a close, and raises on anything else.
"""

import asyncio
import base64
import os
import struct

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.http11 import Response

from raw_socket import CLOSE, PING, PONG, TEXT, frame


async def connect(host, port, path, open_timeout=20):
    """An open connection; raises as `websockets.asyncio.client.connect` does."""
    async with asyncio.timeout(open_timeout):
        _, socket = await asyncio.get_running_loop().create_connection(lambda: LeanSocket(host, port, path), host, port)
        try:
            await socket.opened
        except BaseException:
            socket.transport.abort()
            raise
    return socket


class LeanSocket(asyncio.Protocol):
    """One connection; iterating over it gives its messages, and ends when it is closed."""

    def __init__(self, host, port, path):
        key = base64.b64encode(os.urandom(16)).decode()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        ).encode()
        self.opened = asyncio.get_running_loop().create_future()
        self.transport = None
        self.close_code = self.close_reason = None
        self._is_open = self._is_closing = self._has_ended = False
        self._buffer = bytearray()
        self._messages = []
        self._waiter = self._refused = None

    # What a client does with it

    def __aiter__(self):
        return self._all()

    async def _all(self):
        while True:
            messages, self._messages = self._messages, []
            for message in messages:
                yield message
            if not self._messages:
                if self._refused is not None:
                    raise AssertionError(self._refused)
                if self._has_ended:
                    return
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter

    async def send(self, text):
        if self._is_closing or self._has_ended:
            raise ConnectionClosedError(None, None)
        self.transport.write(frame(TEXT, text.encode()))

    async def close(self):
        """Says that it goes; whoever iterates sees the end when the server has answered, or after two seconds."""
        if not self._is_closing and not self._has_ended:
            self._is_closing = True
            self.transport.write(frame(CLOSE, struct.pack("!H", 1000)))
            asyncio.get_running_loop().call_later(2, self.transport.abort)

    # What comes

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self._request)

    def connection_lost(self, error):
        self._has_ended = True
        self.close_code = self.close_code or 1006
        if not self.opened.done():
            self.opened.set_exception(error or EOFError("the server has ended the stream"))
        self._wake()

    def data_received(self, data):
        self._buffer += data
        if not self._is_open and not self._take_head():
            return
        self._take_frames()
        self._wake()

    def _wake(self):
        if self._waiter is not None and not self._waiter.done() and (self._messages or self._has_ended):
            self._waiter.set_result(None)

    def _take_head(self):
        """Whether the answer to the handshake is there, and is that it is open."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        status_line, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[:end + 4]
        _, status, reason = status_line.split(" ", 2)
        if self.opened.done():
            return False
        if status != "101":
            headers = Headers(line.split(": ", 1) for line in lines)
            self.opened.set_exception(InvalidStatus(Response(int(status), reason, headers)))
            return False
        self._is_open = True
        self.opened.set_result(None)
        return True

    def _take_frames(self):
        buffer, at, length = self._buffer, 0, len(self._buffer)
        while length - at >= 2:
            start, size = at + 2, buffer[at + 1]
            if size == 126:
                start += 2
            elif size == 127:
                start += 8
            if length < start:
                break
            if size >= 126:
                size = int.from_bytes(buffer[at + 2:start], "big")
            if length < start + size:
                break
            self._take_frame(buffer[at], bytes(buffer[start:start + size]))
            at = start + size
        del buffer[:at]

    def _take_frame(self, first, payload):
        # Each of them whole: the first byte has FIN beside the opcode.
        if first == 0x80 | TEXT:
            self._messages.append(payload.decode())
        elif first == 0x80 | PING:
            self.transport.write(frame(PONG, payload))
        elif first == 0x80 | CLOSE:
            self._take_close(payload)
        else:
            self._refused = f"a frame that begins with {first:#x}: {payload[:100]}"
            self.transport.abort()

    def _take_close(self, payload):
        if len(payload) >= 2:
            self.close_code, self.close_reason = struct.unpack("!H", payload[:2])[0], payload[2:].decode()
        if not self._is_closing:
            self._is_closing = True
            self.transport.write(frame(CLOSE, payload[:2]))
        self.transport.close()
