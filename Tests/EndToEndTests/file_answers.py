"""The table of `test_file_answers.py`: requests to files, and the answer that each has to get.

A row is one request by a user of its own, and what the answer must be. `{names}` are filled in by the test's `Cell`.
"""

import dataclasses
import email
import email.policy
import hashlib
import json
import re

from uploads import OCTETS, PART, UPLOAD, UPLOADS, VERSION, checksum, document, form, metadata, part, picture

TEXT = b"".join(b"line %02d\n" % number for number in range(100))
TEXT_NAME = "报告 \"1\".txt"
PNG = picture("PNG", (301, 200))
PAGE, SVG = b"<!doctype html><script>1</script>", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"
SCRIPT = b"document.title = 'ran'"
# Much less than the real ones, so that a request can be over them; a whole tebibyte is more than the disk has.
IMAGE_BYTES_MAX, VIDEO_BYTES_MAX, BASE64_BYTES_MAX, FILE_BYTES_MAX = 20_000, 30_000, 40_000, 1 << 40
USER_BYTES_MAX, USER_FILES_MAX = 1_000_000, 4
TRUSTED = "http://localhost:8004"
FORM = "multipart/form-data; boundary=----b"
SIZE, TAG = len(TEXT), f'"{hashlib.sha256(TEXT).hexdigest()}"'
ID, TIME = r"[A-Za-z0-9_-]{22}", r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"

SAFE = {
    "X-Content-Type-Options": "nosniff", "ETag": TAG, "Accept-Ranges": "bytes", "Last-Modified": None,
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'", "Cross-Origin-Resource-Policy": "same-site",
    "Content-Disposition": (
        "attachment; filename=\"__ _1_.txt\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A%20%221%22.txt"
    ),
}
WHOLE = {**SAFE, "Content-Type": "text/plain", "Content-Length": str(SIZE), "Content-Range": None}
UNCHANGED = {**SAFE, "Content-Range": None}
SIGNED = {**WHOLE, "Cross-Origin-Resource-Policy": "cross-origin"}
EXPOSED = (
    "X-Request-Id", "Location", "ETag", "Content-Disposition", "Content-Range", "Accept-Ranges", "Tus-Resumable",
    "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm", "Upload-Offset", "Upload-Length",
    "Upload-Expires", "Upload-Metadata", "Retry-After",
)
SENDABLE = (
    "Authorization", "Content-Type", "X-Session-Id", "X-Request-Id", "Range", "If-Match", "If-None-Match", "If-Range",
    "Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Checksum", "X-HTTP-Method-Override",
)


class Words:
    """A list in a header field that holds at least these words."""

    def __init__(self, *words):
        self.words = words

    def __eq__(self, value):
        return value is not None and {word.lower() for word in self.words} <= set(re.split(r",\s*", value.lower()))

    def __repr__(self):
        return f"a list with {', '.join(self.words)}"


class Like:
    """A value that a regular expression matches."""

    def __init__(self, pattern):
        self.pattern = pattern

    def __eq__(self, value):
        return value is not None and re.fullmatch(self.pattern, value) is not None

    def __repr__(self):
        return f"like {self.pattern}"


@dataclasses.dataclass
class Row:
    name: str
    method: str
    path: str
    status: int
    # The machine word of a problem document.
    code: str | None = None
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes | None = None
    # Whose session goes along: `own`, `other`, `agent`, `none`; `ended` is one that there is not.
    who: str = "own"
    # What the answer's fields must be; `None` for one that must not be there.
    answer: dict = dataclasses.field(default_factory=dict)
    # What the answer's body must be: bytes, members of a document, or a function of it and the answer.
    result: object = None
    # What must be there besides what the request names.
    needs: tuple = ()


# Upload in one request


def stored(size, content_type, file_type, name, **more):
    return {"size": size, "content_type": content_type, "file_type": file_type, "file_name": name, **more}


def by_json(name, members, status=201, code=None, result=None, **more):
    body = members if isinstance(members, bytes) else json.dumps(members, ensure_ascii=False).encode()
    return Row(name, "POST", UPLOAD, status, code, {"Content-Type": "application/json"}, body, result=result, **more)


