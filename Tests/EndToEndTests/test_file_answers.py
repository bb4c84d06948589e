"""Every status and header of files (`file_answers.py`): through nginx by curl and Python, and at the service's port."""

import base64
import hashlib
import hmac
import http.client
import os
import re
import secrets
import shutil
import socket
import threading
import time
from email.utils import formatdate

import pytest

from commands import curl_request
from file_answers import (
    BASE64_BYTES_MAX, FILE_BYTES_MAX, IMAGE_BYTES_MAX, PAGE, PNG, ROWS, SCRIPT, SVG, TEXT, TEXT_NAME,
    USER_BYTES_MAX, USER_FILES_MAX, VIDEO_BYTES_MAX,
)
from http_client import Response, assert_problem, filled, request
from routes import registered_publicly, route_of, sources
from stack import ROOT
from uploads import (
    OCTETS, UPLOAD, created, metadata, offset, on_disk, patched, send_base64, send_file, signed_url, stored, tus,
)
from waiting import until

SECRET, REQUEST_ID = secrets.token_hex(32), "answer-1"
SETTINGS = {
    "files.file_bytes_max": FILE_BYTES_MAX, "files.image_bytes_max": IMAGE_BYTES_MAX,
    "files.video_bytes_max": VIDEO_BYTES_MAX, "files.base64_bytes_max": BASE64_BYTES_MAX,
    "files.user_bytes_max": USER_BYTES_MAX, "files.user_files_max": USER_FILES_MAX,
    "files.uploads_per_user_max": 1, "files.tus_uploads_per_user_max": 2, "files.url_secret": SECRET,
    "files.upload_expiry_s": 1,
}


