"""What nginx itself does: routes, its own errors, headers, the site."""

import gzip
import os
import re
import socket
import subprocess
from types import SimpleNamespace

import pytest

from http_client import assert_problem, request
from stack import ROOT, stack_with


@pytest.mark.parametrize("path", [
    "/internal", "/internal/", "/internal/sessions/verify", "/internal/revocations?epoch=a&after=0", "/internal/locate",
    "/healthz", "/readyz", "/metrics", "/auth/../internal/sessions/verify", "/auth/%2e%2e/internal/sessions/verify",
    "//internal/sessions/verify", "/auth/..%2finternal/sessions/verify",
])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_internal_routes_are_never_exposed(stack, method, path):
    body = {"json": {}} if method == "POST" else {}
    answer = stack.http(method, path, headers={"X-Internal-Token": stack.token}, **body)
    assert_problem(answer, 404 if answer.status == 404 else 400)


@pytest.mark.parametrize("path", [
    "/auth/internal/sessions/verify", "/api/users/../../internal/locate", "/files/..%2f..%2finternal/locate",
])
def test_internal_routes_are_not_reached_by_detours(stack, path):
    answer = stack.http("POST", path, json={}, headers={"X-Internal-Token": stack.token})
    assert answer.status in (400, 401, 404), answer
    assert_problem(answer, answer.status)


@pytest.mark.parametrize("service,path", [
    ("auth", "/internal/revocations?epoch=a&after=0"), ("presence", "/internal/changes?epoch=a&after=0"),
])
def test_internal_routes_want_the_token_even_inside(stack, service, path):
    for headers in ({}, {"X-Internal-Token": "wrong"}, {"X-Internal-Token": ""}):
        assert_problem(request(stack.ports[service], "GET", path, headers=headers), 403, "forbidden")


@pytest.mark.parametrize("service", ["auth", "files", "presence", "gateway"])
def test_operations_are_on_the_services_own_ports(stack, service):
    port = stack.ports[service]
    assert request(port, "GET", "/healthz").status == 200
    assert request(port, "GET", "/readyz").status == 200
    metrics = request(port, "GET", "/metrics")
    assert metrics.status == 200 and metrics.header("Content-Type").startswith("text/plain")
    assert b"# TYPE " in metrics.body


