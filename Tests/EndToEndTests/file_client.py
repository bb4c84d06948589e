"""A client that uploads, deletes and goes on with uploads at random, through a service that dies again and again.

It knows what it was told, and asserts that this still holds each time it comes back.
"""

import base64
import hashlib
import http.client
import random

from uploads import OCTETS, UPLOAD, UPLOADS, checksum

FILES_MAX = 12


def digest(content):
    return hashlib.sha256(content).hexdigest()


def as_base64(content):
    """The headers and the body of an upload."""
    body = b'{"file_name":"a.bin","file_type":"","file_data":"' + base64.b64encode(content) + b'"}'
    return {"Content-Type": "application/json"}, body


def as_form(content):
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    return {"Content-Type": "multipart/form-data; boundary=b"}, head + content + b"\r\n--b--\r\n"


class Gone(Exception):
    """The service has gone; whether it did what it was asked to is not known."""


class Upload:
    """An upload in parts: where it may stand, as far as its client can know."""

    def __init__(self, content, low=0, high=0):
        self.content, self.low, self.high = content, low, high
        # A part that counts whole or not at all.
        self.is_atomic = False
        self.is_ending = False

    def expects(self, offset):
        return offset in (self.low, self.high) if self.is_atomic else self.low <= offset <= self.high


