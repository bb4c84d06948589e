"""A real redis-server with an append-only file that is on the disk before an answer, for one test."""

import shutil
import signal
import subprocess

from stack import free_ports
from waiting import until


class RedisServer:
    def __init__(self, directory):
        self.directory = directory / "redis"
        self.directory.mkdir()
        self.port, = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}"
        self.child = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        assert self.child is None
        command = [
            shutil.which("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory),
            "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no",
        ]
        with open(self.directory / "log", "ab") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self.command("PING") == "PONG", "redis-server answers")

    def kill(self):
        if self.child is not None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait(timeout=10)
        self.child = None

    def command(self, *words):
        answer = subprocess.run(
            ["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, timeout=10
        )
        return answer.stdout.strip()
