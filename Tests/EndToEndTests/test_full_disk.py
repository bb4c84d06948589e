"""A disk of 8 MiB that fills up: 507 whatever way the bytes come, nothing left behind, and deletions always work."""

import contextlib
import hashlib
import http.client
import os
import random
import subprocess

import pytest

from file_client import as_base64, as_form
from file_store import FileStore
from http_client import assert_problem, request
from stack import Stack
from uploads import PART, UPLOAD, UPLOADS, checksum, send_base64, send_file, stored
from waiting import until

MIB = 1 << 20


class SmallDisk:
    """A file system of its own; `filler` is what else lies on it."""

    def __init__(self, path):
        self.path, self.filler = path, path / "filler"

    def fill(self):
        """Takes all that is free, and what an upload that finds no room gives back meanwhile."""
        def is_full():
            with open(self.filler, "ab", buffering=0) as filler:
                for size in (64 * 1024, 4096):
                    with contextlib.suppress(OSError):
                        while filler.write(bytes(size)) == size:
                            pass
            return os.statvfs(self.path).f_bavail == 0

        until(is_full, "the disk is full")

    def empty(self):
        self.filler.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(path):
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)], capture_output=True).returncode:
        pytest.skip("a small file system needs the right to mount one")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


class FilesOnDisk:
    """A stack whose files have their blobs, their database or both on a small disk."""

    def __init__(self, disk, has_blobs, has_database):
        self.disk = disk
        # All of it may be used: it is smaller than what is left free of others.
        settings = {"files.free_bytes_min": 0}
        if has_blobs:
            settings["files.directory"] = str(disk.path / "files")
        self.stack = Stack(settings, demo_users=False)
        data = self.stack.directory / "data"
        if has_database:
            environment = {**self.stack.environment, "STORE": f"sqlite:{disk.path}/db"}
            self.stack.files.environment = environment
        self.directory = disk.path / "files" if has_blobs else data / "files"
        self.database = disk.path / "db/files.sqlite" if has_database else data / "files.sqlite"

    @property
    def look(self):
        store = FileStore(self.directory, self.database)
        assert store.inconsistencies() == []
        return sorted(store.files), sorted(store.uploads)

    def __enter__(self):
        self.stack.start()
        self.session = self.stack.sessions(1, 0)[0][0]["session_id"]
        return self

    def __exit__(self, failure, *_):
        try:
            if failure is None:
                assert set(self.stack.stop().values()) == {0}
                assert self.stack.leaks() == []
            else:
                self.stack.print_logs()
        finally:
            self.stack.remove()

    def ready(self):
        return request(self.stack.ports["files"], "GET", "/readyz").status == 200

    def delete(self, name):
        return self.stack.http("DELETE", f"/api/files/{name}", session=self.session)

    def send(self, content):
        return send_file(self.stack, self.session, content)

    def tus(self, method, path=UPLOADS, body=None, **headers):
        headers = {"Tus-Resumable": "1.0.0", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.stack.http(method, path, headers=headers, body=body, session=self.session)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    with small_disk(tmp_path_factory.mktemp("disk") / "small") as disk:
        with FilesOnDisk(disk, has_blobs=True, has_database=False) as files:
            yield files


def by_base64(_, content):
    return "POST", UPLOAD, *as_base64(content)


def by_form(_, content):
    return "POST", UPLOAD, *as_form(content)


def by_part(files, content):
    created = files.tus("POST", Upload_Length=str(len(content)))
    assert created.status == 201, created
    return "PATCH", created.header("Location"), {**PART, "Upload-Offset": "0"}, content


def by_checked_part(files, content):
    method, path, headers, body = by_part(files, content)
    return method, path, {**headers, "Upload-Checksum": checksum(hashlib.sha256, content)}, body


def by_creation(files, content):
    return "POST", UPLOADS, {**PART, "Upload-Length": str(len(content))}, content


def by_checked_creation(files, content):
    method, path, headers, body = by_creation(files, content)
    return method, path, {**headers, "Upload-Checksum": checksum(hashlib.sha256, content)}, body


def send_in_halves(files, method, path, headers, body, between):
    """The answer's status and body; it may come before the request has been sent."""
    connection = http.client.HTTPConnection("127.0.0.1", files.stack.port, timeout=30)
    try:
        connection.putrequest(method, path)
        for name, value in {**headers, "X-Session-Id": files.session, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders(body[:len(body) // 2])
        between()
        with contextlib.suppress(OSError):
            connection.send(body[len(body) // 2:])
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("way", [by_base64, by_form, by_part, by_checked_part, by_creation, by_checked_creation])
def test_a_disk_that_fills_up_meanwhile_is_507_and_leaves_nothing(blobs, way):
    kept = stored(blobs.send(os.urandom(MIB)))
    before = blobs.look
    content = os.urandom(3 * MIB)
    method, path, headers, body = way(blobs, content)

    def fill():
        writing = lambda: [
            one for folder in ("temporary", "uploads") for one in (blobs.directory / folder).iterdir()
            if one.stat().st_size > 0
        ]
        until(writing, "bytes are on the disk")
        blobs.disk.fill()

    try:
        status, answer = send_in_halves(blobs, method, path, headers, body, fill)
        assert status == 507 and b"storage_full" in answer, (status, answer)
        until(lambda: blobs.look == before, "nothing is left of it")
        if method == "PATCH":
            assert blobs.tus("HEAD", path).status == 404
        assert blobs.ready()
        # What is there is read, and deleted.
        url = f"/files/{kept['file_id']}"
        assert hashlib.sha256(
            blobs.stack.http("GET", url, session=blobs.session).body
        ).hexdigest() == kept["sha256"]
        blobs.disk.fill()
        assert_problem(blobs.send(os.urandom(10_000)), 507, "storage_full")
        assert_problem(blobs.tus("POST", Upload_Length="100000"), 507, "storage_full")
        assert blobs.delete(kept["file_id"]).status == 204
        # It has made room.
        again = stored(blobs.send(os.urandom(MIB // 2)))
    finally:
        blobs.disk.empty()
    whole = stored(blobs.send(content))
    assert whole["sha256"] == hashlib.sha256(content).hexdigest()
    for document in (again, whole):
        assert blobs.delete(document["file_id"]).status == 204
    assert blobs.look == ([], [])


def test_what_is_to_be_left_free_is_left(tmp_path):
    with small_disk(tmp_path / "small") as disk, FilesOnDisk(disk, True, has_database=False) as files:
        files.stack.files.stop()
        files.stack.files.environment["FILES_FREE_BYTES_MIN"] = str(4 * MIB)
        files.stack.files.start()
        kept = stored(files.send(os.urandom(MIB)))
        for send in (send_file, send_base64):
            assert_problem(send(files.stack, files.session, os.urandom(5 * MIB)), 507, "storage_full")
        assert_problem(files.tus("POST", Upload_Length=str(4 * MIB)), 507, "storage_full")
        assert files.look[0] == [kept["file_id"]]
        with open(disk.filler, "wb") as filler:
            filler.write(bytes(4 * MIB))
        assert_problem(files.send(b"x"), 507, "storage_full")
        assert files.delete(kept["file_id"]).status == 204
        disk.empty()
        assert files.delete(stored(files.send(b"x"))["file_id"]).status == 204


def test_files_larger_than_the_disk_are_507(blobs):
    for send in (send_file, send_base64):
        assert_problem(send(blobs.stack, blobs.session, os.urandom(10 * MIB)), 507, "storage_full")
    assert_problem(blobs.tus("POST", Upload_Length=str(10 * MIB)), 507, "storage_full")
    assert blobs.look == ([], [])


@pytest.mark.parametrize("has_blobs", [True, False], ids=["blobs beside it", "blobs elsewhere"])
def test_a_database_without_room_takes_deletions_and_nothing_else(tmp_path, seed, has_blobs):
    chosen = random.Random(seed)
    with small_disk(tmp_path / "small") as disk, FilesOnDisk(disk, has_blobs, has_database=True) as files:
        names = [stored(files.send(chosen.randbytes(20_000)))["file_id"] for _ in range(60)]
        opened = [files.tus("POST", Upload_Length="30000").header("Location") for _ in range(3)]
        refused = 0
        for step in range(60):
            disk.fill()
            answer = files.send(chosen.randbytes(3000))
            if answer.status == 201:
                names.append(answer.json["file_id"])
            else:
                assert_problem(answer, 507, "storage_full")
                refused += 1
            disk.fill()
            assert files.delete(names.pop(chosen.randrange(len(names)))).status == 204, step
            if step % 20 == 10:
                path = opened.pop()
                answer = files.tus("PATCH", path, bytes(30_000), Upload_Offset="0", **PART)
                assert answer.status in (204, 507), answer
                if answer.status == 204:
                    names.append(path.rsplit("/", 1)[1])
                else:
                    assert files.tus("HEAD", path).status == 404
            assert files.look[0] == sorted(names)
            if step == 30:
                # A start on a full disk.
                disk.fill()
                files.stack.files.kill()
                files.stack.files.start()
        # Elsewhere the log has room enough once the reserve was given to it.
        assert refused > (10 if has_blobs else 0), refused
        assert files.ready()
        disk.empty()
        names.append(stored(files.send(chosen.randbytes(MIB)))["file_id"])
        for name in names:
            assert files.delete(name).status == 204
        assert files.look[0] == []
