"""The compose file for real: built, started, and scaled up and down while people converse. SOAK=1, and docker.

What each connection may be sent is asserted by `AsyncClient`, what all have seen at the end by `test_delivery`. COMPOSE
chooses the tool (`docker compose`). On a machine without a registry the base images must have been made before.
"""

import asyncio
import collections
import contextlib
import json
import os
import resource
import secrets
import shlex
import shutil
import subprocess

import pytest

from accounts import Accounts, random_name, random_password
from chat_client import Chat, tls
from commands import curl, run
from http_client import request
from stack import ROOT, SERVICES, Stack, free_ports
from test_delivery import Flow
from waiting import eventually, until

IS_WANTED = os.environ.get("SOAK") == "1" and shutil.which("docker") is not None
pytestmark = pytest.mark.skipif(not IS_WANTED, reason="needs SOAK=1 and docker")
DEFAULT_TOOL = "docker-compose" if shutil.which("docker-compose") else "docker compose"
TOOL = shlex.split(os.environ.get("COMPOSE") or DEFAULT_TOOL)
PATHS = {"auth": "/auth/session", "files": "/api/files/none", "presence": "/api/presence", "gateway": "/api/config"}
CUSTOMERS = 20
# Seconds between two messages of a customer, and how many messages of all are acknowledged before each next step.
PACE, BETWEEN_STEPS = 0.3, 500


class Compose:
    """A project of its own, which is removed with its volumes at the end."""

    http, login, history = Stack.http, Stack.login, Stack.history

    def __init__(self, directory):
        self.directory = directory
        self.project = f"support-chat-test-{secrets.token_hex(4)}"
        self.port, self.https = free_ports(2)
        self.secrets = set()
        self.scale = {name: 1 for name in SERVICES}
        made = run([
            str(ROOT / "deploy/init"), "--output", str(directory / "env"), "--self-signed", "localhost", "--tls-dir",
            str(directory / "tls"),
        ])
        assert made.returncode == 0, made.stderr
        self.secrets.update(
            line.split("=")[1] for line in (directory / "env").read_text().splitlines() if "=" in line
        )
        # More than this machine's own limit no container gets.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.environment = {
            **os.environ, "HTTP_PORT": str(self.port), "HTTPS_PORT": str(self.https),
            "TLS_DIR": str(directory / "tls"), "EDGE_NETWORK": f"10.213.{secrets.randbelow(256)}",
            **{name: str(min(most, wanted)) for name, wanted in (("GATEWAY_NOFILE", 65536), ("EDGE_NOFILE", 131072))},
        }
        self.files = ["-f", str(ROOT / "deploy/docker-compose.yml")]

    def __call__(self, *arguments, **options):
        command = [*TOOL, "-p", self.project, "--env-file", str(self.directory / "env"), *self.files, *arguments]
        result = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=1800, **options
        )
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        return result.stdout

    def up(self, **scale):
        self.scale.update(scale)
        counts = [f"--scale={name}={count}" for name, count in self.scale.items()]
        self("up", "-d", *counts)
        for name in (*SERVICES, "redis", "nginx"):
            until(lambda name=name: set(self.health(name)) == {"healthy"}, f"{name} is healthy", 120, 0.5)

    def down(self):
        with contextlib.suppress(AssertionError):
            self("down", "-v", "--remove-orphans")

    def containers(self, service):
        return self("ps", "-q", service).split()

    def inspect(self, service, what):
        ids = self.containers(service)
        answer = subprocess.run(["docker", "inspect", "-f", what, *ids], capture_output=True, text=True, check=True)
        return answer.stdout.split()

    def health(self, service):
        return self.inspect(service, "{{.State.Health.Status}}")

    def addresses(self, service):
        """The addresses at which nginx finds its instances."""
        return set(self.inspect(service, f'{{{{(index .NetworkSettings.Networks "{self.project}_edge").IPAddress}}}}'))

    def answered(self, path, status):
        """How many requests of a path each address has answered so, as nginx tells it."""
        found = collections.Counter()
        for container in self.containers("nginx"):
            log = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True).stdout
            for line in log.splitlines():
                if line.startswith("{"):
                    entry = json.loads(line)
                    if entry["path"] == path and entry["status"] == status:
                        found[entry["upstream"].split(", ")[-1].rpartition(":")[0]] += 1
        return found

    def check_spread(self, service, session):
        """Every instance gets requests, and none that is not there."""
        addresses = self.addresses(service)
        path = f"{PATHS[service]}"
        status = self.http("GET", path, session=session).status

        def all_used():
            before = self.answered(path, status)
            answers = [self.http("GET", path, session=session).status for _ in range(25 * len(addresses))]
            assert set(answers) == {status}, answers
            return {*(self.answered(path, status) - before)} == addresses

        until(all_used, f"all {len(addresses)} of {service} are used", 20)

    def administrator(self):
        """The first one, made as the README says."""
        person = {"user_id": random_name("boss"), "password": random_password(), "user_type": "Kefu"}
        self.secrets.add(person["password"])
        self(
            "exec", "-T", "auth", "auth", "create-user", "--user-id", person["user_id"], "--user-type", "Kefu",
            "--admin", "--password-stdin", input=person["password"] + "\n",
        )
        return person

    def sessions(self, customers, agents):
        """As a stack's, with accounts made by the administrator."""
        accounts = Accounts(self, self.admin)
        made = [[accounts.person(kind, **members) for _ in range(count)] for kind, count, members in (
            ("Kehu", customers, {}), ("Kefu", agents, {"capacity": customers}),
        )]
        return tuple(made)

    def leaks(self):
        lines = self("logs", "--no-color").splitlines()
        return [line for line in lines if any(secret in line for secret in self.secrets)]