def raw(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


@pytest.mark.parametrize("data,status", [
    (b"GET /auth/session HTTP/1.1\r\n\r\n", 400),
    (b"NONSENSE\r\n\r\n", 400),
    (b"GET /auth/session HTTP/3.9\r\nHost: a\r\n\r\n", 505),
    (b"POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n", 501),
    (b"GET /auth/" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET /auth/session HTTP/1.1\r\nHost: a\r\nX-Big: " + b"a" * 9000 + b"\r\n\r\n", 431),
    (b"GET /auth/session HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
])
def test_nginx_s_own_errors_are_problem_documents(stack, data, status):
    answer = raw(stack.port, data)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status), answer
    assert b"application/problem+json" in head and b'"code":"' in body
    assert b"nginx/" not in answer, "the version is nobody's business"


def test_the_request_id_goes_through_or_is_made(stack):
    answer = stack.http("GET", "/api/config", headers={"X-Request-Id": "abc-123"})
    assert answer.headers.get_all("X-Request-Id") == ["abc-123"]
    for bad in ("a b", "x" * 200, "a/b", '"'):
        answer = stack.http("GET", "/api/config", headers={"X-Request-Id": bad})
        (made,) = answer.headers.get_all("X-Request-Id")
        assert made != bad and made
    for path in ("/", "/api/nothing", "/nothing.png"):
        assert stack.http("GET", path, headers={"X-Request-Id": "abc-123"}).header("X-Request-Id") == "abc-123"


def test_the_config_is_public(stack):
    config = stack.http("GET", "/api/config")
    assert config.status == 200
    document = config.json
    assert document["upload"]["base64_bytes_max"] == 50 * 1024 * 1024
    assert document["message"]["characters_max"] == 10_000
    assert document["websocket"]["ping_interval_ms"] == 25_000


def test_cors_is_answered_from_the_list(stack):
    headers = {"Origin": "http://localhost:8004", "Access-Control-Request-Method": "POST"}
    preflight = stack.http("OPTIONS", "/auth/login", headers=headers)
    assert preflight.status in (200, 204)
    assert preflight.header("Access-Control-Allow-Origin") == "http://localhost:8004"
    assert preflight.header("Access-Control-Allow-Credentials") == "true"
    foreign = stack.http("OPTIONS", "/auth/login", headers={**headers, "Origin": "https://evil.example"})
    assert foreign.header("Access-Control-Allow-Origin") is None


def test_the_site_falls_back_to_its_index(stack):
    index = stack.http("GET", "/")
    assert index.status == 200 and index.header("Content-Type") == "text/html; charset=utf-8"
    for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy"):
        assert index.header(name), name
    assert index.header("Strict-Transport-Security") is None, "this edge does not speak TLS"
    assert stack.http("GET", "/some/client/route").body == index.body
    assert stack.http("GET", "/missing.js").status == 404
    assert stack.http("GET", "/.git/config").status == 404


def release_of(page):
    """The one that a page's scripts and styles are named by."""
    (release,) = set(re.findall(r'"/release/([^/"]+)/', page.body.decode()))
    return release


def render(out, web):
    """Writes the edge out for a site; the release of its page."""
    subprocess.run([str(ROOT / "deploy/nginx/render"), str(out)], check=True, env={**os.environ, "WEB_ROOT": str(web)})
    return release_of(SimpleNamespace(body=(out / "site/pages/index.html").read_bytes()))


def test_pages_are_asked_for_again_and_scripts_kept_for_ever(stack):
    page = stack.http("GET", "/")
    assert page.header("Cache-Control") == "no-cache"
    again = stack.http("GET", "/", headers={"If-None-Match": page.header("ETag")})
    assert again.status == 304 and again.header("Cache-Control") == "no-cache"
    release = release_of(page)
    assert re.fullmatch("[0-9a-f]{16}", release)
    script = stack.http("GET", f"/release/{release}/services/enterprise-adapter.js")
    assert script.status == 200 and script.header("Content-Type").startswith("application/javascript")
    assert script.header("Cache-Control") == "public, max-age=31536000, immutable"
    assert script.header("Access-Control-Allow-Origin") == "*" and script.header("Cross-Origin-Resource-Policy")
    source = stack.http("GET", "/release/current/services/enterprise-adapter.js")
    assert source.header("Cache-Control") == "no-cache" and source.header("Access-Control-Allow-Origin") == "*"
    assert source.body == stack.http("GET", "/services/enterprise-adapter.js").body
    assert stack.http("GET", "/services/enterprise-adapter.js").header("Access-Control-Allow-Origin") == "*"
    assert stack.http("GET", "/release/0123456789abcdef/services/enterprise-adapter.js").status == 404
    assert page.header("Access-Control-Allow-Origin") is None
    for path in ("/release/current/../../nginx/nginx.conf", "/release/current/%2e%2e/config.json", "/release/"):
        assert stack.http("GET", path).status in (400, 403, 404), path


def test_scripts_go_without_their_comments_and_indentation(stack):
    release = release_of(stack.http("GET", "/"))
    for path in sorted((ROOT / "deploy/web").rglob("*.js")):
        name = path.relative_to(ROOT / "deploy/web")
        shown = stack.http("GET", f"/release/{release}/{name}").body.decode()
        assert not re.search(r"^\s*(//|/\*\*|\* )", shown, re.MULTILINE), name
        checked = subprocess.run(
            ["node", "--check", "--input-type=module"], input=shown, capture_output=True, text=True
        )
        assert checked.returncode == 0, (name, checked.stderr)
        code = [line for line in path.read_text().splitlines() if not re.match(r"\s*(//|/\*\*|\*)", line)]
        # Text that has several lines keeps them as they are.
        if not any(line.count("`") % 2 or line.endswith("\\") for line in code):
            code = [line.lstrip() for line in code]
        assert [line for line in shown.splitlines() if not re.match(r"\s*/\*\*", line)] == code, name


def test_a_change_makes_another_release_and_the_last_ones_stay(tmp_path):
    web, out = tmp_path / "web", tmp_path / "edge"
    web.mkdir()
    (web / "index.html").write_text('<script type="module" src="/release/current/app.js"></script>')
    releases = []
    for version in range(5):
        (web / "app.js").write_text(f"// a comment\nconsole.log({version});\n")
        releases.append(render(out, web))
        assert render(out, web) == releases[-1], "the same site has the same name"
        assert (out / "site/release" / releases[-1] / "app.js").read_text() == f"console.log({version});\n"
    assert len(set(releases)) == 5
    assert {path.name for path in (out / "site/release").iterdir()} == set(releases[-3:])


def test_nothing_inline_runs_and_only_the_widget_is_framed(stack):
    policy = stack.http("GET", "/").header("Content-Security-Policy")
    assert "unsafe" not in policy and policy.startswith("default-src 'self';")
    assert policy.endswith("frame-ancestors 'none'") and stack.http("GET", "/").header("X-Frame-Options") == "DENY"
    widget = stack.http("GET", "/widget/")
    assert widget.status == 200 and b"embedded" in widget.body
    assert widget.header("Content-Security-Policy").endswith("frame-ancestors 'self'")
    assert widget.header("X-Frame-Options") is None


@pytest.mark.parametrize("name", ["EDGE_FRAME_ANCESTORS", "EDGE_CONTENT_SECURITY_POLICY"])
def test_a_policy_that_would_end_its_header_is_refused(tmp_path, name):
    refused = subprocess.run(
        [str(ROOT / "deploy/nginx/render"), str(tmp_path)], env={**os.environ, name: 'a"; return 200 "b'},
        capture_output=True, text=True,
    )
    assert refused.returncode == 2 and name in refused.stderr


def test_text_is_compressed_and_files_are_not(stack):
    headers = {"Accept-Encoding": "gzip"}
    script = stack.http("GET", "/app.js", headers=headers)
    assert script.header("Content-Encoding") == "gzip" and gzip.decompress(script.body).startswith(b"// xxx")
    session = stack.login("user123")["session_id"]
    text = "aGVsbG8K" * 1000
    uploaded = stack.http(
        "POST", "/api/files/upload", session=session,
        json={"file_name": "a.txt", "file_type": "text/plain", "file_data": text},
    )
    assert uploaded.status == 201, uploaded
    download = stack.http("GET", uploaded.json["url"], session=session, headers=headers)
    assert download.header("Content-Encoding") is None
    assert not download.header("ETag").startswith("W/")


@pytest.mark.parametrize("settings,largest", [
    ({}, "2051m"),
    ({"FILES_FILE_BYTES_MAX": str(1 << 20), "FILES_BASE64_BYTES_MAX": str(1 << 20)}, "4m"),
    ({"FILES_FILE_BYTES_MAX": str(1 << 20), "FILES_BASE64_BYTES_MAX": str(30 << 20)}, "82m"),
    ({"FILES_FILE_BYTES_MAX": str(1 << 40)}, "1048579m"),
    ({"FILES_FILE_BYTES_MAX": "1", "EDGE_UPLOAD_MAX": "7g"}, "7g"),
])
def test_body_limits_are_made_from_the_settings_of_files(tmp_path, settings, largest):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FILES_", "EDGE_"))}
    subprocess.run([str(ROOT / "deploy/nginx/render"), str(tmp_path)], check=True, env={**environment, **settings})
    locations = (tmp_path / "edge/locations.conf").read_text()
    assert locations.count(f"client_max_body_size {largest};") == 2


def test_a_limit_that_is_no_number_is_refused(tmp_path):
    refused = subprocess.run(
        [str(ROOT / "deploy/nginx/render"), str(tmp_path)], env={**os.environ, "FILES_FILE_BYTES_MAX": "2 GiB"},
        capture_output=True, text=True,
    )
    assert refused.returncode == 2 and "FILES_FILE_BYTES_MAX" in refused.stderr


def test_a_body_longer_than_any_upload_ends_at_the_edge():
    with stack_with({"files.file_bytes_max": 1 << 20, "files.base64_bytes_max": 1 << 20}) as small:
        session = small.login("user123")["session_id"]
        headers = {"Content-Type": "application/json", "X-Session-Id": session}
        for length, detail in ((4 << 20, "at most"), ((4 << 20) + 1, "this route")):
            headers["Content-Length"] = str(length)
            answer = small.http("POST", "/api/files/upload", headers=headers, body=b"")
            assert_problem(answer, 413, "too_large", detail)
