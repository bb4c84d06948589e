"""Uploads by form and as base64, what a user may have, image dimensions, and URLs that need no session.

The forms are made by curl and by this module, byte by byte; the images by Pillow.
"""

import base64
import hashlib
import itertools
import json
import os
import re
import secrets
import socket

import pytest
from PIL import Image

from commands import curl
from http_client import assert_problem, request
from stack import stack_with
from uploads import (
    UPLOAD, created, metadata, nothing_stored, on_disk, part, patched, picture, send_base64, send_file, send_form,
    signed_url, stored, uploaded,
)
from waiting import until

MIB = 1 << 20
USER_BYTES_MAX, USER_FILES_MAX, IMAGE_BYTES_MAX, FILE_BYTES_MAX = 6 * MIB, 12, MIB, 5 * MIB
SETTINGS = {
    "files.user_bytes_max": USER_BYTES_MAX, "files.user_files_max": USER_FILES_MAX,
    "files.image_bytes_max": IMAGE_BYTES_MAX, "files.file_bytes_max": FILE_BYTES_MAX,
}


@pytest.fixture(scope="module")
def customers(stack):
    """Customers who have no files yet, one after the other."""
    return iter(stack.sessions(60, 0)[0])


@pytest.fixture
def session(customers):
    return next(customers)["session_id"]


# Forms


def test_every_way_gives_the_same_document_and_one_blob(stack, session, tmp_path):
    content = os.urandom(1_800_000)
    file = tmp_path / "数据 1.bin"
    file.write_bytes(content)
    by_curl = curl(
        f"http://127.0.0.1:{stack.port}{UPLOAD}", "-H", f"X-Session-Id: {session}", "-F", f"file=@{file}",
    )
    assert by_curl.status == 201, by_curl.body
    in_parts = created(stack, session, len(content), **{"Upload-Metadata": metadata(filename=file.name)})
    for start in (0, 1_000_000):
        piece = content[start:start + 1_000_000]
        assert patched(stack, session, in_parts, start, piece).status == 204
    documents = [
        by_curl.json, stored(send_base64(stack, session, content, file.name)), uploaded(stack, session, in_parts),
    ]
    assert len({document["file_id"] for document in documents}) == 3
    digest = hashlib.sha256(content).hexdigest()
    for document in documents:
        assert stack.http("GET", document["url"], session=session).body == content
        assert {name: value for name, value in document.items() if name not in ("file_id", "url")} == {
            "file_type": "File", "file_name": "数据 1.bin", "content_type": "application/octet-stream",
            "size": len(content), "sha256": digest,
        }
    blobs, temporary = on_disk(stack)
    assert digest in blobs and not temporary
    assert len(list((stack.directory / "data/files").rglob(digest))) == 1
    # The blob lives as long as one of them does.
    first, second, last = documents
    for document in (last, first):
        assert stack.http("DELETE", f"/api/files/{document['file_id']}", session=session).status == 204
        assert_problem(stack.http("GET", document["url"], session=session), 404, "file_not_found")
        assert stack.http("GET", second["url"], session=session).body == content
    assert stack.http("DELETE", f"/api/files/{second['file_id']}", session=session).status == 204
    assert digest not in on_disk(stack)[0]


def test_curl_sends_fields_quotes_and_chunks(stack, session, tmp_path):
    file = tmp_path / "plain.txt"
    file.write_bytes(b"a,b\n1,2\n")
    url = f"http://127.0.0.1:{stack.port}{UPLOAD}"
    named = curl(
        url, "-H", f"X-Session-Id: {session}", "-H", "Transfer-Encoding: chunked",
        "-F", "file_name=table.csv", "-F", f"file=@{file};type=text/plain", "-F", "file_type=text/csv",
        "-F", "comment=skipped",
    )
    assert named.status == 201, named.body
    assert named.json["file_name"] == "table.csv" and named.json["content_type"] == "text/csv"
    quoted = curl(url, "-H", f"X-Session-Id: {session}", "-F", f'file=@{file};filename="a\\"b;c.txt"')
    assert quoted.status == 201, quoted.body
    assert quoted.json["file_name"] == 'a"b;c.txt'


