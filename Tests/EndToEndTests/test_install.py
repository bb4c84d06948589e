"""`make install`: what lies where, units that systemd accepts, and an installation that works as it was put there."""

import json
import os
import pathlib
import re
import shlex
import shutil
import stat
import subprocess
import tempfile

import pytest

from accounts import random_password
from chat_client import Chat
from http_client import request
from redis_server import RedisServer
from stack import ROOT, SERVICES, Process, Stack, binaries, free_ports, nginx_command
from waiting import until

README = (ROOT / "deploy/README.md").read_text()
INSTALL = str(ROOT / "deploy/systemd/install")
UNITS = [f"support-chat-{name}.service" for name in (*SERVICES, "gateway@")]
# Of ten; what is left is what they are for: the network.
EXPOSURE_MAX = 1.5
# An nginx as Debian sets it up, with a site of its own beside ours.
NGINX = """
{user}
pid {directory}/pid;
error_log stderr;
events {{ worker_connections 768; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    access_log {directory}/access.log;
    gzip on;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream auth {{ server 127.0.0.1:1; }}
    server {{
        listen 127.0.0.1:{other};
        server_name other.example;
        location / {{ return 200 "the other site"; }}
    }}
    include {site};
}}
"""


class Installation:
    """An installation below a directory of its own."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="support-chat-test-"))
        self.directory.chmod(0o755)
        self.variables = {
            "PREFIX": str(self.directory / "usr"), "SYSCONFDIR": str(self.directory / "etc"),
            "LOCALSTATEDIR": str(self.directory / "var"),
        }
        self.etc = self.directory / "etc/support-chat"
        self.units = self.directory / "usr/lib/systemd/system"

    def install(self, *arguments, **variables):
        environment = {**os.environ, "BIN_DIR": str(binaries()), **self.variables, **variables}
        return subprocess.run([INSTALL, *arguments], env=environment, capture_output=True, text=True, check=True)

    def files(self):
        return {
            str(path.relative_to(self.directory)): stat.S_IMODE(path.stat().st_mode)
            for path in self.directory.rglob("*") if path.is_file()
        }

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def setting(self, unit, name):
        """What a unit says by a name; all of it, a line each."""
        return re.findall(rf"^{name}=(.*)$", (self.units / unit).read_text(), re.MULTILINE)

    def environment(self, unit, instance=""):
        """What systemd would start the unit with."""
        (file,) = self.setting(unit, "EnvironmentFile")
        lines = [line for line in pathlib.Path(file).read_text().splitlines() if line and not line.startswith("#")]
        for text in self.setting(unit, "Environment"):
            lines += shlex.split(text.replace("%i", instance))
        plain = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**plain, **dict(line.split("=", 1) for line in lines)}


@pytest.fixture
def installation():
    one = Installation()
    yield one
    one.remove()


@pytest.fixture(scope="module")
def placed():
    one = Installation()
    one.install()
    yield one
    one.remove()


def test_what_lies_where(placed):
    files = placed.files()
    for name in SERVICES:
        assert files[f"usr/libexec/support-chat/{name}"] == 0o755
    for unit in UNITS + ["support-chat.target"]:
        assert files[f"usr/lib/systemd/system/{unit}"] == 0o644
    assert files["etc/support-chat/secrets.env"] == 0o600
    assert files["etc/support-chat/config.json"] == 0o644
    assert not [path for path in files if path.startswith("var/")], "data is made by who writes it"
    written = [placed.directory / path for path in files if "libexec" not in path and "share" not in path]
    for path in written:
        assert not re.search(r"@[A-Z]+@", path.read_text()), f"{path} has something unfilled"
    secrets = [line.split("=")[1] for line in (placed.etc / "secrets.env").read_text().splitlines() if "=" in line]
    for path in written:
        if path.name != "secrets.env":
            assert not [secret for secret in secrets if secret in path.read_text()], path


def test_a_staged_installation_knows_nothing_of_the_stage(installation):
    staged = {"DESTDIR": str(installation.directory), "PREFIX": "/opt/chat"}
    installation.install(**staged, SYSCONFDIR="/etc", LOCALSTATEDIR="/var")
    files = installation.files()
    assert "opt/chat/libexec/support-chat/gateway" in files and "etc/support-chat/secrets.env" in files
    for path in files:
        if "libexec" not in path:
            assert str(installation.directory) not in (installation.directory / path).read_text(), path
    unit = (installation.directory / "opt/chat/lib/systemd/system/support-chat-auth.service").read_text()
    assert "ExecStart=/opt/chat/libexec/support-chat/auth --config /etc/support-chat/config.json\n" in unit


def test_the_edge_lets_through_what_its_settings_say(installation):
    installation.install()
    settings, locations = installation.etc / "edge.env", installation.etc / "nginx/edge/locations.conf"

    def upload_max():
        return max(int(size) for size in re.findall(r"client_max_body_size (\d+)m;", locations.read_text()))

    assert 2048 <= upload_max() < 2060
    text = settings.read_text()
    assert text.count("\n#FILES_FILE_BYTES_MAX=2147483648\n") == 1
    settings.write_text(text.replace("#FILES_FILE_BYTES_MAX=2147483648", "FILES_FILE_BYTES_MAX=8589934592"))
    subprocess.run([str(installation.directory / "usr/sbin/support-chat-site"), "--no-reload"], check=True)
    assert 8192 <= upload_max() < 8200


def test_an_upgrade_keeps_settings_and_removal_keeps_settings_and_data(installation):
    installation.install()
    kept = [installation.etc / name for name in ("config.json", "secrets.env", "edge.env")]
    for path in kept:
        path.write_text(path.read_text() + "\n")
    before = [path.read_bytes() for path in kept]
    data = installation.directory / "var/lib/support-chat/auth.db"
    data.parent.mkdir(parents=True)
    data.write_text("data")
    installation.install()
    assert [path.read_bytes() for path in kept] == before
    assert "stay" in installation.install("--uninstall").stdout
    assert set(installation.files()) == {
        *(str(path.relative_to(installation.directory)) for path in kept), "var/lib/support-chat/auth.db"
    }
    assert data.read_text() == "data"


@pytest.mark.parametrize("unit", UNITS + ["support-chat.target"])
def test_systemd_accepts_the_unit(placed, unit):
    path = str(placed.units / unit)
    verified = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    # Of units that this machine brings itself there may be complaints.
    ours = [line for line in verified.stderr.splitlines() if "support-chat" in line]
    assert ours == [] and verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_is_hardened(placed, unit):
    # Offline it reads the file alone, and a template's needs an instance's name.
    path = placed.directory / unit.replace("@.", "@6014.")
    path.write_text((placed.units / unit).read_text())
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={int(EXPOSURE_MAX * 10)}", "--no-pager",
         str(path)],
        capture_output=True, text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


class Running(Installation):
    """An installation whose services and nginx run, by what its units say."""

    def __init__(self):
        super().__init__()
        self.install()
        names = (*SERVICES, "edge", "other")
        self.ports = dict(zip(names, free_ports(len(names))))
        self._set()
        # What StateDirectory= makes.
        (self.directory / "var/lib/support-chat").mkdir(parents=True, mode=0o700)
        self.nginx = self._nginx()
        self.read_units()

    def read_units(self):
        """Takes the services' environment from its files anew, as systemd does at each start."""
        self.processes = [self._service(name) for name in SERVICES] + [self.nginx]

    def _set(self):
        config = json.loads((self.etc / "config.json").read_text())
        for name in SERVICES:
            config[name] = {"listen": f"127.0.0.1:{self.ports[name]}"}
            if name != "gateway":
                config[name]["url"] = f"http://127.0.0.1:{self.ports[name]}"
        (self.etc / "config.json").write_text(json.dumps(config))
        lines = [
            f'EDGE_LISTEN="listen 127.0.0.1:{self.ports["edge"]};"', f"EDGE_ACCESS_LOG={self.directory}/edge.log",
            "EDGE_ERROR_LOG=stderr", "EDGE_TRUSTED_PROXIES=127.0.0.1",
            *(f'{name.upper()}_SERVERS="server 127.0.0.1:{self.ports[name]};"' for name in SERVICES),
        ]
        with open(self.etc / "edge.env", "a") as file:
            file.write("\n".join(lines) + "\n")
        site = str(self.directory / "usr/sbin/support-chat-site")
        subprocess.run([site, "--no-reload"], check=True, capture_output=True)

    def _service(self, name):
        unit = f"support-chat-{name}.service"
        (command,) = self.setting(unit, "ExecStart")
        return Process(
            name, shlex.split(command), str(self.directory / f"{name}.log"), self.environment(unit),
            lambda: request(self.ports[name], "GET", "/readyz", timeout=2).status == 200,
        )

    def _nginx(self):
        directory = self.directory / "debian-nginx"
        directory.mkdir(mode=0o755)
        (directory / "nginx.conf").write_text(NGINX.format(
            user=Stack.edge_user(), directory=directory, other=self.ports["other"],
            site=self.directory / "etc/nginx/sites-available/support-chat.conf",
        ))
        return Process(
            "nginx", nginx_command(directory), str(self.directory / "nginx.log"), dict(os.environ),
            lambda: self.request("GET", "/").status == 200,
        )

    def request(self, method, path, **options):
        return request(self.ports["edge"], method, path, **options)

    def command(self, *arguments, **options):
        return subprocess.run(
            [str(self.directory / "usr/bin/support-chat"), *arguments], capture_output=True, text=True, **options
        )

    def start(self):
        for process in self.processes:
            process.start(wait=False)
        for process in self.processes:
            process.wait_ready()

    def stop(self):
        return {process.stop() for process in self.processes if process.running}

    def remove(self):
        for process in self.processes:
            if process.running:
                process.kill()
        super().remove()


