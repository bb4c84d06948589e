"""Two instances of files on one directory and one Redis are one files, through any kill."""

import concurrent.futures
import hashlib
import http.client
import os
import random
import secrets
import subprocess
import threading
import time

import pytest

from file_client import FileClient, Gone
from file_store import FileStore
from http_client import assert_problem, request
from redis_server import RedisServer
from stack import Process, Stack, binaries, free_ports
from uploads import OCTETS, UPLOAD, UPLOADS, VERSION, document
from waiting import until

SOAK = os.environ.get("SOAK") == "1"
KILLS, RACES = (300, 2000) if SOAK else (40, 200)
CLIENTS = 4
KIB = 1024
SIZES = (1, 100, 64 * KIB, 64 * KIB + 1, 300 * KIB)
SETTINGS = {
    "files.tus_uploads_per_user_max": 1000, "files.user_files_max": 100_000, "files.uploads_per_user_max": 100,
}


class Instances:
    """Two files, `0` and `1`, and the auth that they ask, without anything else of the stack."""

    def __init__(self, directory):
        self.redis = RedisServer(directory)
        self.stack = Stack(SETTINGS, environment={"STORE": self.redis.url})
        self.ports = [self.stack.ports["files"], *free_ports(1)]
        self.processes = [self.instance(port) for port in self.ports]

    def instance(self, port, **environment):
        return Process(
            f"files-{port}", [str(binaries() / "files"), "--config", str(self.stack.config)],
            str(self.stack.directory / f"files-{port}.log"),
            {**self.stack.environment, "FILES_LISTEN": f"127.0.0.1:{port}", **environment},
            lambda: request(port, "GET", "/readyz", timeout=2).status == 200,
        )

    def __enter__(self):
        self.redis.start()
        self.stack.auth.start()
        # Both at once on an empty directory.
        for process in self.processes:
            process.start(wait=False)
        for process in self.processes:
            process.wait_ready()
        self.logins = self.stack.sessions(CLIENTS, 0)[0]
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.stack.print_logs()
        running = [*self.processes, self.stack.auth]
        statuses = {process.name: process.stop() for process in running if process.running}
        self.redis.kill()
        leaks = self.stack.leaks()
        self.stack.remove()
        if kind is None:
            assert set(statuses.values()) == {0}, statuses
            assert leaks == []

    def call(self, index, method, path, login=None, **options):
        session = (login or self.logins[0])["session_id"]
        return request(self.ports[index], method, path, session=session, **options)

    def send(self, index, content, login=None):
        answer = self.call(index, "POST", UPLOAD, login, json=document(content))
        assert answer.status == 201, answer
        return answer.json

    def ready(self):
        """Both answer."""
        for port in self.ports:
            until(lambda port=port: request(port, "GET", "/readyz", timeout=5).status == 200, "it is ready", timeout=20)

    def look(self):
        """What each instance's copy says, held against the directory; no request is in hand."""
        self.ready()
        return [self.store_of(index) for index in (0, 1)]

    def store_of(self, index):
        # So that its copy has all that was stored.
        assert request(self.ports[index], "GET", "/readyz", timeout=5).status == 200
        descriptors = f"/proc/{self.processes[index].child.pid}/fd"

        def copy():
            # Some are closed meanwhile, which is asked about again.
            paths = [os.readlink(f"{descriptors}/{name}") for name in os.listdir(descriptors)]
            return next(path for path in paths if path.endswith(".db"))

        return FileStore(self.stack.directory / "data/files", until(copy, "its copy is open"))

    def inconsistencies(self):
        return [problem for store in self.look() for problem in store.inconsistencies()]

    def restart(self):
        for process in self.processes:
            if process.running:
                process.kill()
            process.start()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with Instances(tmp_path_factory.mktemp("redis")) as instances:
        yield instances