def python_request(port, method, path, headers, body=None):
    """One request by Python's `http.client`, a field at a time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            for one in [value] if isinstance(value, str) else value or []:
                connection.putheader(name, one.encode("latin-1"))
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


CLIENTS = (
    ("curl through nginx", curl_request, "edge"), ("Python through nginx", python_request, "edge"),
    ("Python at the service", python_request, "files"),
)


class Going:
    """An upload that goes on, a byte at a time, until it is closed."""

    def __init__(self, stack, session, method, path, headers, body):
        self.stack, self.ended = stack, threading.Event()
        fields = {"Host": "localhost", "X-Session-Id": session, "Content-Length": "900000", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.socket = socket.create_connection(("127.0.0.1", stack.port))
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        self.thread = threading.Thread(target=self._go_on, daemon=True)
        self.thread.start()
        until(lambda: self.in_progress() == 1, "it has begun")

    def _go_on(self):
        while not self.ended.wait(0.1):
            self.socket.sendall(b"x")

    def in_progress(self):
        text = request(self.stack.ports["files"], "GET", "/metrics").body.decode()
        return int(float(re.search(r"^files_uploads_in_progress (\S+)", text, re.MULTILINE)[1]))

    def close(self):
        self.ended.set()
        self.thread.join()
        self.socket.close()
        until(lambda: self.in_progress() == 0, "it has ended")


class Scene:
    """What all cells share."""

    def __init__(self, stack):
        self.stack = stack
        customers, agents = stack.sessions((len(ROWS) * (len(CLIENTS) + 1) + 1) * 2, 1)
        self.customers = iter(one["session_id"] for one in customers)
        self.agent = agents[0]["session_id"]
        stack.secrets.add(SECRET)
        # One upload expires; those that come later do not.
        self.old_session = next(self.customers)
        self.old = created(stack, self.old_session, 10)
        stack.files.stop()
        stack.files.environment["FILES_UPLOAD_EXPIRY_S"] = "86400"
        stack.files.start()
        until(lambda: tus(stack, self.old_session, "HEAD", self.old).status == 410, "it has expired")


class Cell(dict):
    """What a row's names stand for in one request, made when they are asked for."""

    def __init__(self, scene):
        super().__init__(session=next(scene.customers), other_session=next(scene.customers))
        self.scene, self.stack, self.going = scene, scene.stack, []

    def __missing__(self, name):
        self[name] = getattr(self, f"_{name}")()
        return self[name]

    def who(self, name):
        return {
            "own": self["session"], "other": self["other_session"], "agent": self.scene.agent, "none": None,
            "ended": "x" * 43,
        }[name]

    def _stored(self, content, name):
        return stored(send_base64(self.stack, self["session"], content, name, ""))["file_id"]

    def _begun(self, length, **values):
        fields = {"Upload-Metadata": metadata(**values)} if values else {}
        return created(self.stack, self["session"], length, **fields).rpartition("/")[2]

    def _file(self):
        return self._stored(TEXT, TEXT_NAME)

    def _picture(self):
        return self._stored(PNG, "a.png")

    def _html(self):
        return self._stored(PAGE, "a.html")

    def _svg(self):
        return self._stored(SVG, "a.svg")

    def _js(self):
        return self._stored(SCRIPT, "a.js")

    def _empty(self):
        return self._begun(0)

    def _lost(self):
        content = os.urandom(100)
        digest = hashlib.sha256(content).hexdigest()
        file_id = self._stored(content, "a.bin")
        (self.stack.directory / "data/files/blobs" / digest[:2] / digest).unlink()
        return file_id

    def _all_files(self):
        for _ in range(USER_FILES_MAX):
            stored(send_file(self.stack, self["session"], b"x"))

    # URLs

    def _tomorrow(self):
        return formatdate(time.time() + 86_400, usegmt=True)

    def _signed(self):
        return signed_url(self.stack, self["file"], self["session"])

    def _signed_deleted(self):
        url = self["signed"]
        assert self.stack.http("DELETE", f"/api/files/{self['file']}", session=self["session"]).status == 204
        return url

    def _made(self, seconds=60):
        expires = int(time.time()) + seconds
        message = f"support-chat file url\n{self['file']}\n{expires}".encode()
        code = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), message, hashlib.sha256)).rstrip(b"=")
        return f"/files/{self['file']}?expires={expires}&signature={code.decode()}"

    def _expired(self):
        return self._made(-1)

    def _forged(self):
        return self["signed"][:-2] + ("AA" if self["signed"][-2:] != "AA" else "EE")

    def _lengthened(self):
        return re.sub(r"expires=(\d+)", lambda found: f"expires={int(found[1]) + 1}", self["signed"])

    def _half_signed(self):
        return self["signed"].partition("&")[0]

    def _signed_twice(self):
        return self["signed"] + "&" + self["signed"].partition("&")[2]

    # Uploads by tus

    def _upload(self):
        return self._begun(10)

    def _half(self):
        file_id = self._begun(10, filename="half.txt")
        assert patched(self.stack, self["session"], f"/api/files/uploads/{file_id}", 0, b"hello").status == 204
        return file_id

    def _done(self):
        file_id = self._begun(5)
        assert patched(self.stack, self["session"], f"/api/files/uploads/{file_id}", 0, b"hello").status == 204
        return file_id

    def _large_image(self):
        return self._begun(len(PNG) + IMAGE_BYTES_MAX)

    def _old(self):
        self["session"] = self.scene.old_session
        return self.scene.old

    def _written(self):
        file_id = self._begun(900_000)
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": OCTETS}
        path = f"/api/files/uploads/{file_id}"
        self.going.append(Going(self.stack, self["session"], "PATCH", path, headers, b"hello"))
        return file_id

    def _busy(self):
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        self.going.append(Going(self.stack, self["session"], "POST", UPLOAD, headers, body))

    def close(self):
        for one in self.going:
            one.close()


@pytest.fixture(scope="module")
def scene(stack):
    return Scene(stack)


def check_result(row, names, response):
    if row.result is None:
        return
    if callable(row.result):
        row.result(response.body, response)
    elif isinstance(row.result, bytes):
        assert response.body == row.result
    else:
        document, expected = response.json, filled(row.result, names)
        assert {name: document.get(name) for name in expected} == expected