@pytest.fixture
def running():
    one = Running()
    try:
        one.start()
        yield one
        assert one.stop() <= {0}
    finally:
        one.remove()


def test_the_installation_works_as_its_units_start_it(running):
    passwords = {"boss": random_password(), "customer": random_password()}
    for user, options in (("boss", ["--user-type", "Kefu", "--admin"]), ("customer", ["--user-type", "Kehu"])):
        made = running.command(
            "auth", "create-user", "--user-id", user, *options, "--password-stdin", input=passwords[user] + "\n"
        )
        assert made.returncode == 0, made.stderr
    logins = {}
    for user, password in passwords.items():
        answer = running.request("POST", "/auth/login", json={"username": user, "password": password})
        assert answer.status == 200, answer
        logins[user] = answer.json
    members = ("user_id", "session_id", "user_type")
    with Chat(running.ports["edge"], **{name: logins["boss"][name] for name in members}) as support, \
            Chat(running.ports["edge"], **{name: logins["customer"][name] for name in members}) as chat:
        support.expect("Welcome")
        chat.send({"type": "Chat", "content": "installed", "client_id": "1"})
        chat.expect("Ack", client_id="1")
        assert support.expect("Chat", timeout=20)["content"] == "installed"
    uploaded = running.request(
        "POST", "/api/files/upload", session=logins["customer"]["session_id"],
        json={"file_name": "a.txt", "file_type": "text/plain", "file_data": "aGVsbG8K"},
    )
    assert uploaded.status == 201
    # It is production: nothing has a known password, and the site's neighbour is what it was.
    known = {"username": "user123", "password": "password123"}
    assert running.request("POST", "/auth/login", json=known).status == 401
    assert request(running.ports["other"], "GET", "/").body == b"the other site"
    state = running.directory / "var/lib/support-chat"
    until(lambda: {"auth.db", "files.sqlite"} <= {path.name for path in state.iterdir()}, "the data lies in its place")
    lines = (running.directory / "edge.log").read_text().splitlines()
    assert "/auth/login" in {json.loads(line)["path"] for line in lines}


