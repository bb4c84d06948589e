"""An edge that looks its services up by name, as in the compose file: it follows them, and passes dead ones by.

The names are answered by a resolver of the test's, with addresses of this machine; small servers there say who they
are.
"""

import collections
import contextlib
import http.server
import json
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from http_client import request
from stack import ROOT, SERVICES, Process, Stack, free_ports, nginx_command
from waiting import until


class Names(threading.Thread):
    """A resolver that answers every name with the same addresses."""

    def __init__(self):
        super().__init__(daemon=True)
        self.addresses, self.asked = [], 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                query, sender = self.socket.recvfrom(512)
                self.asked += 1
                question = query[12:query.index(b"\0", 12) + 5]
                # Type A, class IN, for a minute: nginx is told to ask again every second all the same.
                answers = b"".join(
                    struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(one) for one in self.addresses
                )
                flags = 0x8180 if self.addresses else 0x8183
                head = query[:2] + struct.pack("!HHHHH", flags, 1, len(self.addresses), 0, 0)
                self.socket.sendto(head + question + answers, sender)


class Instance:
    """A server that names itself, and for `/ws` upgrades or refuses as it is told."""

    def __init__(self, address, port):
        self.address, self.handshake = address, 101
        instance = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length", 0))
                body = json.dumps({"at": address, "read": len(self.rfile.read(length))}).encode()
                self.send_response(instance.handshake if self.path == "/ws" else 200)
                self.send_header("X-At", address)
                if self.path == "/ws" and instance.handshake == 101:
                    self.send_header("Upgrade", "websocket")
                    self.send_header("Connection", "upgrade")
                    self.end_headers()
                    return
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def silent(address, port):
    """An address that neither takes nor refuses connections: its queue of them is full."""
    with contextlib.ExitStack() as everything:
        listener = everything.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            one = everything.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex((address, port))

        def is_full():
            try:
                socket.create_connection((address, port), timeout=0.3).close()
            except TimeoutError:
                return True
            return False

        until(is_full, f"{address} is silent")
        yield


class Edge:
    def __init__(self, directory):
        self.names = Names()
        self.names.start()
        self.port, self.service = free_ports(2)
        self.instances = {}
        edge = directory / "nginx"
        site = directory / "web"
        site.mkdir()
        (site / "index.html").write_text("here")
        # Workers of an nginx that was started by root have another user.
        directory.chmod(0o755)
        services = {f"{name.upper()}_SERVERS": f"{name}:{self.service}" for name in SERVICES}
        subprocess.run([str(ROOT / "deploy/nginx/render"), str(edge)], check=True, env={
            **os.environ, **services, "EDGE_LISTEN": f"listen 127.0.0.1:{self.port};", "WEB_ROOT": str(site),
            "EDGE_RESOLVER": f"127.0.0.1:{self.names.port}", "EDGE_USER": Stack.edge_user(),
        })
        self.nginx = Process(
            "nginx", nginx_command(edge), str(directory / "log"), dict(os.environ),
            lambda: request(self.port, "GET", "/", timeout=2).status == 200,
        )
        self.nginx.start()

    def run(self, *addresses):
        """These run, and the name leads to them."""
        for address in set(self.instances) - set(addresses):
            self.instances.pop(address).end()
        for address in addresses:
            if address not in self.instances:
                self.instances[address] = Instance(address, self.service)
            self.instances[address].handshake = 101
        self.names.addresses = list(addresses)
        until(lambda: set(self.answered(20)) == set(addresses), f"the edge uses {addresses}")

    def answered(self, count, method="GET", **options):
        """How many of so many requests each instance has answered."""
        answers = [self.ask(method, **options) for _ in range(count)]
        assert {answer.status for answer in answers} == {200}, answers
        return collections.Counter(answer.json["at"] for answer in answers)

    def ask(self, method="GET", path="/api/config", **options):
        return request(self.port, method, path, **options)

    def handshake(self):
        """The status of a handshake, and who answered it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(
                b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            head = connection.recv(65536).decode()
        named = [line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("x-at:")]
        return int(head.split()[1]), (named or [None])[0]

    def end(self):
        self.nginx.stop()
        for instance in self.instances.values():
            instance.end()
        self.names.socket.close()


FIRST, SECOND, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"


@pytest.fixture(scope="module")
def edge():
    with tempfile.TemporaryDirectory() as directory:
        one = Edge(pathlib.Path(directory))
        yield one
        one.end()


def test_the_load_is_spread_over_all_instances(edge):
    edge.run(FIRST, SECOND, THIRD)
    answered = edge.answered(150)
    assert len(answered) == 3 and min(answered.values()) > 20, answered
    shaken = collections.Counter(edge.handshake() for _ in range(90))
    assert set(shaken) == {(101, FIRST), (101, SECOND), (101, THIRD)} and min(shaken.values()) > 10, shaken


def test_it_follows_instances_up_and_down(edge):
    for addresses in ((FIRST,), (FIRST, SECOND, THIRD), (SECOND,), (SECOND, FIRST)):
        edge.run(*addresses)
        assert set(edge.answered(30)) == set(addresses)


@pytest.mark.parametrize("method,options", [("GET", {}), ("POST", {"json": {"a": "b" * 20_000}})])
def test_an_instance_that_is_gone_is_passed_by(edge, method, options):
    edge.run(FIRST, SECOND)
    edge.instances.pop(SECOND).end()
    answered = edge.answered(30, method, path="/api/conversations", **options)
    assert answered == {FIRST: 30}
    assert {edge.handshake() for _ in range(20)} == {(101, FIRST)}


def test_an_instance_that_is_silent_costs_a_second_and_no_more(edge):
    edge.run(FIRST, SECOND)
    edge.instances.pop(SECOND).end()
    with silent(SECOND, edge.service):
        slowest = 0
        for number in range(16):
            begun = time.monotonic()
            if number % 2:
                assert edge.handshake() == (101, FIRST)
            else:
                assert edge.ask("POST", "/auth/login", json={}).json["at"] == FIRST
            slowest = max(slowest, time.monotonic() - begun)
        assert 0.8 < slowest < 2, f"the slowest took {slowest} s; one of 16 was to meet the silent one"


def test_a_gateway_that_refuses_a_handshake_sends_it_to_another(edge):
    edge.run(FIRST, SECOND, THIRD)
    edge.instances[FIRST].handshake = edge.instances[SECOND].handshake = 503
    assert {edge.handshake() for _ in range(30)} == {(101, THIRD)}
    edge.instances[THIRD].handshake = 401
    assert (401, THIRD) in {edge.handshake() for _ in range(30)}, "what is no refusal for want of room is answered"


def test_without_any_instance_the_edge_says_so_and_recovers(edge):
    edge.run(FIRST)
    edge.instances.pop(FIRST).end()
    assert edge.ask().status == 503 and edge.ask().json["code"] == "unavailable"
    edge.names.addresses = []
    until(lambda: edge.ask(timeout=20).status == 503, "no name, no service")
    edge.run(SECOND)
