"""The servers that a benchmark measures: our services as they are shipped, on fresh data, and nginx beside them."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]


def binaries():
    """BIN_DIR, else the release build, made first."""
    if "BIN_DIR" in os.environ:
        return pathlib.Path(os.environ["BIN_DIR"]).resolve()
    build = ["swift", "build", "--package-path", TOP, "-c", "release", "--static-swift-stdlib"]
    subprocess.run(build, check=True, stdout=2)
    shown = subprocess.run([*build, "--show-bin-path"], check=True, capture_output=True, text=True)
    return pathlib.Path(shown.stdout.strip())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Servers:
    """What was started in the folder `work`; `stop` ends it."""

    def __init__(self, work):
        self.work = work
        self.bin = binaries()
        self.config = work / "config.json"
        self.ports = {}
        self.processes = []

    def configure(self, *, extra=None, **sections):
        """Writes the configuration: each service named with its settings, on a free port; `extra` are settings of all."""
        sections = {name: dict(settings) for name, settings in sections.items()}
        for name, settings in sections.items():
            self.ports[name] = port = free_port()
            settings |= {"listen": f"127.0.0.1:{port}", "url": f"http://127.0.0.1:{port}"}
        common = {"environment": "development", "data_dir": str(self.work / "data")}
        self.config.write_text(json.dumps(common | (extra or {}) | sections))

    def start(self, name):
        """Starts a configured service; its process, when it is ready."""
        with self.log(name).open("wb") as log:
            process = subprocess.Popen([self.bin / name, "--config", self.config], stderr=log)
        self.processes.append(process)
        self.wait_for(self.ports[name], "/readyz", name)
        return process

    def log(self, name):
        return self.work / f"{name}.log"

    def create_sessions(self, count, agents):
        """`(user_id, session_id, user_type)` of each."""
        made = subprocess.run(
            [
                self.bin / "auth", "create-sessions", "--config", self.config,
                "--count", str(count), "--agents", str(agents),
            ],
            check=True, capture_output=True, text=True,
        )
        return [line.split() for line in made.stdout.splitlines()]

    def start_nginx(self, locations, main=""):
        """Starts nginx with one worker; its port and the worker's process id."""
        port = free_port()
        config = self.work / "nginx.conf"
        config.write_text(f"""
            daemon off; worker_processes 1; pid {self.work}/nginx.pid; error_log {self.log("nginx")} warn; {main}
            events {{ worker_connections 1024; }}
            http {{
                access_log off; keepalive_requests 1000000000; client_body_temp_path {self.work}/body;
                server {{
                    listen 127.0.0.1:{port};
                    {locations}
                }}
            }}""")
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        nginx = subprocess.Popen([program, "-p", self.work, "-c", config])
        self.processes.append(nginx)
        self.wait_for(port, "/", "nginx")
        children = pathlib.Path(f"/proc/{nginx.pid}/task/{nginx.pid}/children")
        return port, int(children.read_text().split()[0])

    def wait_for(self, port, path, name):
        for _ in range(100):
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read()
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{name} does not answer on port {port}; its log:\n{self.log(name).read_text()}")

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()


def run(kind):
    """Starts a benchmark's servers, in a folder of their own; what its `run` returned."""
    with tempfile.TemporaryDirectory() as work:
        benchmark = kind(pathlib.Path(work))
        try:
            benchmark.start_all()
            return benchmark.run()
        finally:
            benchmark.stop()
