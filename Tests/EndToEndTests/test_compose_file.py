"""The rules that the compose file and the Dockerfile keep; read by both tools where they are installed."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from stack import ROOT, SERVICES

TEXT = (ROOT / "deploy/docker-compose.yml").read_text()
FILE = yaml.safe_load(TEXT)
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
ALL = {*SERVICES, "nginx", "redis"}
SECRETS = {"REDIS_PASSWORD", "INTERNAL_TOKEN", "FILES_URL_SECRET"}
# What a service takes to drain, in seconds, before it is killed (shutdown.grace_ms and what follows it).
DRAIN = 10


def service(name):
    return FILE["services"][name]


def test_all_services_are_there_and_each_is_built_from_its_stage():
    assert set(FILE["services"]) == ALL
    for name in SERVICES:
        assert service(name)["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile", "target": name}


def test_only_nginx_publishes_ports():
    assert [name for name in ALL if "ports" in service(name)] == ["nginx"]
    assert [port.rpartition(":")[2] for port in service("nginx")["ports"]] == ["8080", "8443"]
    assert not [name for name in ALL if "network_mode" in service(name) or "container_name" in service(name)]


def test_no_secret_has_a_default():
    for name, operator in re.findall(r"\$\{(\w+)(:?[-?]|\})", TEXT):
        if name in SECRETS:
            assert operator == ":?", f"{name} is not required"
        elif re.search("SECRET|TOKEN|PASSWORD", name):
            assert f"${{{name}:-}}" in TEXT, f"{name} has a default"
    assert {name for name in SECRETS if f"${{{name}:?" in TEXT} == SECRETS


def test_what_neither_tool_may_meet_is_not_there():
    assert not {"version", "name", "include", "configs"} & set(FILE)
    assert not re.search(r"\$\{[^}]*\$\{", TEXT), "1.29 reads nested defaults wrongly"
    assert "start_interval" not in TEXT and "@sha256" not in TEXT
    for name in ALL:
        needed = service(name).get("depends_on", {})
        for one in needed.values() if isinstance(needed, dict) else ():
            assert set(one) == {"condition"} and one["condition"] in ("service_healthy", "service_started")


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_container_is_confined_and_bounded(name):
    one = service(name)
    assert one["restart"] == "unless-stopped"
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert set(one["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert set(one["logging"]["options"]) == {"max-size", "max-file"}
    assert int(one["stop_grace_period"].rstrip("s")) >= DRAIN + 5
    assert "healthcheck" in one or "build" in one
    # Those without a user of their own in the file have one in their image; nginx's master is root to read its key.
    assert ("cap_add" in one) == (name == "nginx")


def test_nginx_alone_is_believed_who_a_client_is():
    edge = FILE["networks"]["edge"]["ipam"]["config"][0]
    address = service("nginx")["networks"]["edge"]["ipv4_address"]
    for name in SERVICES:
        assert service(name)["environment"]["HTTP_TRUSTED_PROXIES"] == address
    base = "${EDGE_NETWORK:-172.28.66}"
    assert (edge["subnet"], edge["ip_range"], address) == (f"{base}.0/24", f"{base}.128/25", f"{base}.2")


def test_who_reaches_whom():
    networks = {name: set(service(name)["networks"]) for name in ALL}
    assert networks["nginx"] == {"public", "edge"} and networks["redis"] == {"store"}
    assert all(networks[name] == {"edge", "store"} for name in SERVICES)
    assert FILE["networks"]["edge"]["internal"] is True and FILE["networks"]["store"]["internal"] is True


def test_redis_keeps_what_it_has_acknowledged_and_lets_nobody_in():
    (command,) = service("redis")["command"]
    for words in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction", "requirepass"):
        assert words in command
    assert "${REDIS_PASSWORD" not in command, "arguments are shown to everybody"
    assert service("redis")["volumes"] == ["redis:/data"]
    for name in SERVICES:
        assert re.fullmatch(r"redis://:\$\{REDIS_PASSWORD:\?.*\}@redis:6379", service(name)["environment"]["STORE"])


def test_there_is_room_for_sixteen_thousand_sockets():
    limits = {name: int(re.search(r"\d{3,}", str(service(name)["ulimits"]["nofile"]["soft"]))[0]) for name in ALL}
    assert limits["gateway"] >= 16_000 + 500 and limits["nginx"] >= 2 * 16_000
    assert "EDGE_WORKER_CONNECTIONS" in (ROOT / "deploy/nginx/container").read_text()
    # A port for each request is in TIME_WAIT after it: without this there are some 900 requests/s to a service.
    assert service("nginx")["sysctls"]["net.ipv4.tcp_tw_reuse"] == "1"


def test_the_dockerfile_is_one_for_both_builders():
    assert not DOCKERFILE.startswith("# syntax") and "--mount" not in DOCKERFILE and "--chmod" not in DOCKERFILE
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == [
        "swift:6.3-bookworm", "debian:bookworm-slim", *["runtime"] * 4
    ]
    assert DOCKERFILE.index("USER 10001:10001") < DOCKERFILE.index("FROM runtime")
    assert DOCKERFILE.count("HEALTHCHECK") == 4 and 'ENTRYPOINT ["tini"' in DOCKERFILE
    assert "USER root" not in DOCKERFILE and "USER 0" not in DOCKERFILE


def test_nothing_secret_gets_into_an_image_or_the_repository():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".build", ".git", ".data", "deploy/.env", "deploy/tls"} <= set(ignored)
    if (ROOT / ".git").exists():
        for path in ("deploy/.env", "deploy/tls/privkey.pem"):
            assert subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0, path


def tools():
    found = []
    if shutil.which("docker-compose"):
        found.append(["docker-compose"])
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        found.append(["docker", "compose"])
    return found


@pytest.fixture(params=tools() or [None], ids=lambda tool: " ".join(tool or ["none"]))
def config(request, tmp_path):
    """Runs `config` of a tool on a copy of the file, beside which no `.env` is."""
    if request.param is None:
        pytest.skip("neither docker-compose nor docker compose is installed")
    (tmp_path / "deploy").mkdir()
    path = shutil.copy(ROOT / "deploy/docker-compose.yml", tmp_path / "deploy")

    def run(variables):
        names = {*re.findall(r"\$\{(\w+)", TEXT)}
        environment = {name: value for name, value in os.environ.items() if name not in names}
        return subprocess.run(
            [*request.param, "-f", str(path), "config"], env={**environment, **variables}, capture_output=True,
            text=True, cwd=pathlib.Path(path).parent,
        )

    return run


def test_the_tools_accept_the_file(config):
    result = config({name: f"value-of-{name}" for name in SECRETS})
    assert result.returncode == 0, result.stderr
    assert "warn" not in result.stderr.lower(), result.stderr
    read = yaml.safe_load(result.stdout)
    assert set(read["services"]) == ALL
    assert read["services"]["auth"]["environment"]["STORE"] == "redis://:value-of-REDIS_PASSWORD@redis:6379"


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_without_a_secret_the_tools_refuse_and_say_what_to_do(config, missing):
    for given in ({}, {missing: ""}):
        result = config({**{name: "x" * 32 for name in SECRETS - {missing}}, **given})
        assert result.returncode != 0 and "deploy/init" in result.stderr, result.stderr