def compare(row, scene, names, client, port):
    """Makes what the row names, asks, and compares the answer."""
    path, headers = filled(row.path, names), filled(row.headers, names)
    for name in row.needs:
        _ = names[name]
    headers["X-Request-Id"] = REQUEST_ID
    session = names.who(row.who)
    if session is not None:
        headers["X-Session-Id"] = session
    before = on_disk(scene.stack) if row.status >= 400 else None
    response = client(port, row.method, path, headers, row.body)
    assert response.status == row.status, response
    if row.code is not None:
        assert_problem(response, row.status, row.code)
    else:
        assert row.status < 400 or row.method == "HEAD", "the row has to say which code"
    expected = {"X-Request-Id": REQUEST_ID, **filled(row.answer, names)}
    if port == scene.stack.port:
        expected["X-Content-Type-Options"] = "nosniff"
    got = {name: ", ".join(response.headers.get_all(name) or []) or None for name in expected}
    assert {name: got[name] for name in got if got[name] != expected[name]} == {}, expected
    check_result(row, names, response)
    if before is not None:
        assert on_disk(scene.stack) == before


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_request_gets_its_answer(scene, row):
    if row.status == 507 and shutil.disk_usage(scene.stack.directory).free >= FILE_BYTES_MAX:
        pytest.skip("the disk has room for the largest file")
    names = Cell(scene)
    try:
        for name, client, door in CLIENTS:
            print(name)
            compare(row, scene, names, client, scene.stack.ports[door])
            if row.method not in ("GET", "HEAD", "OPTIONS"):
                # It may have changed what there was.
                names.close()
                names = Cell(scene)
    finally:
        names.close()


def test_what_was_refused_left_nothing_and_what_was_sent_is_there(scene):
    """The rows of tus, done one after the other, come to a file."""
    stack, session = scene.stack, next(scene.customers)
    path = created(stack, session, len(TEXT), **{"Upload-Metadata": metadata(filename=TEXT_NAME)})
    assert patched(stack, session, path, 0, TEXT[:100]).status == 204
    assert patched(stack, session, path, 50, TEXT[50:]).status == 409
    wrong = {"Upload-Checksum": "sha1 " + base64.b64encode(bytes(20)).decode()}
    assert patched(stack, session, path, 100, TEXT[100:], **wrong).status == 460
    assert offset(stack, session, path) == 100
    assert patched(stack, session, path, 100, TEXT[100:]).status == 204
    assert stack.http("GET", path.replace("/api/files/uploads", "/files"), session=session).body == TEXT


# The table is whole: it is compared with the service's sources.


def codes():
    """The machine words, by their names in Swift."""
    text = (ROOT / "Shared/Core/Problem.swift").read_text()
    cases = re.findall(r'^    case (\w+)(?: = "(\w+)")?$', text, re.MULTILINE)
    assert len(cases) > 50
    return {name: word or name for name, word in cases}


def test_no_status_is_missing_in_the_table():
    words = codes()
    texts = [file.read_text() for file in (*sources("files"), ROOT / "Shared/HTTP/MultipartError.swift")]
    given = {
        (int(status), words[name])
        for text in texts for status, name in re.findall(r"Problem\(\s*(\d+),\s*\.(\w+)", text)
    }
    short = {
        "badRequest": (400, "bad_request"), "forbidden": (403, "forbidden"), "invalidField": (422, "invalid_field"),
    }
    used = {name for text in texts for name in re.findall(r"Problem\.(\w+)\(", text)} - {"Header"}
    assert used == set(short), "another way to make a problem document"
    given |= {short[name] for name in used}
    assert len(given) > 15, given
    assert given - {(row.status, row.code) for row in ROWS} == set()


def test_no_route_is_missing_in_the_table():
    routes = registered_publicly("files")
    in_table = {route_of(row.method, row.path, routes) for row in ROWS if row.status < 400}
    assert len(routes) > 10 and routes - in_table == set()
