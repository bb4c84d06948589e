"""Clients that other people wrote, run as programs: curl, node with `ws`, wscat."""

import http.client
import io
import json
import os
import pathlib
import subprocess
import tempfile

from http_client import Response

HERE = pathlib.Path(__file__).resolve().parent

# Debian's node finds its modules by itself; others have to be told.
ENVIRONMENT = {**os.environ, "NODE_PATH": "/usr/share/nodejs"}


def wscat(*arguments):
    """Runs wscat as at a terminal: its input stays open until it ends, else it leaves before the server answers."""
    reading, writing = os.pipe()
    try:
        return subprocess.run(
            ["wscat", *arguments], capture_output=True, text=True, timeout=60, env=ENVIRONMENT, stdin=reading
        )
    finally:
        os.close(reading)
        os.close(writing)


def run(command, timeout=60, stdin=None):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT, input=stdin,
        **({} if stdin is not None else {"stdin": subprocess.DEVNULL}),
    )


class CurlAnswer:
    def __init__(self, status, content_type, body):
        self.status, self.content_type, self.body = status, content_type, body

    @property
    def json(self):
        return json.loads(self.body)


def curl(*arguments, timeout=90):
    """Runs curl with these arguments; returns status, content type and body."""
    result = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "-m", "60", "-w", "\n%{http_code} %{content_type}", *arguments],
        capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 0, result.stderr
    body, _, trailer = result.stdout.rpartition(b"\n")
    status, _, content_type = trailer.decode().partition(" ")
    return CurlAnswer(int(status), content_type, body)


def curl_request(port, method, path, headers, body=None):
    """One request by curl, answered as by `http_client`. `None` leaves out a field, a list gives it several times."""
    fields = []
    for name, value in headers.items():
        if value is None:
            fields.append(f"{name}:")
            continue
        values = [value] if isinstance(value, str) else value
        fields += [f"{name}: {one}" if one else f"{name};" for one in values]
    command = ["curl", "-sS", "--noproxy", "*", "-m", "60", "--path-as-is", "-D", "-", "-H", "Expect:"]
    command += ["--head"] if method == "HEAD" else ["-X", method]
    for field in fields:
        command += ["-H", field]
    if body is not None:
        command += ["--data-binary", "@-"]
    with tempfile.NamedTemporaryFile() as output:
        result = subprocess.run(
            [*command, "-o", output.name, f"http://127.0.0.1:{port}{path}"], input=body or b"", capture_output=True,
            timeout=90,
        )
        assert result.returncode == 0, result.stderr
        content = output.read() if method != "HEAD" else b""
    status, _, lines = result.stdout.partition(b"\r\n")
    return Response(int(status.split()[1]), http.client.parse_headers(io.BytesIO(lines)), content)


def node_client(url, *frames, until="Ack"):
    """Connects with node's `ws`, sends the frames after Welcome, reads until the frame named; returns what it read."""
    result = run(["node", str(HERE / "client.js"), url, until, *frames])
    assert result.returncode == 0, (result.stdout, result.stderr)
    return [json.loads(line) for line in result.stdout.splitlines()]
