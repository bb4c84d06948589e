"""`Services/files/API.md`: its commands do what it says, and it leaves out no route and no error."""

import hashlib
import json
import os
import re
import subprocess

import pytest

from file_answers import ROWS
from routes import registered_publicly
from stack import ROOT
from uploads import picture

DOCUMENT = (ROOT / "Services/files/API.md").read_text()


@pytest.fixture(scope="module")
def run(stack, tmp_path_factory):
    """All commands, one after the other in one shell: what they printed, and where their files are."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "photo.png").write_bytes(picture("PNG", (301, 200)))
    (folder / "notes.txt").write_bytes(b"hello\n")
    (folder / "film.bin").write_bytes(b"\0\0\0\x18ftypisom" + os.urandom(2_500_000))
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL))
    assert commands.count("curl") > 10
    session = stack.login("user123")["session_id"]
    base = f"http://127.0.0.1:{stack.port}"
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands + '\necho "$ID $UPLOAD"'], cwd=folder, capture_output=True,
        text=True, timeout=60, env={**os.environ, "BASE": base, "S": session, "no_proxy": "*"},
    )
    assert result.returncode == 0, (result.stdout, result.stderr)
    return result.stdout, folder, session


def test_the_commands_do_what_they_say(stack, run):
    output, folder, session = run
    read = lambda name: (folder / name).read_bytes()
    photo = read("photo.png")
    file_id, upload = output.split()[-2:]
    documents = {name: json.loads(read(f"{name}.json")) for name in ("photo", "notes", "film", "gone")}
    assert documents["photo"]["file_id"] == file_id and documents["photo"]["width"] == 301
    assert documents["notes"]["size"] == 6 and documents["notes"]["content_type"] == "text/plain"
    assert documents["film"]["file_id"] == upload.rpartition("/")[2] and documents["film"]["file_type"] == "Video"
    assert documents["film"]["sha256"] == hashlib.sha256(read("film.bin")).hexdigest()
    assert documents["film"]["file_name"] == "film.bin"
    assert read("copy.png") == read("shown.png") == photo
    assert read("first.bin") == photo[:100] and read("rest.bin") == photo[100:]
    assert len(read("part.bin")) == len(read("film.bin")) - 1_000_000
    shown, _, statuses = output.partition("}")
    assert json.loads(shown + "}") == documents["photo"]
    assert statuses.split()[:2] == ["304", "404"] and documents["gone"]["code"] == "file_not_found"
    # The document's members are those that it shows.
    example = re.search(r"\{\"file_id\".*?\}", DOCUMENT, re.DOTALL)[0]
    assert set(re.findall(r'"(\w+)":', example)) == set(documents["photo"])


def test_no_route_is_missing():
    routes = {(method, pattern) for method, pattern in re.findall(r"`([A-Z]+) (/[^`? ]+)`", DOCUMENT)}
    assert registered_publicly("files") - routes == set()


def test_no_error_is_missing():
    table = DOCUMENT.partition("## Errors")[2]
    told = {
        (int(status), code) for status, codes in re.findall(r"^\| (\d+) \| ([^|]+) \|", table, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    # What only a browser or a wrong path can meet is not for an integrator.
    given = {(row.status, row.code) for row in ROWS if row.code} - {(403, "origin_not_allowed"), (404, "not_found")}
    assert given - told == set() and told - given == {(503, "unavailable")}


def test_the_limits_are_those_of_the_configuration(stack):
    upload = stack.http("GET", "/api/config").json["upload"]
    missing = [name for name in upload if f"`{name}`" not in DOCUMENT]
    assert missing == []
