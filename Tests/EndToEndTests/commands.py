"""Clients that other people wrote, run as programs: curl, node with `ws`, wscat."""

import json
import os
import pathlib
import subprocess

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


def node_client(url, *frames, until="Ack"):
    """Connects with node's `ws`, sends the frames after Welcome, reads until the frame named; returns what it read."""
    result = run(["node", str(HERE / "client.js"), url, until, *frames])
    assert result.returncode == 0, (result.stdout, result.stderr)
    return [json.loads(line) for line in result.stdout.splitlines()]
