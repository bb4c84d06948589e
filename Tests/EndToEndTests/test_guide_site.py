"""The integrators' guide prints a site for nginx. With another root and other ports it stands in front of the edge."""

import re

import pytest

from accounts import Accounts, random_password
from chat_client import Chat, refused
from http_client import request
from raw_socket import RawSocket
from stack import ROOT, Process, Stack, free_ports, nginx_command

SITE = (ROOT / "Tests/EndToEndTests/fixtures/guide-site.conf").read_text()
MAIN = """
{user}
pid {directory}/pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {site}
}}
"""
CLIENT, OTHER = "127.0.0.9", "127.0.0.10"
SOCKETS = 2


class Site:
    """The guide's nginx before a stack which is told of it; `port` is where clients come."""

    def __init__(self):
        self.port, = free_ports(1)
        self.stack = Stack(
            {"gateway.connections_per_address": SOCKETS, "cors.allowed_origins": [f"http://localhost:{self.port}"]},
            edge={"EDGE_TRUSTED_PROXIES": "127.0.0.1, ::1"},
        )
        directory = self.stack.directory / "site"
        directory.mkdir(mode=0o755)
        site = SITE
        for old, new in (
            ("listen 80;", f"listen 127.0.0.1:{self.port};"), ("localhost:6006", f"localhost:{self.stack.port}"),
            ("/var/www/chat-app/dist", str(self.stack.directory / "web")),
        ):
            assert old in site
            site = site.replace(old, new)
        user = self.stack.edge_user()
        (directory / "nginx.conf").write_text(MAIN.format(user=user, directory=directory, site=site))
        self.stack.processes["site"] = Process(
            "site", nginx_command(directory), str(self.stack.directory / "site.log"), self.stack.environment,
            lambda: request(self.port, "GET", "/", timeout=2).status == 200,
        )

    def request(self, method, path, source=CLIENT, **options):
        return request(self.port, method, path, source=source, **options)

    def login(self, username="user123", password="password123", **options):
        body = {"username": username, "password": password}
        return self.request("POST", "/api/auth/login", json=body, **options)

    def raw(self, login, source, headers=()):
        return RawSocket(self.port, login, headers=headers, source=source)


@pytest.fixture(scope="module")
def site():
    one = Site()
    try:
        one.stack.start()
        one.stack.processes["site"].start()
        yield one
        assert set(one.stack.stop().values()) == {0}
    except BaseException:
        one.stack.print_logs()
        raise
    finally:
        one.stack.remove()


def test_login_chat_upload_and_the_site_itself(site):
    page = site.request("GET", "/some/client/route")
    assert page.status == 200
    # As it lies there, but for the release that its scripts and styles are named by.
    given = (ROOT / "deploy/web/index.html").read_text()
    assert re.sub(r"/release/[0-9a-f]{16}/", "/release/current/", page.body.decode()) == given
    logins = {user: site.login(user).json for user in ("user123", "support001")}
    sockets = {
        user: Chat(
            site.port, login["user_id"], login["session_id"], login["user_type"],
            origin=f"http://localhost:{site.port}",
        ) for user, login in logins.items()
    }
    with sockets["user123"] as chat, sockets["support001"] as support:
        support.expect("Welcome")
        uploaded = site.request(
            "POST", "/api/files/upload", session=logins["user123"]["session_id"],
            json={"file_name": "a.bin", "file_type": "application/octet-stream", "file_data": "QUJD" * 150_000},
        )
        assert uploaded.status == 201 and uploaded.json["size"] == 450_000
        chat.send({
            "type": "Chat", "to_user_id": "support001", "content": "你好，需要帮助", "content_type": "File",
            "file_id": uploaded.json["file_id"], "client_id": "1",
        })
        chat.expect("Ack", client_id="1")
        received = support.expect("Chat")
        assert received["content"] == "你好，需要帮助" and received["file"]["size"] == 450_000
    # The site leads /files to itself, which is why the edge has them; behind the guide's the API gives an address.
    assert request(site.stack.port, "GET", received["file"]["url"], session=logins["support001"]["session_id"]).body \
        == b"ABC" * 150_000
    assert site.request("POST", "/api/auth/logout", json={}, session=logins["user123"]["session_id"]).status == 200


def test_the_audit_trail_has_the_client_s_own_address(site):
    accounts = Accounts(site.stack)
    person = accounts.create()
    wrong = random_password()
    for source, headers in (
        (CLIENT, {}), (OTHER, {"X-Forwarded-For": "203.0.113.7"}), (OTHER, {"X-Real-IP": "203.0.113.8"}),
        (OTHER, {"X-Forwarded-For": "203.0.113.9, 127.0.0.1", "X-Real-IP": "203.0.113.9"}),
    ):
        assert site.login(person["user_id"], wrong, source=source, headers=headers).status == 401
    entries = accounts.done("GET", f"/api/audit?user_id={person['user_id']}&event=login_failed")["entries"]
    assert [entry["remote_address"] for entry in reversed(entries)] == [CLIENT, OTHER, OTHER, OTHER]


def test_a_socket_counts_for_the_client_s_own_address(site):
    """The guide's /ws says who the client is in X-Real-IP alone, and passes on what the client says of itself."""
    login = site.login(source=OTHER).json
    opened = []
    try:
        for address in (CLIENT, OTHER):
            for _ in range(SOCKETS):
                opened.append(site.raw(login, address))
                assert opened[-1].status == 101
            for headers in ([], ["X-Real-IP: 203.0.113.1"]):
                with site.raw(login, address, headers) as one_more:
                    assert one_more.status == 429, (address, headers)
        # Who says more than the proxy does gets none but the proxy's own share.
        for number in range(SOCKETS):
            opened.append(site.raw(login, CLIENT, [f"X-Forwarded-For: 203.0.113.{number}"]))
            assert opened[-1].status == 101
        with site.raw(login, CLIENT, ["X-Forwarded-For: 203.0.113.99"]) as forged:
            assert forged.status == 429
    finally:
        for one in opened:
            one.socket.close()


def test_a_foreign_origin_is_refused_through_both(site):
    login = site.login().json
    members = (login["user_id"], login["session_id"], login["user_type"])
    for origin in ("http://elsewhere.example", f"https://localhost:{site.port}"):
        answer = refused(site.port, Chat, **dict(zip(("user_id", "session_id", "user_type"), members)), origin=origin)
        assert answer.status_code == 403


def test_without_being_named_a_proxy_is_not_believed(site):
    """The same edge asked from another address than the proxy's."""
    accounts = Accounts(site.stack)
    person = accounts.create()
    for headers in ({"X-Forwarded-For": "203.0.113.5"}, {"X-Real-IP": "203.0.113.6"}):
        body = {"username": person["user_id"], "password": random_password()}
        answer = request(site.stack.port, "POST", "/auth/login", json=body, headers=headers, source=CLIENT)
        assert answer.status == 401
    entries = accounts.done("GET", f"/api/audit?user_id={person['user_id']}&event=login_failed")["entries"]
    assert [entry["remote_address"] for entry in entries] == [CLIENT, CLIENT]