class FileClient:
    """`passed(kind, place)` is called when the middle and the end of a request's body have been sent."""

    def __init__(self, port, login, contents, seed, passed):
        self.port, self.user_id, self.session = port, login["user_id"], login["session_id"]
        self.contents, self.random, self.passed = contents, random.Random(seed), passed
        self.by_name = {digest(content)[:16]: content for content in contents}
        self.files, self.uploads = {}, {}
        self.deleted, self.doubtful, self.unanswered = set(), set(), set()
        self.done = dict.fromkeys(("file", "delete", "part", "upload", "terminate"), 0)
        self.connection = None

    # One life of the service

    def work(self):
        """Asserts what it knows, then goes on until the service is gone."""
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            self.recover()
            while True:
                self.act()
        except Gone:
            pass
        finally:
            self.connection.close()

    def act(self):
        actions = [self.send_base64, self.send_form, self.create, self.create_with_upload, self.go_on, self.go_on]
        if len(self.files) > 2:
            actions += [self.delete, self.delete] if len(self.files) < FILES_MAX else [self.delete] * 8
        if self.uploads:
            actions += [self.terminate]
        self.random.choice(actions)()

    def recover(self):
        for name in list(self.doubtful):
            self.look(name)
        for name in list(self.uploads):
            self.ask(name)
        for name in self.random.sample(sorted(self.files), min(2, len(self.files))):
            self.read(name)

    def adopt(self, store):
        """Takes what it was not told the id of; it must be something that it has sent. Compares the rest."""
        known = {*self.files, *self.doubtful, *self.uploads}
        for name, row in store.files.items():
            if row["uploader_id"] == self.user_id and name not in known:
                assert row["sha256"] in self.unanswered, f"{name}: a record of what was not in flight"
                self.files[name] = row["sha256"]
        for name, row in store.uploads.items():
            if row["uploader_id"] == self.user_id and row["state"] == 0 and name not in known:
                content = self.by_name[row["file_name"]]
                self.uploads[name] = Upload(content, 0, len(content))
        self.unanswered.clear()
        for name, sha256 in self.files.items():
            if name not in self.doubtful:
                assert name in store.files, f"{name}: the upload was answered, and its record is lost"
                assert store.files[name]["sha256"] == sha256, name
        assert not self.deleted & store.files.keys(), "deleted files are there again"

    # What it does

    def send_base64(self):
        self.send_file("base64", as_base64)

    def send_form(self):
        self.send_file("multipart", as_form)

    def send_file(self, kind, encoded):
        content = self.choose()
        self.unanswered.add(digest(content))
        status, _, answer = self.call(kind, "POST", UPLOAD, *encoded(content))
        assert status == 201, (status, answer)
        name = answer.split(b'"file_id":"')[1].split(b'"')[0].decode()
        self.files[name] = digest(content)
        self.done["file"] += 1

    def create(self):
        content = self.choose()
        status, headers, answer = self.call("create", "POST", UPLOADS, self.creation(content))
        assert status == 201, (status, answer)
        self.uploads[headers["Location"].rsplit("/", 1)[1]] = Upload(content)

    def create_with_upload(self):
        content = self.choose()
        part = content[:self.random.randint(1, len(content))] if self.random.random() < 0.5 else content
        self.unanswered.add(digest(content))
        headers = {**self.creation(content), **self.part_headers(part)}
        status, headers, answer = self.call("create_with_upload", "POST", UPLOADS, headers, part)
        assert status == 201, (status, answer)
        assert headers["Upload-Offset"] == str(len(part)), headers["Upload-Offset"]
        name = headers["Location"].rsplit("/", 1)[1]
        self.uploads[name] = Upload(content, len(part), len(part))
        self.settle(name)

    def go_on(self):
        if not self.uploads:
            return self.create()
        name = self.random.choice(sorted(self.uploads))
        upload = self.uploads[name]
        start, length = upload.low, len(upload.content)
        end = length if self.random.random() < 0.5 else self.random.randint(start, length)
        part = upload.content[start:end]
        headers = self.part_headers(part)
        upload.high, upload.is_atomic = end, "Upload-Checksum" in headers
        headers["Upload-Offset"] = str(start)
        status, headers, answer = self.call("patch", "PATCH", f"{UPLOADS}/{name}", headers, part)
        assert (status, headers["Upload-Offset"]) == (204, str(end)), (status, answer)
        upload.low, upload.is_atomic = end, False
        self.done["part"] += 1
        self.settle(name)

    def delete(self):
        name = self.random.choice(sorted(self.files))
        self.doubtful.add(name)
        status, _, answer = self.call("delete", "DELETE", f"/api/files/{name}")
        assert status == 204, (status, answer)
        self.forget(name)
        self.done["delete"] += 1

    def terminate(self):
        name = self.random.choice(sorted(self.uploads))
        self.uploads[name].is_ending = True
        status, _, answer = self.call("terminate", "DELETE", f"{UPLOADS}/{name}")
        assert status == 204, (status, answer)
        del self.uploads[name]
        self.deleted.add(name)
        self.done["terminate"] += 1

    # What it asserts

    def look(self, name):
        """Whether a file is there whose deletion was not answered."""
        status, _, answer = self.call("get", "GET", f"/api/files/{name}")
        assert status in (200, 404), (status, answer)
        if status == 404:
            self.forget(name)
        self.doubtful.discard(name)

    def ask(self, name):
        upload = self.uploads[name]
        status, headers, _ = self.call("head", "HEAD", f"{UPLOADS}/{name}")
        if upload.is_ending and status == 404:
            del self.uploads[name]
            self.deleted.add(name)
            return
        assert status == 200, f"HEAD of an upload: {status}"
        offset = int(headers["Upload-Offset"])
        assert upload.expects(offset), (offset, vars(upload) | {"content": len(upload.content)})
        upload.low = upload.high = offset
        upload.is_atomic = upload.is_ending = False
        self.settle(name)

    def settle(self, name):
        """An upload that is whole is a file."""
        upload = self.uploads[name]
        if upload.low == len(upload.content):
            del self.uploads[name]
            self.files[name] = digest(upload.content)
            self.read(name)
            self.done["upload"] += 1

    def read(self, name):
        status, _, answer = self.call("get", "GET", f"/files/{name}")
        assert status == 200, (name, status, answer[:300])
        assert digest(answer) == self.files[name], f"{name}: another content than was sent"

    def read_all(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.recover()
        for name in self.files:
            self.read(name)
        for name in self.deleted:
            assert self.call("get", "GET", f"/api/files/{name}")[0] == 404, name
        self.connection.close()

    def forget(self, name):
        del self.files[name]
        self.doubtful.discard(name)
        self.deleted.add(name)

    # Requests

    def choose(self):
        return self.random.choice(self.contents)

    def creation(self, content):
        name = base64.b64encode(digest(content)[:16].encode()).decode()
        return {"Upload-Length": str(len(content)), "Upload-Metadata": f"filename {name}"}

    def part_headers(self, part):
        headers = {"Content-Type": OCTETS}
        if self.random.random() < 0.5:
            headers["Upload-Checksum"] = checksum(self.random.choice((hashlib.sha1, hashlib.sha256)), part)
        return headers

    def call(self, kind, method, path, headers=None, body=b""):
        """Status, headers and body of the answer."""
        half = len(body) // 2
        try:
            self.connection.putrequest(method, path)
            for name, value in {
                "X-Session-Id": self.session, "Tus-Resumable": "1.0.0", "Content-Length": str(len(body)),
                **(headers or {}),
            }.items():
                self.connection.putheader(name, value)
            self.connection.endheaders(body[:half])
            self.passed(kind, "middle")
            self.connection.send(body[half:])
            self.passed(kind, "end")
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Gone from error