@pytest.fixture(scope="module")
def compose(tmp_path_factory, request):
    one = Compose(tmp_path_factory.mktemp("compose"))
    failed_before = request.session.testsfailed
    try:
        one("build")
        one.up()
        one.boss = one.administrator()
        yield one
        assert one.leaks() == []
    finally:
        if request.session.testsfailed > failed_before:
            print(one("logs", "--no-color", "--tail", "60"))
        one.down()


def test_login_and_a_message_by_tls(compose):
    authority = str(compose.directory / "tls/ca.pem")
    body = json.dumps({"username": compose.boss["user_id"], "password": compose.boss["password"]})
    url = f"https://localhost:{compose.https}"
    answer = curl("--cacert", authority, f"{url}/auth/login", "-H", "Content-Type: application/json", "-d", body)
    assert answer.status == 200, answer.body
    compose.secrets.add(answer.json["session_id"])
    redirect = request(compose.port, "GET", "/api/config", headers={"Host": "localhost"})
    assert (redirect.status, redirect.header("Location")) == (308, f"{url}/api/config")
    members = {name: answer.json[name] for name in ("user_id", "session_id", "user_type")}
    base = f"wss://localhost:{compose.https}"
    with Chat(compose.https, **members, base=base, ssl=tls(authority), origin=url) as chat:
        chat.expect("Welcome")
        chat.send({"type": "Chat", "content": "hello", "to_user_id": "nobody", "client_id": "1"})
        chat.expect("Error", client_id="1")


def test_nobody_else_s_word_on_an_address_counts(compose):
    """Around nginx, from this machine: the service sees who connects, and not whom they name."""
    address = sorted(compose.addresses("auth"))[0]
    name = random_name("nobody")
    forged = request(
        6001, "POST", "/auth/login", json={"username": name, "password": "wrong-password"}, host=address,
        headers={"X-Forwarded-For": "203.0.113.1"},
    )
    assert forged.status == 401
    compose.environment["TLS"] = "off"
    compose.up()
    compose.admin = compose.login(compose.boss["user_id"], compose.boss["password"])
    path = "/api/audit?event=login_failed&limit=10"
    entries = compose.http("GET", path, session=compose.admin["session_id"]).json["entries"]
    assert entries and not [entry for entry in entries if entry["remote_address"] == "203.0.113.1"], entries


def test_containers_are_confined(compose):
    for name in SERVICES:
        status = compose("exec", "-T", name, "cat", "/proc/1/status")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        assert fields["Uid"].split() == ["10001"] * 4 and int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
        assert fields["NoNewPrivs"].strip() == "1"
        shell = "touch /usr/bin/x 2>/dev/null && echo written || echo refused"
        assert compose("exec", "-T", name, "sh", "-c", shell).strip() == "refused"
    for name in ("nginx", "redis"):
        published = compose.inspect(name, "{{len .HostConfig.PortBindings}}")
        assert published == (["2"] if name == "nginx" else ["0"])


class SteadyFlow(Flow):
    """Customers who write at a pace until they are told to stop."""

    def __init__(self, stack, seed):
        super().__init__(stack, seed, [0] * CUSTOMERS)
        self.is_over = False

    def speak(self):
        pass

    async def say_on(self):
        while not self.is_over:
            for user, number in self.counts.items():
                devices = [device for device in self.customers[user] if device is not self.late]
                devices[number % len(devices)].say(f"message {number} of {user}")
                self.counts[user] += 1
            # The pace is the load, and no wait for anything.
            await asyncio.sleep(PACE)


def test_scaled_up_and_down_under_load_nothing_is_lost(compose, seed):
    compose.up(auth=2, presence=2, files=2)
    flow = SteadyFlow(compose, seed)
    steps = []

    async def some_more():
        at = flow.acknowledged + BETWEEN_STEPS
        await eventually(lambda: flow.acknowledged >= at, flow.state, 120)

    async def meanwhile(flow):
        async with asyncio.TaskGroup() as group:
            group.create_task(flow.say_on())
            await some_more()
            for count in (3, 5, 2):
                await asyncio.to_thread(compose.up, gateway=count)
                assert len(compose.containers("gateway")) == count
                await asyncio.to_thread(compose.check_spread, "gateway", compose.admin["session_id"])
                steps.append((count, flow.acknowledged))
                await some_more()
            flow.is_over = True
        await eventually(flow.is_done, flow.state, 120)

    asyncio.run(flow.run(900, meanwhile))
    flow.check()
    print(f"{flow.acknowledged} acknowledged, when so many gateways were there: {steps}")
    shaken = compose.answered("/ws", 101)
    print(f"handshakes by gateway: {dict(shaken)}")
    assert len(shaken) >= 5
