"""kill -9 of files at any point of uploads and deletions, by several clients at once: nothing half, nothing lost."""

import concurrent.futures
import os
import random
import shutil
import sqlite3
import threading
import time

import pytest

from file_client import FileClient
from file_store import FileStore
from http_client import request
from stack import stack_with

KILLS = 1000 if os.environ.get("SOAK") == "1" else 200
CLIENTS = 5
KIB = 1024
# Piece sizes of files' writes, and what lies around them.
SIZES = (1, 100, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 200 * KIB, 700 * KIB)
KINDS = ("base64", "multipart", "create", "create_with_upload", "patch", "patch", "delete", "terminate", "head")
SETTINGS = {"files.tus_uploads_per_user_max": 1000, "files.user_files_max": 100_000, "log.level": "warning"}


class Aim:
    """Says when a request of a chosen kind has come to a chosen place."""

    def __init__(self):
        self.target, self.reached = None, threading.Event()

    def at(self, target):
        self.reached.clear()
        self.target = target

    def passed(self, kind, place):
        if self.target == (kind, place):
            self.reached.set()


def store_of(stack):
    return FileStore(stack.directory / "data/files", stack.directory / "data/files.sqlite")


def test_no_kill_leaves_anything_half_or_takes_what_was_answered(stack, seed):
    chosen = random.Random(seed)
    # Some that all clients send, so that blobs are shared, and some of each client's own.
    shared = [chosen.randbytes(size) for size in SIZES]
    aim = Aim()
    clients = []
    for login in stack.sessions(CLIENTS, 0)[0]:
        own = [chosen.randbytes(size) for size in SIZES]
        clients.append(FileClient(
            stack.ports["files"], login, shared + own, chosen.random(), aim.passed
        ))
    found, aimed = 0, 0
    for number in range(KILLS):
        if chosen.random() < 0.6:
            aim.at((chosen.choice(KINDS), chosen.choice(("middle", "end", "end"))))
        else:
            aim.at(None)
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as threads:
            lives = [threads.submit(client.work) for client in clients]
            if aim.target:
                aimed += aim.reached.wait(timeout=0.3)
                # Syncs, renames and commits take about as long.
                time.sleep(chosen.random() * 0.004)
            else:
                time.sleep(chosen.random() * 0.1)
            stack.files.kill()
            for life in lives:
                life.result()
        left = store_of(stack)
        found += bool(left.inconsistencies())
        stack.files.start()
        store = store_of(stack)
        assert store.inconsistencies() == [], f"after kill {number}"
        for client in clients:
            client.adopt(store)
    for client in clients:
        client.read_all()
    done = {kind: sum(client.done[kind] for client in clients) for kind in clients[0].done}
    print(f"{KILLS} kills, {aimed} aimed, {found} left something to mend;", done)
    # Else the kills came where nothing happens, or the clients did nothing.
    assert found > KILLS // 20 and aimed > KILLS // 4 and min(done.values()) > 10
    for client in clients:
        for name in list(client.files):
            assert request(
                stack.ports["files"], "DELETE", f"/api/files/{name}", session=client.session
            ).status == 204
    assert not store_of(stack).files and not store_of(stack).blobs


# The look at the store itself


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A sound store that no service uses: a file, and uploads that are open."""
    copy = tmp_path_factory.mktemp("sound")
    with stack_with({}) as stack:
        login = stack.sessions(1, 0)[0][0]
        client = FileClient(stack.ports["files"], login, [b"a" * 1000, b"b" * 2000], 1, lambda *_: None)
        client.read_all()
        for act in (client.send_form, client.create, client.create, client.create_with_upload):
            act()
        stack.files.stop()
        shutil.copytree(stack.directory / "data", copy / "data")
        stack.files.start()
    return copy / "data"


def some(folder):
    return sorted(path for path in folder.glob("**/*") if path.is_file())[0]


def sql(text):
    def change(data):
        with sqlite3.connect(data / "files.sqlite") as database:
            assert database.execute(text).rowcount > 0
        database.close()

    return change


def copy_of(folder, target):
    return lambda data: shutil.copy(some(data / folder), data / target)


def change_a_byte(data):
    path = some(data / "files/blobs")
    path.write_bytes(b"c" + path.read_bytes()[1:])


@pytest.mark.parametrize("break_it, problem", [
    (copy_of("files/blobs", "files/blobs/00/" + "0" * 64), "blob without record"),
    (lambda data: some(data / "files/blobs").unlink(), "record without blob"),
    (lambda data: os.truncate(some(data / "files/blobs"), 10), "10 bytes, not"),
    (change_a_byte, "another content"),
    (copy_of("files/blobs", "files/temporary/a"), "temporary file a"),
    (copy_of("files/uploads", "files/uploads/a"), "partial file without open upload a"),
    (lambda data: some(data / "files/uploads").unlink(), "open upload without file"),
    (lambda data: os.truncate(some(data / "files/uploads"), 5000), "5000 bytes of"),
    (lambda data: os.link(some(data / "files/uploads"), data / "files/link"), "is a blob too"),
    (sql("UPDATE file_usage SET bytes = bytes + 1"), "usage"),
    (sql("DELETE FROM file_usage"), "usage"),
    (sql("UPDATE partial_upload SET state = 1 WHERE state = 0"), "complete upload without record"),
    (sql("UPDATE file SET size = size + 1"), "not"),
])
def test_the_look_at_the_store_sees_each_breach(sound, tmp_path, break_it, problem):
    data = tmp_path / "data"
    shutil.copytree(sound, data)
    look = lambda: FileStore(data / "files", data / "files.sqlite").inconsistencies()
    assert look() == []
    break_it(data)
    assert any(problem in one for one in look()), look()
