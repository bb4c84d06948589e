"""Uploads that lie about their length, stall or vanish, byte by byte through a socket: nothing of them can be seen."""

import hashlib
import json
import os
import re
import socket
import sqlite3
import struct

import pytest

from stack import Stack
from uploads import PART, UPLOAD, UPLOADS, checksum, created, document, form, offset, on_disk, part
from waiting import until

CONTENT = os.urandom(250_000)
# What is sent of it; more than a piece that files writes at once.
SENT = 200_000
DOORS = ("edge", "files")


@pytest.fixture(scope="module")
def stack():
    """With an edge that waits one second for the next bytes of a body; 30 s are long in a test."""
    one = Stack()
    edge = one.directory / "nginx/edge/site.conf"
    text, count = re.subn(r"client_body_timeout \d+s;", "client_body_timeout 1s;", edge.read_text())
    assert count == 1
    edge.write_text(text)
    try:
        yield one.start()
        assert set(one.stop().values()) == {0}
        assert one.leaks() == []
    finally:
        one.remove()


@pytest.fixture(scope="module")
def session(stack):
    return stack.login("user123")["session_id"]


def as_json(stack, session):
    return "POST", UPLOAD, {"Content-Type": "application/json"}, json.dumps(document(CONTENT)).encode()


def as_form(stack, session):
    body = form(part("file", CONTENT, "a"))
    return "POST", UPLOAD, {"Content-Type": "multipart/form-data; boundary=----b"}, body


def as_part(stack, session):
    return "PATCH", created(stack, session, len(CONTENT)), {**PART, "Upload-Offset": "0"}, CONTENT


def as_checked_part(stack, session):
    method, path, headers, body = as_part(stack, session)
    return method, path, {**headers, "Upload-Checksum": checksum(hashlib.sha256, CONTENT)}, body


def as_first_part(stack, session):
    return "POST", UPLOADS, {**PART, "Upload-Length": str(len(CONTENT))}, CONTENT


class Sender:
    """A request of which only the first bytes are sent."""

    def __init__(self, stack, session, kind, door, announced=None):
        self.stack, self.session = stack, session
        self.method, self.path, headers, body = kind(stack, session)
        self.is_part = self.method == "PATCH"
        self.before, self.written_before = self.state(), self.written()
        fields = {"Host": "localhost", "X-Session-Id": session, **headers, "Content-Length": announced or len(body)}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.socket = socket.create_connection(("127.0.0.1", stack.ports[door]), timeout=15)
        self.socket.sendall(f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body[:SENT])

    def written(self):
        """The bytes of what is not complete."""
        root = self.stack.directory / "data/files"
        return sum(path.stat().st_size for folder in ("temporary", "uploads") for path in (root / folder).iterdir())

    def state(self):
        """What is on the disk, and how many rows there are."""
        uploads = {path.name for path in (self.stack.directory / "data/files/uploads").iterdir()}
        database = sqlite3.connect(f"file:{self.stack.directory / 'data/files.sqlite'}?mode=ro", uri=True)
        try:
            rows = [
                database.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("file", "partial_upload")
            ]
        finally:
            database.close()
        return on_disk(self.stack), uploads, rows

    def wait_written(self):
        until(lambda: self.written() > self.written_before, "some of it is on the disk")

    def answer(self):
        """All that comes until the connection is closed."""
        got = b""
        try:
            while piece := self.socket.recv(65_536):
                got += piece
        except ConnectionResetError:
            pass
        self.socket.close()
        return got

    def assert_unseen(self):
        until(lambda: self.state() == self.before, f"only what was there before: {self.before}", timeout=15)


ONE_REQUEST = (as_json, as_form, as_first_part)
ALL = (*ONE_REQUEST, as_part, as_checked_part)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind, status, code", [
    (as_json, 400, b"malformed_json"), (as_form, 400, b"malformed_multipart"),
    (as_checked_part, 460, b"checksum_mismatch"),
])
def test_a_body_longer_than_it_says_ends_where_it_says(stack, session, kind, status, code, door):
    # What follows is another request, and none that anybody understands.
    sender = Sender(stack, session, kind, door, announced=SENT // 2)
    answer = sender.answer()
    statuses = [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answer)]
    assert statuses[0] == status and code in answer and set(statuses[1:]) <= {400, 414}, answer
    sender.assert_unseen()
    if sender.is_part:
        assert offset(stack, session, sender.path) == 0


@pytest.mark.parametrize("door", DOORS)
def test_a_part_longer_than_it_says_counts_as_it_says(stack, session, door):
    sender = Sender(stack, session, as_part, door, announced=SENT // 2)
    assert sender.answer().startswith(b"HTTP/1.1 204")
    assert offset(stack, session, sender.path) == SENT // 2
    sender.assert_unseen()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", ALL)
def test_a_body_shorter_than_it_says_is_none(stack, session, kind, door):
    sender = Sender(stack, session, kind, door)
    sender.wait_written()
    sender.socket.shutdown(socket.SHUT_WR)
    answer = sender.answer()
    # nginx, which has begun to pass it on, only closes.
    assert answer == b"" if door == "edge" else answer.startswith(b"HTTP/1.1 400") and b"ended early" in answer, answer
    sender.assert_unseen()
    if sender.is_part:
        at = offset(stack, session, sender.path)
        assert at == 0 if kind is as_checked_part else 0 < at <= SENT


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", ALL)
def test_a_client_that_vanishes_leaves_nothing(stack, session, kind, door):
    sender = Sender(stack, session, kind, door)
    sender.wait_written()
    # A reset, as of a machine that was switched off and on.
    sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sender.socket.close()
    sender.assert_unseen()
    if kind is as_checked_part:
        until(lambda: offset(stack, session, sender.path) == 0, "none of it counts")


def test_clients_that_stall_are_left_and_leave_nothing(stack, session):
    senders = []
    for kind in ONE_REQUEST:
        senders.append(Sender(stack, session, kind, "edge"))
        senders[-1].wait_written()
    for sender in senders:
        assert sender.answer() == b""
    senders[0].assert_unseen()


@pytest.mark.parametrize("kind", [as_part, as_checked_part])
def test_a_part_that_stalls_can_be_gone_on_with(stack, session, kind):
    sender = Sender(stack, session, kind, "edge")
    assert sender.answer() == b""
    sender.assert_unseen()
    assert offset(stack, session, sender.path) == (0 if kind is as_checked_part else SENT)
