"""The stack under test: the built executables and a real nginx, in a directory of their own, on free ports."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile

from websockets.exceptions import InvalidStatus

from chat_client import Chat
from http_client import request
from proxy import write_proxy
from waiting import until

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("auth", "files", "presence", "gateway")
# Settings in the environment would override the ones that a test gives.
SECTIONS = (
    "AUTH", "FILES", "PRESENCE", "GATEWAY", "STORE", "DATA", "INTERNAL", "CORS", "SERVER", "ENVIRONMENT", "LOG",
    "SHUTDOWN",
)
PORTS = range(10_000, 32_768)
DEMO = {
    "user123": ("password123", "Kehu"),
    "support001": ("password123", "Kefu"),
    "test": ("test", "Kehu"),
    "test_user": ("password", "Kehu"),
}


def binaries():
    given = os.environ.get("BIN_DIR")
    folders = [pathlib.Path(given)] if given else [ROOT / ".build/release", ROOT / ".build/debug"]
    for folder in folders:
        if all((folder / name).is_file() for name in SERVICES):
            return folder.resolve()
    raise RuntimeError(f"no built executables in {', '.join(map(str, folders))}; run `make build`")


def free_ports(count):
    """Ports that were free a moment ago, all different, and never another worker's.

    They are below those that Linux gives to outgoing connections: one of these could take the port of a process that
    is away just now, or meet itself there.
    """
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:], os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    candidates = range(PORTS.start + int(worker), PORTS.stop, int(workers))
    sockets = []
    for port in secrets.SystemRandom().sample(candidates, len(candidates)):
        one = socket.socket()
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            one.close()
            continue
        sockets.append(one)
        if len(sockets) == count:
            break
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    assert len(ports) == count, "no ports are free"
    return ports


def nginx_command(directory):
    """The command that runs nginx by `directory/nginx.conf`."""
    return [
        shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/sbin") or "nginx",
        "-g", "daemon off;", "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", "stderr",
    ]


class Process:
    """One process that the test may stop, kill and start again."""

    def __init__(self, name, command, log, environment, ready):
        self.name, self.command, self.log, self.environment, self.ready = name, command, log, environment, ready
        self.child = None

    def start(self, wait=True):
        assert self.child is None, f"{self.name} runs already"
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self):
        def ready():
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.child.returncode}:\n{self.log_text()[-3000:]}")
            return self.ready()

        until(ready, f"{self.name} is ready", timeout=30)

    def stop(self, timeout=15):
        """SIGTERM, and the exit status that it leads to."""
        return self._end(signal.SIGTERM, timeout)

    def kill(self):
        """SIGKILL, at once, for the whole process group."""
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait(timeout=10)
        self.child = None

    @contextlib.contextmanager
    def standing_still(self):
        """SIGSTOP, and on again at the end.

        The signal takes effect when the kernel has woken one of the threads for it; until then the others go on.
        """
        tasks = pathlib.Path(f"/proc/{self.child.pid}/task")

        def stands():
            states = {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()}
            return states == {"T"}

        self.child.send_signal(signal.SIGSTOP)
        try:
            until(stands, f"{self.name} stands still")
            yield
        finally:
            self.child.send_signal(signal.SIGCONT)

    def _end(self, number, timeout):
        self.child.send_signal(number)
        try:
            status = self.child.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {timeout} s") from None
        self.child = None
        return status

    @property
    def running(self):
        return self.child is not None and self.child.poll() is None

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def log_text(self):
        return pathlib.Path(self.log).read_text(errors="replace") if os.path.exists(self.log) else ""


@contextlib.contextmanager
def stack_with(settings, **options):
    """A stack of its own for one test or a few; at its end everything stops cleanly and nothing secret was logged."""
    one = Stack(settings, **options)
    try:
        yield one.start()
        statuses = one.stop()
        assert set(statuses.values()) == {0}, statuses
        assert one.leaks() == []
    except BaseException:
        one.print_logs()
        raise
    finally:
        one.remove()


class Stack:
    def __init__(self, settings=None, environment=None, demo_users=True, edge=None, **counts):
        """`edge` has variables of the edge's templates; `{port}` in them is the edge's port. `counts` says how many
        there are of a service, such as `gateway=3`; not more than one without a Redis."""
        self.demo_users, self.edge = demo_users, edge or {}
        # The first is called as with one alone, the others `gateway-1` and so on.
        self.instances = {
            name: (name, *(f"{name}-{number}" for number in range(1, counts.get(name, 1)))) for name in SERVICES
        }
        self.services = tuple(instance for name in SERVICES for instance in self.instances[name])
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="support-chat-test-"))
        # Workers of an nginx that was started by root have another user.
        self.directory.chmod(0o755)
        self.secrets = set()
        # What other services ask of several instances goes to any that answers.
        self.shared = tuple(name for name in SERVICES[:3] if len(self.instances[name]) > 1)
        names = (*self.services, "edge", *(f"{name} proxy" for name in self.shared))
        self.ports = dict(zip(names, free_ports(len(names))))
        self.port = self.ports["edge"]
        self.token = secrets.token_hex(32)
        self.secrets.add(self.token)
        self.config = self.directory / "config.json"
        self.settings = settings or {}
        self._write_config(self.settings)
        self.environment = {
            name: value for name, value in os.environ.items()
            if name.split("_")[0] not in SECTIONS
        }
        self.environment.update(environment or {})
        self.processes = {name: self._service(name) for name in self.services}
        if self.shared:
            self.processes["proxy"] = self._proxy()
        self.processes["nginx"] = self._nginx()

    def __getattr__(self, name):
        processes = self.__dict__.get("processes", {})
        if name in processes:
            return processes[name]
        raise AttributeError(name)

    # Set-up

    def _write_config(self, settings):
        data = self.directory / "data"
        data.mkdir(mode=0o700)
        document = {
            "environment": "development",
            "server": {"host": "localhost", "port": self.port},
            "cors": {"allowed_origins": ["http://localhost:8004"], "allow_credentials": True},
            "internal": {"token": self.token},
            "data_dir": str(data),
        }
        for name in SERVICES:
            document[name] = {"listen": f"127.0.0.1:{self.ports[name]}"}
            if name != "gateway":
                port = self.ports[f"{name} proxy" if name in self.shared else name]
                document[name]["url"] = f"http://127.0.0.1:{port}"
        for key, value in settings.items():
            section, _, member = key.partition(".")
            document.setdefault(section, {})[member] = value
        self.config.write_text(json.dumps(document, indent=2))
        self.config.chmod(0o600)

    def _service(self, name):
        port = self.ports[name]
        program, environment = name.partition("-")[0], self.environment
        if program != name:
            environment = {**environment, f"{program.upper()}_LISTEN": f"127.0.0.1:{port}"}
        return Process(
            name, [str(binaries() / program), "--config", str(self.config)], str(self.directory / f"{name}.log"),
            environment, lambda: request(port, "GET", "/readyz", timeout=2).status == 200,
        )

    @staticmethod
    def edge_user():
        """The directive with which an nginx started by root gives up being that."""
        return "user www-data;" if os.geteuid() == 0 else ""

    def _render(self):
        variables = {
            "EDGE_LISTEN": f"listen 127.0.0.1:{self.port};",
            "EDGE_USER": self.edge_user(),
            "EDGE_WORKER_CONNECTIONS": "4096",
            "WEB_ROOT": str(self.directory / "web"),
            **{
                f"{name.upper()}_SERVERS": " ".join(f"server 127.0.0.1:{self.ports[one]};" for one in instances)
                for name, instances in self.instances.items()
            },
            # Its body limits are made from those of files.
            **{
                name.upper().replace(".", "_"): str(self.settings[name])
                for name in ("files.file_bytes_max", "files.base64_bytes_max") if name in self.settings
            },
            **{name: value.format(port=self.port) for name, value in self.edge.items()},
        }
        subprocess.run(
            [str(ROOT / "deploy/nginx/render"), str(self.directory / "nginx")], check=True,
            env={**self.environment, **variables},
        )

    def _nginx(self):
        edge = self.directory / "nginx"
        site = self.directory / "web"
        shutil.copytree(ROOT / "deploy/web", site)
        (site / "app.js").write_text("// " + "x" * 2000 + "\n")
        self._render()
        return Process(
            "nginx", nginx_command(edge), str(self.directory / "nginx.log"), self.environment,
            # With TLS it leads away from here.
            lambda: request(self.port, "GET", "/", timeout=2).status in (200, 308),
        )

    def _proxy(self):
        directory = self.directory / "proxy"
        write_proxy(directory, {
            self.ports[f"{name} proxy"]: [self.ports[one] for one in self.instances[name]] for name in self.shared
        })
        port = self.ports[f"{self.shared[0]} proxy"]
        return Process(
            "proxy", nginx_command(directory), str(self.directory / "proxy.log"), self.environment,
            lambda: request(port, "GET", "/proxy", timeout=2).status == 204,
        )

    def run(self, service, *arguments, check=True):
        """A named command of a service, such as `auth create-user`."""
        return subprocess.run(
            [str(binaries() / service), *arguments, "--config", str(self.config)], env=self.environment,
            capture_output=True, text=True, check=check, timeout=120, stdin=subprocess.DEVNULL,
        )

    def start(self):
        if self.demo_users:
            self.run("auth", "create-demo-users")
            self.secrets.update(password for password, _ in DEMO.values() if len(password) > 8)
        if self.shared:
            self.processes["proxy"].start()
        for name in self.services:
            self.processes[name].start(wait=False)
        for name in self.services:
            self.processes[name].wait_ready()
        self.processes["nginx"].start()
        return self

    def stop(self):
        """Stops what runs; returns the exit statuses."""
        statuses = {}
        for name, process in self.processes.items():
            if process.running:
                statuses[name] = process.stop()
        return statuses

    def remove(self):
        for process in self.processes.values():
            if process.running:
                process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    # Use

    def http(self, method, path, **options):
        return request(self.port, method, path, **options)

    def login(self, username, password=None, user_type=None):
        """Logs in through the edge and remembers the session id as a secret."""
        if password is None:
            password, user_type = DEMO[username]
        body = {"username": username, "password": password}
        if user_type is not None:
            body["user_type"] = user_type
        answer = self.http("POST", "/auth/login", json=body)
        assert answer.status == 200, answer
        self.secrets.add(answer.json["session_id"])
        return answer.json

    def sessions(self, customers, agents):
        """Logins of so many customers and agents, the same users at every call, without a password for any."""
        assert agents <= customers, "they are made in turn"
        output = self.run(
            "auth", "create-sessions", "--count", str(customers + agents), "--agents", str(agents)
        ).stdout
        logins = [
            dict(zip(("user_id", "session_id", "user_type"), line.split())) for line in output.splitlines()
        ]
        self.secrets.update(login["session_id"] for login in logins)
        return (
            [login for login in logins if login["user_type"] == "Kehu"],
            [login for login in logins if login["user_type"] == "Kefu"],
        )

    def chat(self, login, client=Chat, port=None, **options):
        """Opens the WebSocket as the guide does, and waits for its Welcome."""
        chat = client(
            port or self.port, user_id=login["user_id"], session_id=login["session_id"], user_type=login["user_type"],
            **options,
        )
        chat.welcome = chat.expect("Welcome")
        return chat

    def takes(self, login):
        """Whether its WebSocket can be opened just now."""
        try:
            self.chat(login).close()
        except InvalidStatus:
            return False
        return True

    def history(self, session_id, query, limit=200):
        """All entries of a conversation, paged forwards."""
        entries, after = [], 0
        while True:
            page = self.http("GET", f"/api/messages?{query}&after={after}&limit={limit}", session=session_id)
            assert page.status == 200, page
            document = page.json
            entries += document["messages"]
            if not document["has_more"]:
                return entries
            after = document["messages"][-1]["seq"]

    def log_files(self):
        return [path for path in (*self.directory.glob("*.log"), *(self.directory / "nginx/logs").glob("*.log"))]

    def print_logs(self, lines=40):
        for path in self.log_files():
            print(f"--- the end of {path.name}")
            print("\n".join(path.read_text(errors="replace").splitlines()[-lines:]))

    def leaks(self):
        """Log lines that hold a session id, a password or the internal token."""
        found = []
        for path in self.log_files():
            for line in path.read_text(errors="replace").splitlines():
                found += [f"{path.name}: {line}" for secret in self.secrets if secret in line]
        return found
