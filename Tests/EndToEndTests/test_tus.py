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
from stack import ROOT, stack_with
from uploads import UPLOADS, created, offset, patched, tus, uploaded
from waiting import until

MIB = 1 << 20
SOAK = os.environ.get("SOAK") == "1"
SIZE = 1024 * MIB if SOAK else 100 * MIB
CHUNK = 64 * MIB if SOAK else 16 * MIB
FORM_SIZE = SIZE // 2
# Connections cut, and as many kills of the service, in one upload.
BREAKS = 10 if SOAK else 2
RESIDENT_MAX = 64 * MIB


@pytest.fixture(scope="module")
def session(stack):
    return stack.login("user123")["session_id"]


def path_of(uploader):
    return "/" + uploader.url.split("/", 3)[3]


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(stack, session, url, target):
    """The file as curl gets it; its SHA-256."""
    subprocess.run(
        [
            "curl", "-sS", "--fail", "-o", str(target), "-H", f"X-Session-Id: {session}",
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


def test_tuspy_goes_on_after_cut_connections_and_kills(stack, session, seed, tmp_path):
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
        client = TusClient(f"http://127.0.0.1:{relay.port}{UPLOADS}", headers={"X-Session-Id": session})
        uploader = client.uploader(
            str(file), chunk_size=CHUNK, retries=100, retry_delay=0.2,
            metadata={"filename": "video.bin", "filetype": "video/mp4"},
        )
        uploader.upload()
        assert not relay.breaks, "the upload was over before every break"
        # Each break costs what was on its way, at most a chunk; beginning again would cost far more.
        assert relay.sent < SIZE + 2 * BREAKS * CHUNK, relay.sent
    path = path_of(uploader)
    found = uploaded(stack, session, path)
    assert found["size"] == SIZE and found["file_name"] == "video.bin"
    assert found["sha256"] == digest_of(file)
    assert offset(stack, session, path) == SIZE
    assert download(stack, session, found["url"], tmp_path / "down") == found["sha256"]
    peaks.append(resident_peak(stack.files))
    print("resident memory of files, MiB:", [peak // MIB for peak in peaks], "sent, MiB:", relay.sent // MIB)
    assert max(peaks) < RESIDENT_MAX, [peak // MIB for peak in peaks]
    assert os.listdir(stack.directory / "data/files/uploads") == []


def test_a_large_form_needs_no_more_memory(stack, session, seed, tmp_path):
    file = noise_file(tmp_path / "form.bin", FORM_SIZE, seed + 1)
    answer = curl(
        f"http://127.0.0.1:{stack.port}/api/files/upload", "-H", f"X-Session-Id: {session}",
        "-H", "Expect:", "-F", f"file=@{file}", "-m", "600", timeout=660,
    )
    assert answer.status == 201, answer.body
    assert answer.json["size"] == FORM_SIZE and answer.json["sha256"] == digest_of(file)
    assert download(stack, session, answer.json["url"], tmp_path / "down") == answer.json["sha256"]
    peak = resident_peak(stack.files)
    print("resident memory of files, MiB:", peak // MIB, "sent, MiB:", FORM_SIZE // MIB)
    assert peak < RESIDENT_MAX


def test_tuspy_sends_checksums(stack, session, tmp_path):
    file = noise_file(tmp_path / "a.bin", 3 * MIB, 1)
    client = TusClient(f"http://127.0.0.1:{stack.port}{UPLOADS}", headers={"X-Session-Id": session})
    uploader = client.uploader(str(file), chunk_size=MIB, upload_checksum=True)
    uploader.upload()
    assert uploaded(stack, session, path_of(uploader))["sha256"] == digest_of(file)


def test_the_longest_metadata_come_back(stack, session):
    longest = "a " + base64.b64encode(bytes(3069)).decode()
    assert len(longest) == 4094
    path = created(stack, session, 5, **{"Upload-Metadata": longest})
    answer = tus(stack, session, "HEAD", path, headers={"Origin": "http://localhost:8004"})
    assert answer.status == 200, answer
    assert answer.header("Upload-Metadata") == longest and answer.header("Upload-Offset") == "0"


def test_curl_is_stopped_and_goes_on(stack, session, tmp_path):
    file = noise_file(tmp_path / "b.bin", 20 * MIB, 2)
    path = created(stack, session, 20 * MIB)

    def send_rest(start, *options):
        command = [
            "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PATCH", "--data-binary", "@-",
            "-H", "Expect:", "-H", "Tus-Resumable: 1.0.0", "-H", "Content-Type: application/offset+octet-stream",
            "-H", f"Upload-Offset: {start}", "-H", f"X-Session-Id: {session}", *options,
            f"http://127.0.0.1:{stack.port}{path}",
        ]
        rest = tmp_path / "rest"
        rest.write_bytes(file.read_bytes()[start:])
        with open(rest, "rb") as body:
            return subprocess.Popen(command, stdin=body, stdout=subprocess.PIPE, text=True)

    slow = send_rest(0, "--limit-rate", "8M")
    until(lambda: offset(stack, session, path) > 2 * MIB, "bytes arrive")
    slow.kill()
    slow.wait()

    def resumed():
        rest = send_rest(offset(stack, session, path))
        return rest.communicate(timeout=60)[0] == "204"

    until(resumed, "the rest is taken")
    assert uploaded(stack, session, path)["sha256"] == digest_of(file)


def test_a_client_that_comes_back_need_not_wait_for_its_dead_connection(stack, session):
    body = os.urandom(300_000)
    path = created(stack, session, len(body))
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nX-Session-Id: {session}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", stack.port)) as silent:
        silent.sendall(head.encode() + body[:200_000])
        begun = until(lambda: offset(stack, session, path), "bytes arrive")
        # It stays open and says nothing more.
        start = time.monotonic()

        def resumed():
            at = offset(stack, session, path)
            return patched(stack, session, path, at, body[at:]).status == 204

        until(resumed, "the upload goes on", timeout=20)
        # nginx and files would give the silent one 30 s each.
        assert time.monotonic() - start < 15, begun
    assert uploaded(stack, session, path)["sha256"] == hashlib.sha256(body).hexdigest()


def test_the_edge_gives_up_a_silent_client_before_files_does():
    # The edge closes without an answer, after which clients go on; a 408 they would take for the end.
    edge = re.search(r"client_body_timeout (\d+)s;", (ROOT / "deploy/nginx/edge/site.conf.template").read_text())
    files = re.search(
        r"bodyIdleTimeout = Duration\.seconds\((\d+)\)", (ROOT / "Services/files/FilesConfig.swift").read_text()
    )
    assert int(edge[1]) < int(files[1])


def test_an_upload_expires_and_a_user_has_so_many():
    with stack_with({"files.upload_expiry_s": 2, "files.tus_uploads_per_user_max": 2}) as stack:
        session = stack.login("user123")["session_id"]
        path = created(stack, session, 5)
        created(stack, session, 5)
        assert_problem(tus(stack, session, "POST", headers={"Upload-Length": "5"}), 429, "too_many_requests")
        until(lambda: tus(stack, session, "HEAD", path).status == 410, "it has expired")
        assert_problem(patched(stack, session, path, 0, b"abc"), 410, "upload_expired")
        created(stack, session, 5)
