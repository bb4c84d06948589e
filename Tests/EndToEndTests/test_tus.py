"""tus 1.0.0 through nginx, by clients that we did not write: tuspy, curl, and Python's own HTTP."""

import base64
import hashlib
import os
import random
import re
import socket
import subprocess
import time

import pytest
from tusclient.client import TusClient

from commands import curl
from http_client import assert_problem
from relay import Relay
from stack import stack_with
from waiting import until

MIB = 1 << 20
SOAK = os.environ.get("SOAK") == "1"
SIZE = 1024 * MIB if SOAK else 100 * MIB
CHUNK = 64 * MIB if SOAK else 16 * MIB
FORM_SIZE = SIZE // 2
# Connections cut, and as many kills of the service, in one upload.
BREAKS = 10 if SOAK else 2
RESIDENT_MAX = 64 * MIB
PATH = "/api/files/uploads"
VERSION = {"Tus-Resumable": "1.0.0"}
PART = {**VERSION, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def login(stack):
    return stack.login("user123")


def tus(stack, login, method, path=PATH, headers=None, **options):
    return stack.http(
        method, path, headers={**VERSION, **(headers or {})}, session=login and login["session_id"], **options
    )


def created(stack, login, length, **headers):
    answer = tus(stack, login, "POST", headers={"Upload-Length": str(length), **headers})
    assert answer.status == 201, answer
    return answer.header("Location")


def patched(stack, login, path, offset, body, **headers):
    return tus(stack, login, "PATCH", path, headers={**PART, "Upload-Offset": str(offset), **headers}, body=body)


def offset(stack, login, path):
    answer = tus(stack, login, "HEAD", path)
    assert answer.status == 200, answer
    return int(answer.header("Upload-Offset"))


def document(stack, login, path):
    answer = stack.http("GET", f"/api/files/{path.rsplit('/', 1)[1]}", session=login["session_id"])
    assert answer.status == 200, answer
    return answer.json


def path_of(uploader):
    return "/" + uploader.url.split("/", 3)[3]


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(stack, login, url, target):
    """The file as curl gets it; its SHA-256."""
    subprocess.run(
        [
            "curl", "-sS", "--fail", "-o", str(target), "-H", f"X-Session-Id: {login['session_id']}",
            f"http://127.0.0.1:{stack.port}{url}",
        ],
        check=True, timeout=300,
    )
    return digest_of(target)


def noise_file(path, size, seed):
    source = random.Random(seed)
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(source.randbytes(MIB))
    return path


def resident_peak(process):
    """The most memory that a process has had, in bytes."""
    with open(f"/proc/{process.child.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024


def test_tuspy_goes_on_after_cut_connections_and_kills(stack, login, seed, tmp_path):
    chosen = random.Random(seed)
    file = noise_file(tmp_path / "video.bin", SIZE, seed)
    peaks = []

    def kill(_):
        peaks.append(resident_peak(stack.files))
        stack.files.kill()
        stack.files.start()

    breaks = []
    for index in range(BREAKS):
        first, last = SIZE * index // BREAKS, SIZE * (index + 1) // BREAKS
        cut_at, kill_at = sorted(chosen.sample(range(first + 1, last), 2))
        breaks += [(cut_at, Relay.cut), (kill_at, kill)]
    with Relay(stack.port, breaks) as relay:
        client = TusClient(f"http://127.0.0.1:{relay.port}{PATH}", headers={"X-Session-Id": login["session_id"]})
        uploader = client.uploader(
            str(file), chunk_size=CHUNK, retries=100, retry_delay=0.2,
            metadata={"filename": "video.bin", "filetype": "video/mp4"},
        )
        uploader.upload()
        assert not relay.breaks, "the upload was over before every break"
        # Each break costs what was on its way, at most a chunk; beginning again would cost far more.
        assert relay.sent < SIZE + 2 * BREAKS * CHUNK, relay.sent
    path = path_of(uploader)
    found = document(stack, login, path)
    assert found["size"] == SIZE and found["file_name"] == "video.bin"
    assert found["sha256"] == digest_of(file)
    assert offset(stack, login, path) == SIZE
    assert download(stack, login, found["url"], tmp_path / "down") == found["sha256"]
    peaks.append(resident_peak(stack.files))
    print("resident memory of files, MiB:", [peak // MIB for peak in peaks], "sent, MiB:", relay.sent // MIB)
    assert max(peaks) < RESIDENT_MAX, [peak // MIB for peak in peaks]
    assert os.listdir(stack.directory / "data/files/uploads") == []


def test_a_large_form_needs_no_more_memory(stack, login, seed, tmp_path):
    file = noise_file(tmp_path / "form.bin", FORM_SIZE, seed + 1)
    answer = curl(
        f"http://127.0.0.1:{stack.port}/api/files/upload", "-H", f"X-Session-Id: {login['session_id']}",
        "-H", "Expect:", "-F", f"file=@{file}", "-m", "600", timeout=660,
    )
    assert answer.status == 201, answer.body
    assert answer.json["size"] == FORM_SIZE and answer.json["sha256"] == digest_of(file)
    assert download(stack, login, answer.json["url"], tmp_path / "down") == answer.json["sha256"]
    peak = resident_peak(stack.files)
    print("resident memory of files, MiB:", peak // MIB, "sent, MiB:", FORM_SIZE // MIB)
    assert peak < RESIDENT_MAX


def test_tuspy_sends_checksums(stack, login, tmp_path):
    file = noise_file(tmp_path / "a.bin", 3 * MIB, 1)
    client = TusClient(f"http://127.0.0.1:{stack.port}{PATH}", headers={"X-Session-Id": login["session_id"]})
    uploader = client.uploader(str(file), chunk_size=MIB, upload_checksum=True)
    uploader.upload()
    assert document(stack, login, path_of(uploader))["sha256"] == digest_of(file)


def test_curl_is_stopped_and_goes_on(stack, login, tmp_path):
    file = noise_file(tmp_path / "b.bin", 20 * MIB, 2)
    path = created(stack, login, 20 * MIB)

    def send_rest(start, *options):
        command = [
            "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PATCH", "--data-binary", "@-",
            "-H", "Expect:", "-H", "Tus-Resumable: 1.0.0", "-H", "Content-Type: application/offset+octet-stream",
            "-H", f"Upload-Offset: {start}", "-H", f"X-Session-Id: {login['session_id']}", *options,
            f"http://127.0.0.1:{stack.port}{path}",
        ]
        rest = tmp_path / "rest"
        rest.write_bytes(file.read_bytes()[start:])
        with open(rest, "rb") as body:
            return subprocess.Popen(command, stdin=body, stdout=subprocess.PIPE, text=True)

    slow = send_rest(0, "--limit-rate", "8M")
    until(lambda: offset(stack, login, path) > 2 * MIB, "bytes arrive")
    slow.kill()
    slow.wait()

    def resumed():
        rest = send_rest(offset(stack, login, path))
        return rest.communicate(timeout=60)[0] == "204"

    until(resumed, "the rest is taken")
    assert document(stack, login, path)["sha256"] == digest_of(file)


def test_a_client_that_comes_back_need_not_wait_for_its_dead_connection(stack, login):
    body = os.urandom(300_000)
    path = created(stack, login, len(body))
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nX-Session-Id: {login['session_id']}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", stack.port)) as silent:
        silent.sendall(head.encode() + body[:200_000])
        begun = until(lambda: offset(stack, login, path), "bytes arrive")
        # It stays open and says nothing more.
        start = time.monotonic()

        def resumed():
            at = offset(stack, login, path)
            return patched(stack, login, path, at, body[at:]).status == 204

        until(resumed, "the upload goes on", timeout=20)
        # nginx and files would give the silent one 30 s each.
        assert time.monotonic() - start < 15, begun
    assert document(stack, login, path)["sha256"] == hashlib.sha256(body).hexdigest()


def test_every_status(stack, login):
    options = stack.http("OPTIONS", PATH)
    assert options.status == 204
    assert options.header("Tus-Version") == "1.0.0"
    assert options.header("Tus-Extension") == "creation,creation-with-upload,checksum,expiration,termination"
    assert options.header("Tus-Checksum-Algorithm") == "sha1,sha256"
    size_max = int(options.header("Tus-Max-Size"))

    without = stack.http("POST", PATH, headers={"Upload-Length": "1"}, session=login["session_id"])
    assert_problem(without, 412, "precondition_failed")
    assert without.header("Tus-Version") == "1.0.0"
    assert_problem(tus(stack, None, "POST", headers={"Upload-Length": "1"}), 401)
    assert_problem(tus(stack, login, "POST"), 400, detail="Upload-Length")
    assert_problem(tus(stack, login, "POST", headers={"Upload-Defer-Length": "1"}), 400)
    assert_problem(tus(stack, login, "POST", headers={"Upload-Length": str(size_max + 1)}), 413, "too_large")

    metadata = "filename " + base64.b64encode("图片.png".encode()).decode()
    path = created(stack, login, 6, **{"Upload-Metadata": metadata})
    assert re.fullmatch(r"/api/files/uploads/[A-Za-z0-9_-]{22}", path)
    head = tus(stack, login, "HEAD", path)
    assert (head.status, head.header("Upload-Offset"), head.header("Upload-Length")) == (200, "0", "6")
    assert head.header("Cache-Control") == "no-store" and head.header("Upload-Metadata") == metadata
    assert head.header("Tus-Resumable") == "1.0.0" and head.header("Upload-Expires").endswith(" GMT")
    other = stack.login("test")
    for method in ("HEAD", "PATCH", "DELETE"):
        answer = tus(stack, other, method, path, headers={**PART, "Upload-Offset": "0"})
        assert answer.status == 404, answer

    assert_problem(patched(stack, login, path, 3, b"abc"), 409, "offset_mismatch")
    assert_problem(patched(stack, login, path, 0, b"abc", **{"Content-Type": "text/plain"}), 415)
    assert_problem(patched(stack, login, path, 0, b"abcdefg"), 413, "too_large")
    wrong = "sha1 " + base64.b64encode(hashlib.sha1(b"x").digest()).decode()
    mismatch = patched(stack, login, path, 0, b"abc", **{"Upload-Checksum": wrong})
    assert_problem(mismatch, 460, "checksum_mismatch")
    assert_problem(patched(stack, login, path, 0, b"abc", **{"Upload-Checksum": "crc32 AAAAAA=="}), 400)
    assert offset(stack, login, path) == 0
    right = "sha256 " + base64.b64encode(hashlib.sha256(b"abc").digest()).decode()
    answer = patched(stack, login, path, 0, b"abc", **{"Upload-Checksum": right})
    assert (answer.status, answer.header("Upload-Offset")) == (204, "3")
    assert answer.header("Upload-Expires")
    override = {**PART, "X-HTTP-Method-Override": "PATCH", "Upload-Offset": "3"}
    answer = tus(stack, login, "POST", path, headers=override, body=b"def")
    assert (answer.status, answer.header("Upload-Offset")) == (204, "6")
    found = document(stack, login, path)
    assert (found["file_name"], found["size"]) == ("图片.png", 6)
    assert found["sha256"] == hashlib.sha256(b"abcdef").hexdigest()
    assert tus(stack, login, "DELETE", path).status == 204
    assert tus(stack, login, "HEAD", path).status == 404

    empty = created(stack, login, 0)
    assert document(stack, login, empty)["size"] == 0
    whole = tus(stack, login, "POST", headers={**PART, "Upload-Length": "3"}, body=b"abc")
    assert (whole.status, whole.header("Upload-Offset")) == (201, "3")
    assert document(stack, login, whole.header("Location"))["size"] == 3


def test_a_page_of_an_allowed_origin_can_read_what_its_client_needs(stack, login):
    origin = {"Origin": "http://localhost:8004"}
    preflight = stack.http("OPTIONS", PATH, headers={**origin, "Access-Control-Request-Method": "PATCH"})
    assert "PATCH" in preflight.header("Access-Control-Allow-Methods")
    for name in ("Tus-Resumable", "Upload-Offset", "Upload-Checksum", "X-HTTP-Method-Override"):
        assert name in preflight.header("Access-Control-Allow-Headers")
    answer = tus(stack, login, "POST", headers={**origin, "Upload-Length": "1"})
    assert answer.status == 201
    for name in ("Location", "Upload-Offset", "Upload-Expires", "Tus-Resumable"):
        assert name in answer.header("Access-Control-Expose-Headers")


def test_an_upload_expires_and_a_user_has_so_many():
    with stack_with({"files.upload_expiry_s": 2, "files.tus_uploads_per_user_max": 2}) as stack:
        login = stack.login("user123")
        path = created(stack, login, 5)
        created(stack, login, 5)
        assert_problem(tus(stack, login, "POST", headers={"Upload-Length": "5"}), 429, "too_many_requests")
        until(lambda: tus(stack, login, "HEAD", path).status == 410, "it has expired")
        assert_problem(patched(stack, login, path, 0, b"abc"), 410, "upload_expired")
        created(stack, login, 5)