def by_form(name, *parts, status=201, code=None, result=None, end=True, **more):
    return Row(name, "POST", UPLOAD, status, code, {"Content-Type": FORM}, form(*parts, end=end), result=result, **more)


GOOD = document(b"hello", "a.txt", "text/plain")
NEW = {"Location": Like(f"/files/{ID}"), "Content-Type": "application/json"}
NOTES = stored(5, "text/plain", "File", "a.txt", sha256=hashlib.sha256(b"hello").hexdigest(), url=Like(f"/files/{ID}"))


def with_data(data):
    return {**GOOD, "file_data": data}


UPLOADS_IN_ONE = [
    by_json("base64", GOOD, answer=NEW, result=NOTES),
    by_json("base64 of a data URL", with_data("data:text/html;base64,aGVsbG8="), answer=NEW, result=NOTES),
    by_json("base64 of a picture", document(PNG, "a.gif", "image/gif"), answer=NEW,
            result=stored(len(PNG), "image/png", "Image", "a.gif", width=301, height=200)),
    by_json("base64 of a page", document(PAGE, "a.png", "image/png"), answer=NEW,
            result=stored(len(PAGE), "text/html", "File", "a.png")),
    by_json("base64 of a drawing", document(SVG, "a.svg", "image/svg+xml"), answer=NEW,
            result=stored(len(SVG), "image/svg+xml", "File", "a.svg")),
    by_json("base64 of a script", document(SCRIPT, "a.js", "text/javascript"), answer=NEW,
            result=stored(len(SCRIPT), "text/plain", "File", "a.js")),
    by_json("base64, a name with an emoji", document(b"hello", "🙂 \"é\".txt", ""), answer=NEW,
            result=stored(5, "text/plain", "File", "🙂 \"é\".txt")),
    by_json("base64 without padding", with_data("aGVsbG8"), 422, "invalid_base64"),
    by_json("base64 with a space", with_data("aGVs bG8="), 422, "invalid_base64"),
    by_json("base64 of another alphabet", with_data("-_-_"), 422, "invalid_base64"),
    by_json("base64 that goes on behind its padding", with_data("aGVsbG8=aGVs"), 422, "invalid_base64"),
    by_json("base64 with bits left over", with_data("aGVsbG9="), 422, "invalid_base64"),
    by_json("base64 of nothing", with_data(""), 422, "invalid_field"),
    by_json("base64, a data URL without base64", with_data("data:text/plain,hello"), 422, "invalid_base64"),
    by_json("base64, a path as a name", {**GOOD, "file_name": "../../etc/passwd"}, 422, "invalid_field"),
    by_json("base64, a name with NUL", {**GOOD, "file_name": "a\0b"}, 422, "invalid_field"),
    by_json("base64 over its limit", document(bytes(BASE64_BYTES_MAX + 1)), 413, "too_large"),
    by_json("base64, an image over its limit", document(PNG + bytes(IMAGE_BYTES_MAX)), 413, "too_large"),
    by_json("base64, a body cut short", json.dumps(GOOD).encode()[:-4], 400, "malformed_json"),
    by_form("form", part("file", TEXT, "a.txt", "text/plain"), answer=NEW,
            result=stored(SIZE, "text/plain", "File", "a.txt")),
    by_form("form, named by fields", part("file_name", "图.csv".encode()), part("file", b"a,b", "x"),
            part("file_type", b"text/csv"), answer=NEW, result=stored(3, "text/csv", "File", "图.csv")),
    by_form("form, a name with a quote", part("file", b"hello", "a%22b.txt"), answer=NEW,
            result=stored(5, "text/plain", "File", 'a"b.txt')),
    by_form("form, a path as a name", part("file", b"x", "../../etc/passwd"), status=422, code="invalid_field"),
    by_form("form of nothing", part("file", b"", "a"), status=422, code="invalid_field"),
    by_form("form without a file", part("other", b"x"), status=422, code="invalid_field"),
    by_form("form without an end", part("file", b"x", "a"), end=False, status=400, code="malformed_multipart"),
    by_form("form, a part without a name", b"Content-Type: text/plain\r\n\r\nx", status=400,
            code="malformed_multipart"),
    by_form("form of too many parts", *[part("x", b"x")] * 21, status=413, code="too_large"),
    by_form("form, a video over its limit", part("file", b"\0\0\0\x18ftypisom" + bytes(VIDEO_BYTES_MAX), "a.mp4"),
            status=413, code="too_large"),
    by_form("form over the user's bytes", part("file", bytes(USER_BYTES_MAX + 1), "a"), status=413,
            code="quota_exceeded"),
    by_form("form over the user's files", part("file", b"x", "a"), status=413, code="quota_exceeded",
            needs=("all_files",)),
    by_form("form while another upload goes on", part("file", b"x", "a"), status=429, code="too_many_requests",
            answer={"Retry-After": "1"}, needs=("busy",)),
    by_form("form without a session", part("file", b"x", "a"), status=401, code="unauthenticated", who="none",
            answer={"WWW-Authenticate": "Bearer"}),
    Row("upload of plain text", "POST", UPLOAD, 415, "unsupported_media_type", {"Content-Type": "text/plain"}, b"x"),
    Row("upload without a type", "POST", UPLOAD, 415, "unsupported_media_type", {"Content-Type": None}, b"x"),
    Row("form without a boundary", "POST", UPLOAD, 400, "malformed_multipart", {"Content-Type": "multipart/form-data"},
        b"x"),
]

