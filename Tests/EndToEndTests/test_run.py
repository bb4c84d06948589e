"""`make run` itself, on ports of its own, with the executables already built."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest

from chat_client import Chat
from http_client import request
from stack import ROOT, SERVICES, binaries, free_ports
from waiting import until


def environment(tmp_path, **more):
    ports = free_ports(6)
    variables = {
        **os.environ, "BIN_DIR": str(binaries()), "DATA_DIR": str(tmp_path / "data"), "PORT": str(ports[4]),
        "REDIS_LISTEN": f"127.0.0.1:{ports[5]}",
        **{f"{name.upper()}_LISTEN": f"127.0.0.1:{port}" for name, port in zip(SERVICES, ports)},
    }
    variables.update(more)
    return variables


class Run:
    def __init__(self, tmp_path, **more):
        self.environment = environment(tmp_path, **more)
        self.port = int(self.environment["PORT"])
        self.output, self.errors = tmp_path / "stdout", tmp_path / "stderr"
        with open(self.output, "wb") as output, open(self.errors, "wb") as errors:
            self.child = subprocess.Popen(
                [str(ROOT / "deploy/run")], env=self.environment, stdout=output, stderr=errors,
                stdin=subprocess.DEVNULL, start_new_session=True,
                # A job in the background has SIGINT ignored, and a shell cannot trap what it was started to ignore.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def ready(self):
        def printed():
            if self.child.poll() is not None:
                raise RuntimeError(f"ended with {self.child.returncode}: {self.errors.read_text()}")
            return self.output.read_text().endswith("\n")

        until(printed, "the ready line", timeout=60)
        return self.output.read_text()

    def family(self):
        """What this run started and what that started: command lines by (process id, start time)."""
        parents, found = {}, {}
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            parents[int(entry.name)] = (int(fields[1]), fields[19], command)

        def descends(pid):
            while pid in parents:
                pid = parents[pid][0]
                if pid == self.child.pid:
                    return True
            return False

        for pid, (_, started, command) in parents.items():
            if descends(pid):
                found[pid, started] = command
        return found

    def end(self, number=signal.SIGTERM):
        self.child.send_signal(number)
        return self.child.wait(timeout=30)

    @staticmethod
    def left(family):
        """Those of an earlier `family` that still run."""
        def runs(pid, started):
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                return False
            return fields[19] == started and fields[0] != "Z"

        return {key: command for key, command in family.items() if runs(*key)}

    def clean_up(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


@pytest.fixture
def run(tmp_path, request):
    one = Run(tmp_path, **getattr(request, "param", {}))
    yield one
    one.clean_up()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_and_stops_everything_it_started(run, number):
    assert run.ready() == f"ready http://localhost:{run.port}\n"
    answer = request(run.port, "POST", "/auth/login", json={"username": "user123", "password": "password123"})
    assert answer.status == 200
    assert request(run.port, "GET", "/", host="::1").status == 200
    started = run.family()
    assert len([command for command in started.values() if "nginx" in command]) >= 2
    before = time.monotonic()
    assert run.end(number) == 0
    assert time.monotonic() - before < 20
    assert run.family() == {}


def test_a_service_that_dies_is_reported_and_started_again(run):
    run.ready()
    (victim,) = [pid for (pid, _), command in run.family().items() if "/presence --config" in command]
    os.kill(victim, signal.SIGKILL)
    until(lambda: "presence ended with status 137" in run.errors.read_text(), "the report")
    port = int(run.environment["PRESENCE_LISTEN"].rsplit(":", 1)[1])
    until(lambda: request(port, "GET", "/readyz", timeout=2).status == 200, "presence is back", timeout=20)
    assert run.end() == 0


@pytest.mark.parametrize("run", [{"GATEWAYS": "3"}], indirect=True)
def test_several_gateways_on_a_redis_of_their_own(run):
    run.ready()
    login = request(run.port, "POST", "/auth/login", json={"username": "user123", "password": "password123"}).json
    base = int(run.environment["GATEWAY_LISTEN"].rsplit(":", 1)[1])
    ports = [base, base + 10, base + 20]
    members = {name: login[name] for name in ("user_id", "session_id", "user_type")}
    with contextlib.ExitStack() as everything:
        # One device at each; what one says the others hear.
        first, *others = [everything.enter_context(Chat(port, **members)) for port in ports]
        for chat in (first, *others):
            chat.expect("Welcome")
        first.send({"type": "Chat", "content": "to all", "to_user_id": "support001", "client_id": "1"})
        first.expect("Ack", client_id="1")
        for chat in others:
            assert chat.expect("Chat")["content"] == "to all"
    data = pathlib.Path(run.environment["DATA_DIR"])
    assert (data / "redis/appendonlydir").is_dir() and not (data / "auth.db").exists()
    # Whoever dies comes back, Redis too, with what it was told.
    (redis,) = [pid for (pid, _), command in run.family().items() if "redis-server" in command]
    os.kill(redis, signal.SIGKILL)
    until(lambda: "redis ended with status 137" in run.errors.read_text(), "the report")
    path = "/api/messages?with=support001"
    until(
        lambda: "to all" in str(request(run.port, "GET", path, session=login["session_id"]).json["messages"]),
        "the history is back", timeout=30,
    )
    assert run.end() == 0
    assert run.family() == {}


@pytest.mark.parametrize("run", [{"HOST": "0.0.0.0"}], indirect=True)
def test_with_a_host_the_demo_passwords_are_random_and_printed(run):
    run.ready()
    known = {"username": "user123", "password": "password123"}
    assert request(run.port, "POST", "/auth/login", json=known).status == 401
    lines = [line.split() for line in run.errors.read_text().splitlines()]
    (password,) = [line[1] for line in lines if len(line) >= 2 and line[0] == "user123"]
    answer = request(run.port, "POST", "/auth/login", json={"username": "user123", "password": password})
    assert answer.status == 200
    assert run.end() == 0


def test_if_the_script_itself_is_killed_nothing_is_left(run):
    run.ready()
    started = run.family()
    run.child.kill()
    run.child.wait()
    until(lambda: run.left(started) == {}, "all that it started is gone", timeout=20)


def test_a_port_in_use_is_named(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [str(ROOT / "deploy/run")], env=environment(tmp_path, PORT=str(port)), capture_output=True, text=True,
            timeout=60,
        )
    assert result.returncode == 1 and f"port {port} is in use" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("variable,value", [
    ("PORT", "x"), ("PORT", "70000"), ("GATEWAYS", "0"), ("GATEWAYS", "33"), ("WEB_ROOT", "/nowhere"),
    ("TRUSTED_PROXIES", "localhost"),
])
def test_bad_arguments_are_named(tmp_path, variable, value):
    result = subprocess.run(
        [str(ROOT / "deploy/run")], env=environment(tmp_path, **{variable: value}), capture_output=True, text=True,
        timeout=60,
    )
    assert result.returncode == 2 and variable in result.stderr, result.stderr
