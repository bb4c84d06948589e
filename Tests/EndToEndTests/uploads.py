"""What tests of files have in common: bodies of uploads, requests of tus, and what lies on the disk."""

import base64
import contextlib
import io

from PIL import Image

UPLOAD, UPLOADS = "/api/files/upload", "/api/files/uploads"
OCTETS = "application/offset+octet-stream"
VERSION = {"Tus-Resumable": "1.0.0"}
PART = {**VERSION, "Content-Type": OCTETS}


# One request


def part(name, content, file_name=None, content_type=None):
    head = f'Content-Disposition: form-data; name="{name}"'
    if file_name is not None:
        head += f'; filename="{file_name}"'
    if content_type is not None:
        head += f"\r\nContent-Type: {content_type}"
    return head.encode() + b"\r\n\r\n" + content


def form(*parts, boundary="----b", end=True):
    """The body of a form."""
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + one + b"\r\n" for one in parts)
    return body + (f"--{boundary}--\r\n".encode() if end else b"")


def document(content, file_name="a.bin", content_type="application/octet-stream"):
    """The members of an upload as JSON."""
    return {"file_name": file_name, "file_type": content_type, "file_data": base64.b64encode(content).decode()}


def send_form(stack, session, *parts, boundary="----b", end=True):
    return stack.http(
        "POST", UPLOAD, body=form(*parts, boundary=boundary, end=end), session=session,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )


def send_file(stack, session, content, file_name="a.bin", content_type="application/octet-stream"):
    return send_form(stack, session, part("file", content, file_name, content_type))


def send_base64(stack, session, content, file_name="a.bin", content_type="application/octet-stream"):
    return stack.http("POST", UPLOAD, session=session, json=document(content, file_name, content_type))


def stored(answer):
    assert answer.status == 201, answer
    return answer.json


# tus


def metadata(**values):
    """The value of `Upload-Metadata`."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def checksum(algorithm, content):
    """The value of `Upload-Checksum`; `algorithm` is one of hashlib's."""
    return f"{algorithm().name} {base64.b64encode(algorithm(content).digest()).decode()}"


def tus(stack, session, method, path=UPLOADS, headers=None, **options):
    return stack.http(method, path, headers={**VERSION, **(headers or {})}, session=session, **options)


def created(stack, session, length, **headers):
    """The path of a new upload."""
    answer = tus(stack, session, "POST", headers={"Upload-Length": str(length), **headers})
    assert answer.status == 201, answer
    return answer.header("Location")


def patched(stack, session, path, offset, body, **headers):
    return tus(stack, session, "PATCH", path, headers={**PART, "Upload-Offset": str(offset), **headers}, body=body)


def offset(stack, session, path):
    answer = tus(stack, session, "HEAD", path)
    assert answer.status == 200, answer
    return int(answer.header("Upload-Offset"))


def uploaded(stack, session, path):
    """The document of a complete upload."""
    answer = stack.http("GET", f"/api/files/{path.rsplit('/', 1)[1]}", session=session)
    assert answer.status == 200, answer
    return answer.json


# What is there


def on_disk(stack):
    """The names of the blobs, and of what is being written."""
    root = stack.directory / "data/files"
    blobs = {path.name for path in (root / "blobs").glob("??/*")}
    return blobs, {path.name for path in (root / "temporary").iterdir()}


@contextlib.contextmanager
def nothing_stored(stack):
    before = on_disk(stack)
    yield
    assert on_disk(stack) == before


def signed_url(stack, file_id, session):
    answer = stack.http("POST", f"/api/files/{file_id}/url", session=session)
    assert answer.status == 200, answer
    url = answer.json["url"]
    stack.secrets.add(url.rpartition("signature=")[2])
    return url


def picture(kind, size=(301, 200), **options):
    data = io.BytesIO()
    mode = "RGBA" if options.pop("alpha", False) else "RGB"
    Image.new(mode, size, (10, 200, 30)).save(data, kind, **options)
    return data.getvalue()
