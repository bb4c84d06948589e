"""The edge over https and wss with an authority of one's own, as `deploy/init --self-signed` makes one."""

import os
import re
import stat
import subprocess

import pytest

from chat_client import Chat, refused, tls
from commands import curl, run
from http_client import request
from stack import ROOT, Stack, free_ports

INIT = str(ROOT / "deploy/init")


class Edge:
    """A stack whose edge speaks TLS on a second port, and leads there from its first."""

    def __init__(self, directory):
        run([INIT, "--output", str(directory / "env"), "--self-signed", "localhost", "--tls-dir", str(directory)])
        self.authority = directory / "ca.pem"
        self.https, = free_ports(1)
        self.stack = Stack(edge={
            "EDGE_LISTEN": f"listen 127.0.0.1:{self.https} ssl;", "EDGE_HTTPS_PORT": str(self.https),
            "EDGE_REDIRECT_LISTEN": "listen 127.0.0.1:{port};",
            "EDGE_TLS_CERTIFICATE": str(directory / "fullchain.pem"), "EDGE_TLS_KEY": str(directory / "privkey.pem"),
        })
        self.url = f"https://localhost:{self.https}"

    def curl(self, path, *options):
        return curl("--cacert", str(self.authority), f"{self.url}{path}", *options)

    def login(self, username):
        body = '{"username":"%s","password":"password123"}' % username
        answer = self.curl("/auth/login", "-H", "Content-Type: application/json", "-d", body)
        assert answer.status == 200, answer.body
        self.stack.secrets.add(answer.json["session_id"])
        return answer.json

    def chat(self, login, **options):
        members = {name: login[name] for name in ("user_id", "session_id", "user_type")}
        base = f"wss://localhost:{self.https}"
        return Chat(self.https, **members, base=base, ssl=tls(self.authority), **options)


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    one = Edge(tmp_path_factory.mktemp("tls"))
    try:
        one.stack.start()
        yield one
        assert set(one.stack.stop().values()) == {0}
        assert one.stack.leaks() == []
    except BaseException:
        one.stack.print_logs()
        raise
    finally:
        one.stack.remove()


def test_a_login_and_a_conversation_by_https_and_wss(edge):
    customer, agent = edge.login("user123"), edge.login("support001")
    with edge.chat(agent) as support, edge.chat(customer) as chat:
        support.expect("Welcome")
        chat.expect("Welcome")
        chat.send({"type": "Chat", "content": "over TLS", "to_user_id": "support001", "client_id": "1"})
        chat.expect("Ack", client_id="1")
        assert support.expect("Chat")["content"] == "over TLS"
    history = edge.curl("/api/messages?with=support001", "-H", f"X-Session-Id: {customer['session_id']}")
    assert [entry["content"] for entry in history.json["messages"] if entry["type"] == "Chat"] == ["over TLS"]


def test_http_leads_to_https_and_a_post_stays_one(edge):
    answer = request(edge.stack.port, "POST", "/auth/login?x=1", json={}, headers={"Host": "localhost"})
    assert answer.status == 308
    assert answer.header("Location") == f"https://localhost:{edge.https}/auth/login?x=1"
    assert answer.header("Strict-Transport-Security") is None, "over http it means nothing"
    body = '{"username":"user123","password":"password123"}'
    followed = curl(
        "-L", "--cacert", str(edge.authority), f"http://localhost:{edge.stack.port}/auth/login",
        "-H", "Content-Type: application/json", "-d", body,
    )
    assert followed.status == 200
    edge.stack.secrets.add(followed.json["session_id"])
    assert request(edge.stack.port, "GET", "/ws").status == 308


def test_answers_to_https_say_so(edge):
    for path in ("/", "/api/config", "/api/nothing"):
        answer = edge.curl(path, "-D", "-")
        assert b"strict-transport-security: max-age=31536000" in answer.body.lower(), path
    login = edge.curl(
        "/auth/login", "-i", "-H", "Content-Type: application/json",
        "-d", '{"username":"user123","password":"password123"}',
    )
    session = re.search(rb"set-cookie: session_id=([^;]+);[^\r]*; Secure", login.body, re.IGNORECASE)
    assert session, login.body
    edge.stack.secrets.add(session[1].decode())