@pytest.mark.parametrize("parts, options, status, code, detail", [
    ((), {}, 422, "invalid_field", "file: is required"),
    ((part("file_name", b"a"),), {}, 422, "invalid_field", "file: is required"),
    ((part("file", b"x", "a"), part("file", b"y", "b")), {}, 422, "invalid_field", "file: is given twice"),
    ((part("file", b"x", "a"), part("other", b"y", "b")), {}, 422, "invalid_field", "only file"),
    ((part("file", b"x"),), {}, 422, "invalid_field", "file_name: is required"),
    ((part("file", b"", "a"),), {}, 422, "invalid_field", "must not be empty"),
    ((part("file", b"x", "../a"),), {}, 422, "invalid_field", "file_name"),
    ((part("file", b"x", "a"),), {"end": False}, 400, "malformed_multipart", "ends before"),
    ((part("file", b"x\r\n------bc", "a"),), {}, 400, "malformed_multipart", "boundary"),
    ((b"Content-Type: text/plain\r\n\r\nx",), {}, 400, "malformed_multipart", "Content-Disposition"),
    ((b"no colon\r\n\r\nx",), {}, 400, "malformed_multipart", "head"),
    ((part("file", b"x", "a" * 9000),), {}, 400, "malformed_multipart", "head"),
    ((part("file", b"x", "a"), part("f", b"x" * 65_537)), {}, 413, "too_large", "65536"),
    ([part("f", b"x")] * 21, {}, 413, "too_large", "20 parts"),
])
def test_each_bad_form_is_answered_by_name_and_leaves_nothing(stack, session, parts, options, status, code, detail):
    with nothing_stored(stack):
        assert_problem(send_form(stack, session, *parts, **options), status, code, detail)


def test_a_form_of_lf_only_and_one_without_a_boundary_are_refused(stack, session):
    body = b'--b\nContent-Disposition: form-data; name="file"; filename="a"\n\nx\n--b--\n'
    for parameters in ("; boundary=b", "", "; boundary=", "; boundary=" + "b" * 71):
        answer = stack.http(
            "POST", UPLOAD, body=body, session=session, headers={"Content-Type": "multipart/form-data" + parameters}
        )
        assert_problem(answer, 400, "malformed_multipart")


# Limits


def test_the_limits_are_announced(stack):
    upload = stack.http("GET", "/api/config").json["upload"]
    assert upload["user_bytes_max"] == USER_BYTES_MAX and upload["user_files_max"] == USER_FILES_MAX
    assert upload["image_bytes_max"] == IMAGE_BYTES_MAX
    for name in ("file_bytes_max", "base64_bytes_max", "video_bytes_max", "voice_bytes_max"):
        assert upload[name] == FILE_BYTES_MAX, name
    assert upload["uploads_per_user_max"] == 8
    assert upload["tus_uploads_per_user_max"] == 20 and upload["upload_expiry_s"] == 86_400


def test_a_file_and_an_image_are_as_large_as_they_may_be(stack, session):
    with nothing_stored(stack):
        assert_problem(send_file(stack, session, bytes(FILE_BYTES_MAX + 1)), 413, "too_large")
        gif = b"GIF89a" + os.urandom(IMAGE_BYTES_MAX - 5)
        assert_problem(send_file(stack, session, gif, "a.txt", "text/plain"), 413, "too_large")
    assert stored(send_file(stack, session, gif[:-1]))["file_type"] == "Image"
    assert stored(send_file(stack, session, bytes(FILE_BYTES_MAX)))["size"] == FILE_BYTES_MAX


def test_a_user_has_so_many_bytes_and_files(stack, customers):
    session, other = next(customers)["session_id"], next(customers)["session_id"]
    first = stored(send_file(stack, session, os.urandom(4 * MIB)))
    with nothing_stored(stack):
        over = os.urandom(2 * MIB + 1)
        assert_problem(send_file(stack, session, over), 413, "quota_exceeded", str(USER_BYTES_MAX))
        assert_problem(send_base64(stack, session, over), 413, "quota_exceeded")
    stored(send_file(stack, session, over[1:]))
    with nothing_stored(stack):
        assert_problem(send_file(stack, session, b"x"), 413, "quota_exceeded")
    stored(send_file(stack, other, b"x"))
    assert stack.http("DELETE", f"/api/files/{first['file_id']}", session=session).status == 204
    for _ in range(USER_FILES_MAX - 1):
        stored(send_file(stack, session, b"x"))
    assert_problem(send_file(stack, session, b"x"), 413, "quota_exceeded", str(USER_FILES_MAX))


# Images