# Documents

DOCUMENT = "/api/files/{file}"
DESCRIBED = stored(SIZE, "text/plain", "File", TEXT_NAME, file_id="{file}", url="/files/{file}")
ABOUT = {"Content-Type": "application/json", "Cache-Control": "private, no-cache"}


def gone(path, method="GET", **more):
    return Row(f"{method} {path} of nobody's", method, path, 404, "file_not_found", **more)


DOCUMENTS = [
    Row("document", "GET", DOCUMENT, 200, answer=ABOUT, result=DESCRIBED),
    Row("document by HEAD", "HEAD", DOCUMENT, 200, answer=ABOUT, result=b""),
    Row("document, by an agent", "GET", DOCUMENT, 200, who="agent", result=DESCRIBED),
    Row("document, by another customer", "GET", DOCUMENT, 404, "file_not_found", who="other"),
    Row("document, by nobody", "GET", DOCUMENT, 401, "unauthenticated", who="none",
        answer={"WWW-Authenticate": "Bearer"}),
    Row("document, by a session that has ended", "GET", DOCUMENT, 401, "session_ended", who="ended",
        answer={"WWW-Authenticate": "Bearer"}),
    gone("/api/files/" + "x" * 22), gone("/api/files/" + "x" * 22, "DELETE"), gone("/files/" + "x" * 22),
    gone("/files/x"), Row("no file at all", "GET", "/files/", 404, "not_found"),
    Row("deletion", "DELETE", DOCUMENT, 204, result=b""),
    Row("deletion, by an agent", "DELETE", DOCUMENT, 403, "forbidden", who="agent"),
    Row("deletion, by another customer", "DELETE", DOCUMENT, 404, "file_not_found", who="other"),
    Row("deletion, by nobody", "DELETE", DOCUMENT, 401, "unauthenticated", who="none"),
    Row("a URL", "POST", DOCUMENT + "/url", 200, answer={"Cache-Control": "no-store"},
        result={"url": Like(rf"/files/{ID}\?expires=\d+&signature=[\w-]{{43}}")}),
    Row("a URL, for another customer", "POST", DOCUMENT + "/url", 404, "file_not_found", who="other"),
    Row("a URL, for nobody", "POST", DOCUMENT + "/url", 401, "unauthenticated", who="none"),
]

# Download


def read(name, headers=None, status=200, code=None, answer=WHOLE, result=TEXT, path="/files/{file}", **more):
    return Row(name, "GET", path, status, code, headers or {}, answer=answer, result=result, **more)