def test_what_one_has_taken_the_other_one_gives(pair):
    content = secrets.token_bytes(200_000)
    for here, there in ((0, 1), (1, 0)):
        file = pair.send(here, content)
        answer = pair.call(there, "GET", file["url"], headers={"Range": "bytes=100-"})
        assert (answer.status, answer.body) == (206, content[100:])
        assert pair.call(there, "GET", f"/api/files/{file['file_id']}").json == file
        url = pair.call(here, "POST", f"/api/files/{file['file_id']}/url").json["url"]
        pair.stack.secrets.add(url.rpartition("signature=")[2])
        assert request(pair.ports[there], "GET", url).body == content
        assert pair.call(there, "DELETE", f"/api/files/{file['file_id']}").status == 204
        assert pair.call(here, "GET", file["url"]).status == 404
    assert pair.inconsistencies() == []


def test_the_same_content_at_both_at_once_is_one_blob(pair):
    for number in range(20):
        content = secrets.token_bytes(1000 + 10_000 * number)
        start = threading.Barrier(4)

        def send(index):
            start.wait()
            return pair.send(index % 2, content, pair.logins[index])

        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            files = list(threads.map(send, range(4)))
        assert len({file["file_id"] for file in files}) == 4
        assert {file["sha256"] for file in files} == {hashlib.sha256(content).hexdigest()}
        for index, file in enumerate(files):
            assert pair.call((index + 1) % 2, "GET", file["url"], pair.logins[index]).body == content
    assert pair.inconsistencies() == []


def test_a_deletion_and_an_upload_of_the_same_content_at_once_leave_a_good_file(pair, seed):
    chosen = random.Random(seed)
    content = chosen.randbytes(5000)
    file = pair.send(0, content)
    for number in range(RACES):
        here, there = (0, 1) if chosen.random() < 0.5 else (1, 0)
        early = (chosen.random() - 0.5) * 0.01
        start = threading.Barrier(2)

        def delete():
            start.wait()
            time.sleep(max(0, -early))
            return pair.call(here, "DELETE", f"/api/files/{file['file_id']}").status

        def send():
            start.wait()
            time.sleep(max(0, early))
            return pair.send(there, content)

        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            deletion, upload = threads.submit(delete), threads.submit(send)
            assert deletion.result() == 204
            file = upload.result()
        for index in (0, 1):
            answer = pair.call(index, "GET", file["url"])
            assert (answer.status, answer.body) == (200, content), f"after {number} races: {answer}"
    assert pair.inconsistencies() == []
    assert pair.call(0, "DELETE", f"/api/files/{file['file_id']}").status == 204
    assert hashlib.sha256(content).hexdigest() not in pair.look()[0].blobs


def test_a_part_that_stands_still_at_one_goes_on_at_the_other(pair):
    content = secrets.token_bytes(300_000)
    created = pair.call(0, "POST", UPLOADS, headers={**VERSION, "Upload-Length": str(len(content))})
    path = created.header("Location")
    stalled = http.client.HTTPConnection("127.0.0.1", pair.ports[0], timeout=30)
    stalled.putrequest("PATCH", path)
    for name, value in {
        **VERSION, "X-Session-Id": pair.logins[0]["session_id"], "Content-Type": OCTETS, "Upload-Offset": "0",
        "Content-Length": str(len(content)),
    }.items():
        stalled.putheader(name, value)
    stalled.endheaders(content[:150_000])
    until(lambda: int(pair.call(1, "HEAD", path, headers=VERSION).header("Upload-Offset")) >= 65536, "some has come")
    offset = until(lambda: goes_on(pair, path, content), "the other one takes it", timeout=10)
    try:
        stalled.send(content[150_000:])
        assert stalled.getresponse().status == 423
    except OSError:
        pass
    stalled.close()
    assert offset >= 65536
    assert pair.call(0, "GET", path.replace("/api/files/uploads", "/files")).body == content
    assert pair.inconsistencies() == []


def goes_on(pair, path, content):
    """Sends the rest to the second instance, as clients do that are told to come again."""
    offset = int(pair.call(1, "HEAD", path, headers=VERSION).header("Upload-Offset"))
    answer = pair.call(
        1, "PATCH", path, body=content[offset:],
        headers={**VERSION, "Content-Type": OCTETS, "Upload-Offset": str(offset)},
    )
    assert answer.status in (204, 423), answer
    return answer.status == 204 and offset


