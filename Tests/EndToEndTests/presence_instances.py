"""Two instances of presence on one Redis, behind an nginx that leads other services to whichever answers."""

from http_client import request
from proxy import write_proxy
from redis_server import RedisServer
from stack import Process, Stack, binaries, free_ports, nginx_command
from waiting import until

# Whoever is asked with it answers as the leader, or not at all.
HANDED_ON = {"X-Presence-Forwarded": "1"}


class PresenceInstances:
    """A stack whose presence is two processes, `0` and `1`; gateway and files have files of their own."""

    def __init__(self, directory, settings):
        self.redis = RedisServer(directory)
        self.stack = Stack(settings, environment={"STORE": self.redis.url})
        for name in ("gateway", "files"):
            files = {"STORE": f"sqlite:{self.stack.directory}/data"}
            self.stack.processes[name].environment = {**self.stack.environment, **files}
        self.ports = free_ports(2)
        self.processes = [self._instance(port) for port in self.ports]
        # To the others it stands in presence's place.
        self.stack.processes["presence"] = self._proxy(self.stack.ports["presence"])

    def _instance(self, port):
        return Process(
            f"presence-{port}", [str(binaries() / "presence"), "--config", str(self.stack.config)],
            str(self.stack.directory / f"presence-{port}.log"),
            {**self.stack.environment, "PRESENCE_LISTEN": f"127.0.0.1:{port}"},
            lambda: request(port, "GET", "/readyz", timeout=2).status == 200,
        )

    def _proxy(self, port):
        directory = self.stack.directory / "proxy"
        write_proxy(directory, {port: self.ports})
        return Process(
            "proxy", nginx_command(directory), str(self.stack.directory / "proxy.log"), self.stack.environment,
            lambda: request(port, "GET", "/proxy", timeout=2).status == 204,
        )

    def __enter__(self):
        self.redis.start()
        for process in self.processes:
            process.start(wait=False)
        self.stack.start()
        for process in self.processes:
            process.wait_ready()
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.stack.print_logs()
        statuses = {process.name: process.stop() for process in self.processes if process.running}
        statuses.update(self.stack.stop())
        self.redis.kill()
        leaks = self.stack.leaks()
        self.stack.remove()
        if kind is None:
            assert set(statuses.values()) == {0}, statuses
            assert leaks == []

    def answers(self, index):
        """Whether this instance answers as the leader: what another one has handed on, nobody else takes."""
        try:
            return self.ask(index, headers=HANDED_ON).status == 200
        except OSError:
            return False

    def ask(self, index, path="/internal/users", headers=None, timeout=5, **options):
        headers = {"X-Internal-Token": self.stack.token, **(headers or {})}
        return request(self.ports[index], "GET", path, headers=headers, timeout=timeout, **options)

    def leader(self):
        """Who leads, once one does."""

        def leading():
            found = [index for index in (0, 1) if self.answers(index)]
            assert len(found) <= 1, "two lead at once"
            return found

        return until(leading, "one leads", timeout=20)[0]

    def restore(self):
        """Both run, and answer."""
        for process in self.processes:
            if process.running:
                process.wait_ready()
            else:
                process.child = None
                process.start()