def span(name, value, first, last, **conditions):
    """One range that is answered."""
    length = str(last - first + 1)
    answer = {**WHOLE, "Content-Range": f"bytes {first}-{last}/{SIZE}", "Content-Length": length}
    return read(name, {"Range": value, **conditions}, 206, answer=answer, result=TEXT[first:last + 1])


def spans(*ranges):
    """A body of several ranges, read by Python's own parser of MIME."""
    def check(body, response):
        head = f"Content-Type: {response.header('Content-Type')}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        parts = [(one["Content-Range"], one["Content-Type"], one.get_payload()) for one in message.iter_parts()]
        assert parts == [
            (f"bytes {first}-{last}/{SIZE}", "text/plain", TEXT[first:last + 1].decode()) for first, last in ranges
        ]

    return check


def several(name, value, *ranges):
    answer = {**SAFE, "Content-Type": Like("multipart/byteranges; boundary=.+"), "Content-Range": None}
    return read(name, {"Range": value}, 206, answer=answer, result=spans(*ranges))


def single_bytes(count):
    return "bytes=" + ",".join(f"{n * 9}-{n * 9}" for n in range(count))


def unsatisfied(name, value, size=SIZE, path="/files/{file}"):
    return read(name, {"Range": value}, 416, "range_not_satisfiable", {"Content-Range": f"bytes */{size}"}, None, path)


def unchanged(name, value):
    return read(name, {"If-None-Match": value}, 304, answer=UNCHANGED, result=b"")