def test_the_origin_is_compared_with_its_scheme(edge):
    login = edge.login("user123")
    with edge.chat(login, origin=edge.url) as chat:
        chat.expect("Welcome")
    members = {name: login[name] for name in ("user_id", "session_id", "user_type")}
    for origin in (f"http://localhost:{edge.https}", "https://localhost", "https://elsewhere.example"):
        answer = refused(
            edge.https, base=f"wss://localhost:{edge.https}", ssl=tls(edge.authority), origin=origin, **members
        )
        assert answer.status_code == 403, origin


@pytest.mark.parametrize("options,spoken", [
    (["--tls-max", "1.0"], False), (["--tls-max", "1.1"], False), (["--tls-max", "1.2"], True), (["--tlsv1.3"], True),
    (["--tls-max", "1.2", "--ciphers", "AES128-SHA"], False),
])
def test_old_protocols_are_refused(edge, options, spoken):
    # (The client itself would refuse the oldest at its usual level.)
    level = [] if "--ciphers" in options else ["--ciphers", "DEFAULT@SECLEVEL=0"]
    command = ["curl", "-sS", "--noproxy", "*", "-m", "20", "--cacert", str(edge.authority), *options, *level]
    assert (run([*command, "-o", "/dev/null", f"{edge.url}/api/config"]).returncode == 0) == spoken


def test_who_does_not_know_the_authority_does_not_trust_it(edge):
    strange = run(["curl", "-sS", "--noproxy", "*", "-m", "20", f"{edge.url}/api/config"])
    assert strange.returncode == 60, strange.stderr
    other = run([
        "curl", "-sS", "--noproxy", "*", "-m", "20", "--cacert", str(edge.authority), "--resolve",
        f"elsewhere:{edge.https}:127.0.0.1", f"https://elsewhere:{edge.https}/api/config",
    ])
    assert other.returncode == 60, "the certificate is for localhost alone"


# deploy/init


def test_secrets_are_random_and_only_their_owner_s(tmp_path):
    values = []
    for name in ("a", "b"):
        assert run([INIT, "--output", str(tmp_path / name)]).returncode == 0
        assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == 0o600
        lines = [line.split("=") for line in (tmp_path / name).read_text().splitlines() if "=" in line]
        assert {key for key, _ in lines} == {"INTERNAL_TOKEN", "REDIS_PASSWORD", "FILES_URL_SECRET"}
        assert all(re.fullmatch("[0-9a-f]{64}", value) for _, value in lines)
        values += [value for _, value in lines]
    assert len(set(values)) == 6


def test_what_is_there_is_never_overwritten(tmp_path):
    output, tls = tmp_path / "env", tmp_path / "tls"
    everything = [INIT, "--output", str(output), "--self-signed", "127.0.0.1", "--tls-dir", str(tls)]
    assert run(everything).returncode == 0
    assert stat.S_IMODE(os.stat(tls / "privkey.pem").st_mode) == 0o600
    assert sorted(path.name for path in tls.iterdir()) == ["ca.pem", "fullchain.pem", "privkey.pem"]
    before = {path: path.read_bytes() for path in (output, *tls.iterdir())}
    for arguments in (everything, everything[:3]):
        again = run(arguments)
        assert again.returncode == 1 and "there already" in again.stderr
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("arguments", [["--nothing"], ["--output"], ["--self-signed", "a/b"]])
def test_bad_arguments_of_init_are_refused(tmp_path, arguments):
    assert run([INIT, *arguments]).returncode == 2
    assert "usage: deploy/init" in run([INIT, "--help"]).stdout


@pytest.mark.parametrize("variables,named", [
    ({"EDGE_TLS_CERTIFICATE": "/nowhere", "EDGE_TLS_KEY": "/nowhere", "EDGE_REDIRECT_LISTEN": "listen 80;"}, "nowhere"),
    ({"EDGE_TLS_CERTIFICATE": "/nowhere"}, "EDGE_TLS_KEY"), ({"EDGE_TRUSTED_PROXIES": "a;b"}, "EDGE_TRUSTED_PROXIES"),
])
def test_an_edge_that_could_not_start_is_not_rendered(tmp_path, variables, named):
    result = subprocess.run(
        [str(ROOT / "deploy/nginx/render"), str(tmp_path)], env={**os.environ, **variables}, capture_output=True,
        text=True,
    )
    assert result.returncode == 2 and named in result.stderr