def test_no_stranger_starts_on_the_directory_or_the_database(pair):
    pair.send(0, b"something")
    other = pair.stack.directory / "other"
    for environment, word in (
        ({"STORE": f"sqlite:{pair.stack.directory}"}, "in use"),
        ({"FILES_DIRECTORY": str(other)}, "do not belong together"),
    ):
        port, = free_ports(1)
        one = pair.instance(port, **environment)
        ended = subprocess.run(one.command, env=one.environment, capture_output=True, text=True, timeout=30)
        assert ended.returncode == 1 and word in ended.stdout + ended.stderr, ended
    assert pair.inconsistencies() == []


def test_without_redis_nothing_is_taken_or_given(pair):
    file = pair.send(0, b"content")
    pair.redis.kill()
    try:
        assert_problem(pair.call(1, "GET", file["url"]), 503)
        assert_problem(pair.call(0, "POST", UPLOAD, json=document(b"more")), 503)
        assert request(pair.ports[0], "GET", "/readyz").status == 503
    finally:
        pair.redis.start()
    pair.ready()
    assert pair.call(1, "GET", file["url"]).body == b"content"


class Wanderer(FileClient):
    """Each request goes to another instance."""

    def __init__(self, ports, *others):
        super().__init__(ports[0], *others)
        self.ports = ports

    def call(self, *request_, **options):
        self.connection.close()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.random.choice(self.ports), timeout=30)
        answer = super().call(*request_, **options)
        if answer[0] in (423, 503):
            raise Gone
        return answer

    def work_alone(self, port, count):
        """Asserts what it knows, and does some more, with one instance."""
        ports, self.ports = self.ports, [port]
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            self.recover()
            for _ in range(count):
                self.act()
        except Gone:
            raise AssertionError("the other instance does not answer") from None
        finally:
            self.ports = ports
            self.connection.close()


def test_no_kill_of_either_or_of_redis_leaves_anything_half_or_takes_what_was_answered(pair, seed):
    chosen = random.Random(seed)
    pair.restart()
    shared = [chosen.randbytes(size) for size in SIZES]
    clients = []
    for login in pair.logins:
        own = [chosen.randbytes(size) for size in SIZES]
        clients.append(Wanderer(pair.ports, login, shared + own, chosen.random(), lambda *_: None))
        for row in pair.look()[0].files.values():
            if row["uploader_id"] == login["user_id"]:
                clients[-1].files[row["file_id"]] = row["sha256"]
    found = 0
    for number in range(KILLS):
        victim = chosen.choice([*pair.processes, *pair.processes, pair.redis])
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as threads:
            lives = [threads.submit(client.work) for client in clients]
            time.sleep(chosen.random() * 0.4)
            victim.kill()
            for life in lives:
                life.result()
        if victim is pair.redis:
            victim.start()
            pair.ready()
            # What they did not hear of they find out at the next collection, or start.
            pair.restart()
        else:
            survivor = 1 - pair.processes.index(victim)
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as threads:
                for life in [threads.submit(client.work_alone, pair.ports[survivor], 5) for client in clients]:
                    life.result()
            problems = pair.store_of(survivor).inconsistencies()
            found += bool(problems)
            assert not [problem for problem in problems if problem.startswith("record without")], problems
            victim.start()
        stores = pair.look()
        for store in stores:
            assert store.inconsistencies() == [], f"after kill {number}, of {victim}"
        for client in clients:
            client.adopt(stores[0])
    for client in clients:
        client.read_all()
    done = {kind: sum(client.done[kind] for client in clients) for kind in clients[0].done}
    print(f"{KILLS} kills, {found} left something to mend;", done)
    assert found > KILLS // 20 and min(done.values()) > 10
    for client in clients:
        for index, name in enumerate(list(client.files)):
            answer = request(pair.ports[index % 2], "DELETE", f"/api/files/{name}", session=client.session)
            assert answer.status == 204
    store = pair.look()[0]
    assert not store.files and not store.blobs