DOWNLOADS = [
    read("file"), read("file, by an agent", who="agent"),
    read("file, nothing compressed", {"Accept-Encoding": "gzip"}, answer={**WHOLE, "Content-Encoding": None}),
    Row("file by HEAD", "HEAD", "/files/{file}", 200, answer=WHOLE, result=b""),
    Row("file by HEAD, whose ranges mean nothing", "HEAD", "/files/{file}", 200, headers={"Range": "bytes=0-1"},
        answer=WHOLE, result=b""),
    read("file, by another customer", status=404, code="file_not_found", answer={"ETag": None}, result=None,
         who="other"),
    read("file, by nobody", status=401, code="unauthenticated", answer={"WWW-Authenticate": "Bearer", "ETag": None},
         result=None, who="none"),
    Row("file by HEAD, by another customer", "HEAD", "/files/{file}", 404, answer={"ETag": None}, who="other"),
    read("file whose blob is lost", status=500, code="internal_error", answer={"ETag": None}, result=None,
         path="/files/{lost}"),
    read("picture", path="/files/{picture}", result=PNG, answer={
        "X-Content-Type-Options": "nosniff", "Content-Type": "image/png",
        "Content-Disposition": 'inline; filename="a.png"',
        "Content-Security-Policy": "sandbox; default-src 'none'", "Cross-Origin-Resource-Policy": "same-site",
    }),
    *(read(f"{name}, only to be saved", path=f"/files/{{{name}}}", result=content, answer={
        "X-Content-Type-Options": "nosniff", "Content-Type": content_type,
        "Content-Disposition": f'attachment; filename="a.{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }) for name, content, content_type in (
        ("html", PAGE, "text/html"), ("svg", SVG, "image/svg+xml"), ("js", SCRIPT, "text/plain"),
    )),
    # Conditions
    unchanged("known", TAG), unchanged("known, weakly", "W/" + TAG), unchanged("anything", "*"),
    unchanged("known, in a list", f'"x", W/"y,z" , {TAG}'),
    Row("known, by HEAD", "HEAD", "/files/{file}", 304, headers={"If-None-Match": TAG}, answer=UNCHANGED, result=b""),
    read("unknown", {"If-None-Match": '"x"'}), read("a date means nothing", {"If-Modified-Since": "{tomorrow}"}),
    read("known, by nobody", {"If-None-Match": TAG}, 401, "unauthenticated", {"ETag": None}, None, who="none"),
    read("as it was", {"If-Match": TAG}), read("as it was, in a list", {"If-Match": f'"x", {TAG}'}),
    read("as ever", {"If-Match": "*"}),
    *(read(f"another one, {value}", {"If-Match": value.format(tag=TAG)}, 412, "precondition_failed", {}, None)
      for value in ('"x"', "W/{tag}", "{tag}x")),
    # Ranges
    span("first bytes", "bytes=0-9", 0, 9), span("one byte", "bytes=5-5", 5, 5),
    span("last bytes", "bytes=-10", SIZE - 10, SIZE - 1), span("a long suffix", "bytes=-9999", 0, SIZE - 1),
    span("from there on", f"bytes={SIZE - 3}-", SIZE - 3, SIZE - 1),
    span("past the end", "bytes=5-99999999999999999999", 5, SIZE - 1),
    span("spaces and case", "Bytes= 1-2 ,", 1, 2), span("overlapping ones are one", "bytes=0-5,3-9", 0, 9),
    span("touching ones are one", "bytes=0-4,5-9", 0, 9), span("one of them exists", "bytes=9999-,0-1", 0, 1),
    several("two", "bytes=0-1,20-29", (0, 1), (20, 29)),
    several("two, backwards", "bytes=-2,0-0", (SIZE - 2, SIZE - 1), (0, 0)),
    several("sixteen", single_bytes(16), *((n * 9, n * 9) for n in range(16))),
    read("seventeen", {"Range": single_bytes(17)}),
    unsatisfied("behind the end", f"bytes={SIZE}-"), unsatisfied("no last bytes", "bytes=-0"),
    unsatisfied("of an empty file", "bytes=0-", 0, "/files/{empty}"),
    *(read(f"malformed: {value}", {"Range": value})
      for value in ("bytes=9-5", "bytes=x-1", "bytes=", "bytes", "lines=0-1", "bytes=1-2-3", "bytes=+1-2", "bytes=-")),
    read("given twice", {"Range": ["bytes=0-1", "bytes=2-3"]}),
    span("range of what is known", "bytes=0-1", 0, 1, **{"If-Range": TAG}),
    *(read(f"range of another one, {value}", {"Range": "bytes=0-1", "If-Range": value})
      for value in ('"x"', "W/" + TAG, "{tomorrow}")),
    read("range and known", {"Range": "bytes=0-1", "If-None-Match": TAG}, 304, answer=UNCHANGED, result=b""),
    # Signed URLs
    read("signed", path="{signed}", answer=SIGNED, who="none"),
    read("signed by the test", path="{made}", answer=SIGNED, who="none"),
    Row("signed, by HEAD", "HEAD", "{signed}", 200, who="none", answer=SIGNED, result=b""),
    read("signed, a range", {"Range": "bytes=0-1"}, 206, path="{signed}", who="none", result=TEXT[:2],
         answer={**SIGNED, "Content-Range": f"bytes 0-1/{SIZE}", "Content-Length": "2"}),
    read("signed and known", {"If-None-Match": TAG}, 304, path="{signed}", who="none", result=b"",
         answer={**UNCHANGED, "Cross-Origin-Resource-Policy": "cross-origin"}),
    read("signed, for a deleted file", path="{signed_deleted}", status=404, code="file_not_found", answer={},
         result=None, who="none"),
    *(read(f"signed, {name}, with a session too", path=f"{{{name}}}", status=403, code="forbidden",
           answer={"ETag": None}, result=None)
      for name in ("expired", "forged", "lengthened", "half_signed", "signed_twice")),
]

# tus

ONE = UPLOADS + "/{upload}"
HALF, DONE = UPLOADS + "/{half}", UPLOADS + "/{done}"
FIELDS = {"Tus-Resumable": "1.0.0"}
OPEN = {**FIELDS, "Upload-Expires": Like(TIME)}


def begin(name, headers, status=201, code=None, body=None, answer=None, **more):
    if answer is None:
        answer = {**OPEN, "Location": Like(f"{UPLOADS}/{ID}")} if status == 201 else {**FIELDS, "Location": None}
    return Row(name, "POST", UPLOADS, status, code, {**VERSION, **headers}, body, answer=answer, **more)


def send(name, headers, body, status=204, code=None, answer=None, path=ONE, method="PATCH", **more):
    return Row(name, method, path, status, code, {**PART, **headers}, body, answer=answer or FIELDS, **more)


def at(offset, **headers):
    return {"Upload-Offset": str(offset), **{name.replace("_", "-"): value for name, value in headers.items()}}


def over(method):
    return {"X-HTTP-Method-Override": method}


def ask(name, path, answer, status=200, method="HEAD", **more):
    answer = {**answer, "Cache-Control": "no-store"}
    return Row(name, method, path, status, headers={**VERSION, **more.pop("headers", {})}, answer=answer, **more)


CAPABILITIES = {
    **FIELDS, "Tus-Version": "1.0.0", "Tus-Max-Size": str(FILE_BYTES_MAX), "Tus-Checksum-Algorithm": "sha1,sha256",
    "Tus-Extension": "creation,creation-with-upload,checksum,expiration,termination",
}
LENGTH = {"Upload-Length": "10"}
TUS = [
    *(Row(f"capabilities at {path}", "OPTIONS", path, 204, who="none", answer=CAPABILITIES, result=b"")
      for path in (UPLOADS, ONE)),
    begin("begun", LENGTH),
    begin("begun, with metadata", {**LENGTH, "Upload-Metadata": metadata(filename="报告.txt")}),
    begin("begun, of nothing, is done", {"Upload-Length": "0"}, answer={**FIELDS, "Upload-Expires": None}),
    begin("begun with bytes", {**LENGTH, "Content-Type": OCTETS}, body=b"hello", answer={**OPEN, "Upload-Offset": "5"}),
    begin("begun with all bytes", {"Upload-Length": "5", "Content-Type": OCTETS}, body=b"hello",
          answer={**FIELDS, "Upload-Offset": "5", "Upload-Expires": None}),
    begin("begun with bytes and their checksum",
          {**LENGTH, "Content-Type": OCTETS, "Upload-Checksum": checksum(hashlib.sha256, b"hello")}, body=b"hello"),
    begin("begun with bytes and another checksum",
          {**LENGTH, "Content-Type": OCTETS, "Upload-Checksum": checksum(hashlib.sha1, b"x")}, 460, "checksum_mismatch",
          body=b"hello"),
    begin("begun with too many bytes", {"Upload-Length": "4", "Content-Type": OCTETS}, 413, "too_large", b"hello"),
    begin("begun with bytes of another type", {**LENGTH, "Content-Type": "text/plain"}, 415, "unsupported_media_type",
          b"hello"),
    begin("begun without a length", {}, 400, "bad_request"),
    begin("begun with its length to come", {"Upload-Defer-Length": "1"}, 400, "bad_request"),
    begin("begun as a piece of another", {**LENGTH, "Upload-Concat": "partial"}, 400, "bad_request"),
    *(begin(f"begun with the length {value}", {"Upload-Length": value}, 400, "bad_request")
      for value in ("-1", "1.5", "0x10", "9" * 20, "")),
    begin("begun with two lengths", {"Upload-Length": ["1", "1"]}, 400, "bad_request"),
    *(begin(f"begun with the metadata {value[:20]}", {**LENGTH, "Upload-Metadata": value}, 400, "bad_request")
      for value in ("filename x", metadata(filename="../a"), "a YQ==,a YQ==", "filename " + "YWFh" * 1025)),
    begin("begun, larger than any", {"Upload-Length": str(FILE_BYTES_MAX + 1)}, 413, "too_large"),
    begin("begun, larger than the disk", {"Upload-Length": str(FILE_BYTES_MAX)}, 507, "storage_full"),
    begin("begun over the user's bytes", {"Upload-Length": str(USER_BYTES_MAX + 1)}, 413, "quota_exceeded"),
    begin("begun, a third one", LENGTH, 429, "too_many_requests", answer={**FIELDS, "Retry-After": None},
          needs=("upload", "half")),
    begin("begun by nobody", LENGTH, 401, "unauthenticated", who="none"),
    *(Row(f"{method} without a version", method, path, 412, "precondition_failed" if method != "HEAD" else None,
          {**PART, **LENGTH, **at(0), "Tus-Resumable": version}, answer={**FIELDS, "Tus-Version": "1.0.0"})
      for method, path in (("POST", UPLOADS), ("HEAD", ONE), ("PATCH", ONE), ("DELETE", ONE), ("POST", ONE))
      for version in (None, "0.2.2")),
    # How far it is
    ask("offset", HALF, {**OPEN, "Upload-Offset": "5", "Upload-Length": "10",
                         "Upload-Metadata": metadata(filename="half.txt")}, result=b""),
    ask("offset of a complete one", DONE, {**FIELDS, "Upload-Offset": "5", "Upload-Expires": None}),
    ask("offset, by another customer", ONE, FIELDS, 404, who="other"),
    ask("offset, by an agent", ONE, FIELDS, 404, who="agent"),
    ask("offset of none", UPLOADS + "/" + "x" * 22, FIELDS, 404), ask("offset of an expired one", "{old}", FIELDS, 410),
    ask("offset, by nobody", ONE, FIELDS, 401, who="none"),
    # Parts
    send("part", at(0), b"hello", answer={**OPEN, "Upload-Offset": "5"}, result=b""),
    send("last part", at(5), b"hello", path=HALF, answer={**FIELDS, "Upload-Offset": "10", "Upload-Expires": None}),
    send("part of nothing", at(0), b"", answer={**OPEN, "Upload-Offset": "0"}),
    *(send(f"part and its {name} checksum", at(0, Upload_Checksum=checksum(getattr(hashlib, name), b"hello")), b"hello",
           answer={**OPEN, "Upload-Offset": "5"}) for name in ("sha1", "sha256")),
    *(send(f"part and another {name} checksum", at(0, Upload_Checksum=checksum(getattr(hashlib, name), b"x")), b"hello",
           460, "checksum_mismatch") for name in ("sha1", "sha256")),
    *(send(f"part and the checksum {value}", at(0, Upload_Checksum=value), b"hello", 400, "bad_request")
      for value in ("crc32 AAAAAA==", "sha1 AAAA", "sha1", "md5 " + "A" * 22 + "==")),
    send("part elsewhere", at(3), b"hello", 409, "offset_mismatch", {**FIELDS, "Upload-Offset": "0"}),
    send("part again", at(0), b"hello", 409, "offset_mismatch", {**FIELDS, "Upload-Offset": "5"}, path=HALF),
    send("part past the end", at(5), b"hello!", 413, "too_large", path=HALF),
    send("part of a complete one", at(0), b"hello", 409, "offset_mismatch", {**FIELDS, "Upload-Offset": "5"},
         path=DONE),
    send("part of another type", {**at(0), "Content-Type": "text/plain"}, b"x", 415, "unsupported_media_type"),
    send("part without an offset", {}, b"hello", 400, "bad_request"),
    *(send(f"part at {value}", at(value), b"hello", 400, "bad_request") for value in ("-1", "x", "1e1")),
    send("part with two offsets", {"Upload-Offset": ["0", "0"]}, b"hello", 400, "bad_request"),
    send("part, by another customer", at(0), b"hello", 404, "file_not_found", who="other"),
    send("part of an expired one", at(0), b"hello", 410, "upload_expired", path="{old}"),
    send("part of one that another writes", at(0), b"hello", 423, "upload_locked", {**FIELDS, "Retry-After": "1"},
         path=UPLOADS + "/{written}"),
    send("part while another upload goes on", at(0), b"hello", 429, "too_many_requests", {**FIELDS, "Retry-After": "1"},
         needs=("busy",)),
    send("last part of too large an image", at(0), PNG + bytes(IMAGE_BYTES_MAX), 413, "too_large",
         path=UPLOADS + "/{large_image}"),
    send("part, by nobody", at(0), b"hello", 401, "unauthenticated", who="none"),
    send("part by POST", {**at(0), **over("PATCH")}, b"hello", answer={**OPEN, "Upload-Offset": "5"}, method="POST"),
    # Its end
    ask("ended", ONE, FIELDS, 204, "DELETE", result=b""), ask("ended, a complete one", DONE, FIELDS, 204, "DELETE"),
    ask("ended by POST", ONE, FIELDS, 204, "POST", headers=over("DELETE")),
    ask("ended, by another customer", ONE, FIELDS, 404, "DELETE", who="other", code="file_not_found"),
    ask("ended, an expired one", "{old}", FIELDS, 410, "DELETE", code="upload_expired"),
    *(ask(f"POST to an upload, {headers}", ONE, {**FIELDS, "Allow": "DELETE, HEAD, OPTIONS, PATCH"}, 405, "POST",
          headers=headers, code="method_not_allowed") for headers in ({}, over("PUT"))),
    Row("document of an unfinished one", "GET", "/api/files/{half}", 404, "file_not_found"),
    Row("bytes of an unfinished one", "GET", "/files/{half}", 404, "file_not_found"),
]

# Other methods, and pages of other origins

METHODS = [
    Row(f"PUT {path}", "PUT", path, 405, "method_not_allowed", answer={"Allow": Words(*allowed)})
    for path, allowed in (
        ("/files/{file}", ("GET", "HEAD")), (DOCUMENT, ("GET", "DELETE")), (DOCUMENT + "/url", ("POST",)),
        (UPLOAD, ("POST",)), (UPLOADS, ("POST", "OPTIONS")), (ONE, ("HEAD", "PATCH", "DELETE", "POST", "OPTIONS")),
    )
]


def from_page(name, method, path, status, headers, origin=TRUSTED, answer=None, **more):
    return Row(name, method, path, status, headers={"Origin": origin, **headers}, answer=answer or {
        "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": Words("Origin"),
        "Access-Control-Expose-Headers": Words(*EXPOSED),
    }, **more)


def preflight(path, method):
    return Row(f"preflight of {method} {path}", "OPTIONS", path, 204, who="none", result=b"", headers={
        "Origin": TRUSTED, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x-session-id",
    }, answer={
        "Access-Control-Allow-Origin": TRUSTED, "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": Words(method), "Access-Control-Allow-Headers": Words(*SENDABLE),
        "Access-Control-Max-Age": Like(r"\d+"), "Vary": Words("Origin"),
    })


UNTRUSTED = {"Access-Control-Allow-Origin": None, "Access-Control-Allow-Credentials": None}
PAGES = [
    preflight(UPLOAD, "POST"), preflight(UPLOADS, "POST"), preflight(ONE, "PATCH"), preflight(ONE, "HEAD"),
    preflight(ONE, "DELETE"), preflight("/files/{file}", "GET"), preflight(DOCUMENT, "DELETE"),
    from_page("page begins", "POST", UPLOADS, 201, {**VERSION, **LENGTH}),
    from_page("page asks", "HEAD", HALF, 200, VERSION),
    from_page("page sends", "PATCH", HALF, 204, {**PART, **at(5)}, body=b"hello"),
    from_page("page is told its mistake", "PATCH", HALF, 409, {**PART, **at(1)}, body=b"hello", code="offset_mismatch"),
    from_page("page asks what there is", "OPTIONS", UPLOADS, 204, {}),
    from_page("page reads", "GET", "/files/{file}", 206, {"Range": "bytes=0-1"}, result=TEXT[:2]),
    from_page("page uploads", "POST", UPLOAD, 201, {"Content-Type": FORM}, body=form(part("file", b"x", "a"))),
    Row("preflight of a stranger", "OPTIONS", UPLOADS, 403, "origin_not_allowed", who="none", answer=UNTRUSTED,
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}),
    from_page("stranger with the cookie", "GET", "/files/{file}", 401, {"Cookie": "session_id={session}"}, who="none",
              origin="https://evil.example", answer={**UNTRUSTED, "ETag": None}, code="unauthenticated"),
    Row("own page with the cookie", "GET", "/files/{file}", 200, headers={"Cookie": "session_id={session}"}, who="none",
        answer=WHOLE, result=TEXT),
    Row("another's cookie", "GET", "/files/{file}", 404, "file_not_found", who="none",
        headers={"Cookie": "session_id={other_session}"}),
]

ROWS = [*UPLOADS_IN_ONE, *DOCUMENTS, *DOWNLOADS, *TUS, *METHODS, *PAGES]