def exif(orientation):
    data = Image.Exif()
    data[0x010F], data[0x0112] = "Maker", orientation
    return data


PICTURES = [
    ("PNG", {}, (301, 200)), ("PNG", {"alpha": True}, (301, 200)), ("GIF", {}, (301, 200)),
    ("JPEG", {}, (301, 200)), ("JPEG", {"progressive": True}, (301, 200)), ("JPEG", {"quality": 1}, (301, 200)),
    ("WEBP", {}, (301, 200)), ("WEBP", {"lossless": True}, (301, 200)), ("WEBP", {"alpha": True}, (301, 200)),
    ("WEBP", {"exif": exif(1)}, (301, 200)),
    *(("JPEG", {"exif": exif(number)}, (200, 301) if number >= 5 else (301, 200)) for number in range(1, 9)),
    ("BMP", {}, None), ("TIFF", {}, None),
]


@pytest.mark.parametrize("kind, options, size", PICTURES)
def test_the_dimensions_of_an_image_are_in_its_document(stack, customers_of_pictures, kind, options, size):
    session = next(customers_of_pictures)
    content = picture(kind, **options)
    document = stored(send_file(stack, session, content, "image", f"image/{kind.lower()}"))
    assert (document.get("width"), document.get("height")) == (size or (None, None))
    assert stack.http("GET", f"/api/files/{document['file_id']}", session=session).json == document
    if size and kind == "JPEG":
        # Cut off before the frame header: an image still, of a size that nobody knows.
        starts = (content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
        start = min(start for start in starts if start >= 0)
        damaged = stored(send_file(stack, session, content[:start], "image", "image/jpeg"))
        assert damaged["file_type"] == "Image" and "width" not in damaged and "height" not in damaged


@pytest.fixture(scope="module")
def customers_of_pictures(customers):
    """A customer's session for a few uploads each."""
    return itertools.chain.from_iterable([one["session_id"]] * 4 for one in customers)


# Signed URLs


def test_an_img_tag_reads_a_signed_url_without_a_session(stack, customers):
    session, other = next(customers)["session_id"], next(customers)["session_id"]
    content = picture("PNG")
    document = stored(send_file(stack, session, content, "图片 1.png"))
    assert_problem(stack.http("POST", f"/api/files/{document['file_id']}/url", session=other), 404, "file_not_found")
    url = signed_url(stack, document["file_id"], session)
    assert url.startswith(document["url"] + "?expires=")
    shown = curl(f"http://127.0.0.1:{stack.port}{url}", "-H", "Referer: http://elsewhere.example/")
    assert shown.status == 200 and shown.content_type == "image/png" and shown.body == content
    head = stack.http("HEAD", url)
    assert head.status == 200 and head.header("Content-Length") == str(len(content))
    assert head.header("Content-Disposition") == (
        "inline; filename=\"__ 1.png\"; filename*=UTF-8''%E5%9B%BE%E7%89%87%201.png"
    )
    for wrong in (url[:-1], url[:-1] + ("A" if url[-1] != "A" else "E"), url.replace("expires=", "expires=1")):
        assert_problem(stack.http("GET", wrong), 403, "forbidden")
    assert_problem(stack.http("GET", url.replace(document["file_id"], "x" * 22)), 403, "forbidden")
    assert_problem(stack.http("GET", document["url"]), 401)
    assert stack.http("DELETE", f"/api/files/{document['file_id']}", session=session).status == 204
    assert_problem(stack.http("GET", url), 404, "file_not_found")


def test_signed_urls_expire_and_survive_a_restart_of_the_service():
    with stack_with({"files.url_lifetime_s": 3}) as short:
        session = short.sessions(1, 0)[0][0]["session_id"]
        document = stored(send_file(short, session, b"hello"))
        key = short.directory / "data/files/url.key"
        assert key.stat().st_mode & 0o777 == 0o600 and key.stat().st_size == 32
        before = key.read_bytes()
        short.files.stop()
        short.files.start()
        assert key.read_bytes() == before
        url = signed_url(short, document["file_id"], session)
        expired = lambda: request(short.ports["files"], "GET", url).status == 403
        until(expired, "the URL has expired", timeout=15)
        wrong = short.http("GET", url[:-1])
        late = short.http("GET", url)
        assert wrong.status == late.status == 403 and wrong.json == late.json


def test_a_key_of_ones_own_signs_urls():
    secret = secrets.token_hex(32)
    with stack_with({"files.url_secret": secret}) as own:
        own.secrets.add(secret)
        session = own.sessions(1, 0)[0][0]["session_id"]
        document = stored(send_file(own, session, b"hello"))
        assert own.http("GET", signed_url(own, document["file_id"], session)).body == b"hello"
        assert not (own.directory / "data/files/url.key").exists()


# The store


def test_another_database_stops_the_start_and_nothing_is_removed():
    with stack_with({}) as own:
        session = own.sessions(1, 0)[0][0]["session_id"]
        document = stored(send_file(own, session, b"hello"))
        path = created(own, session, 10)
        before, files = on_disk(own), own.files
        files.stop()
        environment = files.environment
        files.environment = {**environment, "STORE": f"sqlite:{own.directory}/elsewhere"}
        files.start(wait=False)
        assert files.child.wait(timeout=30) == 1
        files.child, files.environment = None, environment
        assert "do not belong together" in files.log_text()
        assert on_disk(own) == before
        files.start()
        assert own.http("GET", document["url"], session=session).body == b"hello"
        assert patched(own, session, path, 0, b"0123456789").status == 204


# Names


@pytest.mark.parametrize("name, disposition", [
    ("a.bin", 'attachment; filename="a.bin"'),
    ("a;b.bin", 'attachment; filename="a;b.bin"'),
    ('a%22b.bin', "attachment; filename=\"a_b.bin\"; filename*=UTF-8''a%22b.bin"),
    ("100%.bin", "attachment; filename=\"100_.bin\"; filename*=UTF-8''100%25.bin"),
    ("é.bin", "attachment; filename=\"_.bin\"; filename*=UTF-8''%C3%A9.bin"),
    ("🙂.html", "attachment; filename=\"_.html\"; filename*=UTF-8''%F0%9F%99%82.html"),
])
def test_names_are_kept_and_made_safe_in_headers(stack, customers_of_pictures, name, disposition):
    session = next(customers_of_pictures)
    document = stored(send_file(stack, session, b"\x00\x01", name))
    assert document["file_name"] == name.replace("%22", '"')
    head = stack.http("HEAD", document["url"], session=session)
    assert head.header("Content-Disposition") == disposition
    assert head.header("X-Content-Type-Options") == "nosniff"


def test_a_page_reads_a_file_with_the_longest_name(stack, session):
    document = stored(send_base64(stack, session, b"hello", "🙂" * 255))
    page = {"Origin": "http://localhost:8004"}
    for url, who in ((document["url"], session), (signed_url(stack, document["file_id"], session), None)):
        answer = stack.http("GET", url, headers=page, session=who)
        assert answer.status == 200 and answer.body == b"hello", answer
        assert answer.header("Content-Disposition").endswith("; filename*=UTF-8''" + "%F0%9F%99%82" * 255)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", "a\x7fb", "\u202egpj.exe", "x" * 256])
def test_names_that_are_not_safe_are_refused(stack, session, name):
    with nothing_stored(stack):
        answer = send_file(stack, session, b"x", name)
        assert answer.status in (400, 422), answer
        assert json.loads(answer.body)["code"] in ("invalid_field", "malformed_multipart")


def test_one_address_does_not_take_all_uploads():
    with stack_with({"files.uploads_per_network_max": 1}) as stack:
        first, second = (one["session_id"] for one in stack.sessions(2, 0)[0])
        content, port = b"hello", stack.ports["files"]

        def begun():
            metrics = request(port, "GET", "/metrics").body.decode()
            return re.search(r"^files_uploads_in_progress 1(\.0)?$", metrics, re.MULTILINE)

        with socket.create_connection(("127.0.0.1", stack.port)) as held:
            head = f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\nX-Session-Id: {first}\r\n"
            held.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n{{".encode())
            until(begun, "the first upload has begun")
            refused = send_base64(stack, second, content)
            assert_problem(refused, 429, "too_many_requests")
            assert refused.header("Retry-After") == "1"
            document = {"file_name": "a.txt", "file_type": "", "file_data": base64.b64encode(content).decode()}
            elsewhere = request(
                port, "POST", UPLOAD, json=document, session=second, headers={"X-Forwarded-For": "192.0.2.7"}
            )
            assert elsewhere.status == 201, elsewhere
        until(lambda: send_base64(stack, second, content).status == 201, "the address has a slot again")