def test_an_installation_moves_to_redis_as_the_readme_says(running, tmp_path):
    password = random_password()
    account = ("create-user", "--user-id", "boss", "--user-type", "Kefu", "--admin", "--password-stdin")
    assert running.command("auth", *account, input=password + "\n").returncode == 0
    order, source = re.search(
        r"for service in ([a-z ]+); do sudo support-chat \$service import-sqlite --from (\S+) ", README
    ).groups()
    assert set(order.split()) == set(SERVICES) and source == "/var/lib/support-chat"
    assert running.stop() == {0}
    with RedisServer(tmp_path) as redis:
        with open(running.etc / "secrets.env", "a") as file:
            file.write(f"STORE={redis.url}\n")
        for service in order.split():
            moved = running.command(service, "import-sqlite", "--from", f"{running.directory}{source}")
            assert moved.returncode == 0, moved.stderr
            assert "imported" in moved.stdout
        running.read_units()
        running.start()
        answer = running.request("POST", "/auth/login", json={"username": "boss", "password": password})
        assert answer.status == 200, answer
        assert running.stop() == {0}


def test_the_command_starts_no_second_service(placed):
    def command(*arguments):
        return subprocess.run(
            [str(placed.directory / "usr/bin/support-chat"), *arguments], capture_output=True, text=True, timeout=20
        )

    for arguments in ([], ["nothing"], ["auth"], ["auth", "--config"]):
        assert command(*arguments).returncode != 0
    assert "create-user" in command("auth", "--help").stdout


def test_several_gateways_have_names_and_ports_of_their_own(placed):
    environment = placed.environment("support-chat-gateway@.service", "6014")
    assert environment["GATEWAY_ID"] == "gateway-6014" and environment["GATEWAY_LISTEN"] == "127.0.0.1:6014"
    assert environment["GATEWAY_URL"] == "http://127.0.0.1:6014"
