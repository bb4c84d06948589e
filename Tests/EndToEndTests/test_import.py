"""An embedded installation moves into Redis (`deploy/import-sqlite`) and loses nothing."""

import contextlib
import json
import pathlib
import secrets
import signal
import sqlite3
import subprocess
import tempfile
import time

import pytest

from accounts import Accounts
from redis_server import RedisServer
from routing import Floor, assigned_to, conversation_of, explanation, listed, set_status, write
from stack import ROOT, SERVICES, Stack, binaries
from uploads import send_file, stored
from waiting import until

# Entries of the conversation that the import is killed in.
LONG = 60_000
FILES = ("auth.db", "presence.sqlite", "files.sqlite", "gateway/log.db")


class Installation:
    """A stack that begins on SQLite, with what it is to keep."""

    def __init__(self, directory):
        self.stack = Stack({"presence.agent_capacity": 1, "presence.agent_grace_ms": 60_000})
        self.data = self.stack.directory / "data"
        self.redis = RedisServer(directory)

    def fill(self):
        """Accounts, sessions, conversations of all states, recalls, a file, an assignment, a queue."""
        floor = self.floor = Floor(self.stack, customers=6, agents=6)
        self.person = Accounts(self.stack, floor.admin).create()
        self.served, self.waiting, self.closed = (floor.customer() for _ in range(3))
        self.agent, self.other = floor.agent(), floor.agent()
        support = floor.arrive(self.agent)
        chat = self.stack.chat(self.served)
        self.file = stored(send_file(self.stack, self.served["session_id"], b"bytes that stay" * 1000))
        self.ack = write(chat, "kept", client_id="kept")
        assert assigned_to(floor, self.served) == self.agent["user_id"]
        for number in range(5):
            write(chat, f"message {number} \u4f60\u597d \"quoted\"", client_id=f"id {number} \"\u00e9")
        write(chat, "with a file", client_id="file", file_id=self.file["file_id"])
        gone = write(chat, "to be recalled", client_id="gone")
        self.recall = {"type": "Recall", "conversation_id": gone["conversation_id"], "target_seq": gone["seq"]}
        chat.send({**self.recall, "client_id": "recall"})
        chat.expect("Ack", client_id="recall")
        support.expect("Chat", content="to be recalled")
        support.send({"type": "Read", "conversation_id": gone["conversation_id"], "seq": 4})
        chat.expect("Read", user_id=self.agent["user_id"], seq=4)
        # One agent is full and the other one busy: who comes now waits.
        set_status(self.stack, self.other, "Busy")
        other = floor.arrive(self.other)
        queued = self.stack.chat(self.waiting)
        write(queued, "nobody is there", client_id="queued")
        queued.expect("Queued")
        ended = self.stack.chat(self.closed)
        write(ended, "bye", client_id="bye")
        ended.expect("Queued")
        answer = self.stack.http(
            "POST", f"/api/conversations/{conversation_of(self.closed)}/close", json={},
            session=floor.admin["session_id"],
        )
        assert answer.status == 200, answer
        ended.expect("ConversationClosed")
        write_to = {"to_user_id": self.other["user_id"], "client_id": "colleagues"}
        write(support, "between agents", **write_to)
        other.expect("Chat", content="between agents")
        set_status(self.stack, self.agent, "Busy")
        for one in (chat, support, queued, ended, other):
            one.close()

    def leave_due(self):
        """A message that presence has not heard of when everything stops."""
        assert self.stack.presence.stop() == 0
        self.due = self.floor.customer()
        with self.stack.chat(self.due) as chat:
            write(chat, "is anybody there", client_id="due")

    @property
    def logins(self):
        return (self.served, self.waiting, self.closed, self.agent, self.other, self.floor.admin)

    def seen(self):
        """What everybody sees of it, byte by byte where it is a log."""
        stack, admin = self.stack, self.floor.admin["session_id"]
        found = {}
        for login in (self.served, self.waiting, self.closed):
            path = f"/api/messages?conversation_id={conversation_of(login)}&limit=200"
            for session in (login["session_id"], admin):
                answer = stack.http("GET", path, session=session)
                assert answer.status == 200, answer
                found[path, session] = answer.body
            routing = stack.http("GET", f"/api/conversations/{conversation_of(login)}/routing", session=admin)
            assert routing.status == 200, routing
            found["decisions", login["user_id"]] = routing.json["decisions"]
        for login in self.logins:
            assert stack.http("GET", "/auth/session", session=login["session_id"]).status in (200, 404)
            found["list", login["user_id"]] = listed(stack, login)
        found["all"] = [
            one for one in listed(stack, self.floor.admin, "scope=all", limit=2)
            if one["customer_id"] is None or one["customer_id"] in {login["user_id"] for login in self.logins}
        ]
        answer = stack.http("GET", self.file["url"], session=self.served["session_id"])
        assert answer.status == 200, answer
        found["file"] = answer.body
        return found

    # Importing

    def command(self, *arguments, **options):
        return subprocess.run(
            [str(ROOT / "deploy/import-sqlite"), *arguments], capture_output=True, text=True, timeout=60,
            env={**self.stack.environment, "BIN_DIR": str(binaries())}, stdin=subprocess.DEVNULL, **options,
        )

    def run_import(self):
        return self.command(
            "--from", str(self.data), "--store", self.redis.url, "--config", str(self.stack.config)
        )

    def single(self, service, **environment):
        """One service's part of it."""
        return subprocess.Popen(
            [str(binaries() / service), "import-sqlite", "--from", str(self.data), "--config", str(self.stack.config)],
            env={**self.stack.environment, "STORE": self.redis.url, **environment}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )

    def refused(self, service, word, **environment):
        process = self.single(service, **environment)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 2 and word in output, (process.returncode, output)

    def use_redis(self):
        for name in SERVICES:
            self.stack.processes[name].environment = {**self.stack.environment, "STORE": self.redis.url}

    def contents(self):
        """All rows of all source databases."""
        found = {}
        for name in FILES:
            with contextlib.closing(sqlite3.connect(f"file:{self.data / name}?mode=ro", uri=True)) as database:
                found[name] = list(database.iterdump())
        return found


@pytest.fixture
def installation():
    with tempfile.TemporaryDirectory() as directory:
        one = Installation(pathlib.Path(directory))
        one.redis.start()
        try:
            yield one
            assert set(one.stack.stop().values()) <= {0}
            assert one.stack.leaks() == []
        except BaseException:
            one.stack.print_logs()
            raise
        finally:
            one.stack.remove()
            one.redis.kill()


def restart(stack):
    for name in SERVICES:
        stack.processes[name].start(wait=False)
    for name in SERVICES:
        stack.processes[name].wait_ready()
    stack.nginx.start()


def test_an_installation_moves_and_loses_nothing(installation):
    stack, redis = installation.stack, installation.redis
    stack.start()
    installation.fill()
    for service in SERVICES:
        installation.refused(service, "in use by process")
    result = installation.run_import()
    assert result.returncode == 2 and "in use by process" in result.stderr, result
    assert redis.command("DBSIZE") == "0", "something was imported while the services ran"
    installation.refused("auth", "must be redis://", STORE=f"sqlite:{installation.data}")
    before = installation.seen()
    installation.leave_due()
    assert set(stack.stop().values()) == {0}
    rows = installation.contents()

    result = installation.run_import()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "presence: user_status: 2" in result.stdout, result.stdout
    assert installation.contents() == rows, "the source has changed"
    # Run again at once it finds what is done, and does not touch it.
    again = installation.run_import()
    assert again.returncode == 2 and "auth: was imported before" in again.stdout, again.stdout + again.stderr
    assert "an earlier import's log" in again.stderr, again

    installation.use_redis()
    restart(stack)
    assert installation.seen() == before
    check_life(installation)
    assert redis.command("EXISTS", "{log:import}") == "1"
    for service, word in (("auth", "nothing is merged"), ("presence", "nothing is merged")):
        # Still stopped files, but the target is in use.
        installation.refused(service, word)
    installation.refused("gateway", "nothing is merged")


def check_life(installation):
    """The stack goes on where it was."""
    stack, served = installation.stack, installation.served
    chat = stack.chat(served)
    assert write(chat, "kept", client_id="kept") == installation.ack
    chat.send({**installation.recall, "client_id": "recall"})
    chat.expect("Ack", client_id="recall")
    head = len(json.loads(stack.http(
        "GET", f"/api/messages?conversation_id={conversation_of(served)}&limit=200", session=served["session_id"]
    ).body)["messages"])
    assert write(chat, "after it", client_id="new")["seq"] == head + 1
    person = installation.person
    assert stack.login(person["user_id"], person["password"], person["user_type"])
    # What was due when everything stopped is seen to.
    due = conversation_of(installation.due)
    until(lambda: explanation(stack, installation.floor.admin, due)["decisions"], "presence knows of it", timeout=20)
    # The agent whose slot is taken is still busy; the one who becomes free gets the one who waits.
    support = installation.floor.arrive(installation.other)
    set_status(stack, installation.other, "Online")
    assert assigned_to(installation.floor, installation.waiting) == installation.other["user_id"]
    assert assigned_to(installation.floor, served) == installation.agent["user_id"]
    support.close()
    chat.close()


def test_an_import_that_is_killed_is_run_again(installation):
    stack, redis = installation.stack, installation.redis
    stack.start()
    installation.fill()
    before = installation.seen()
    installation.leave_due()
    assert set(stack.stop().values()) == {0}
    name, last = lengthen(installation)

    process = installation.single("gateway")
    stream = "{" + name + "}"
    until(lambda: int(redis.command("XLEN", stream)) > 2000, "the import is in the middle", interval=0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    copied = int(redis.command("XLEN", stream))
    assert 2000 < copied < LONG, "it was not killed in the middle"
    # No gateway takes the half of a log for a whole one.
    gateway = subprocess.run(
        [str(binaries() / "gateway"), "--config", str(stack.config)], capture_output=True, text=True, timeout=30,
        env={**stack.environment, "STORE": redis.url}, stdin=subprocess.DEVNULL,
    )
    assert gateway.returncode == 1 and "import" in gateway.stderr, gateway

    result = installation.run_import()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "goes on" in result.stdout, result.stdout
    assert int(redis.command("XLEN", stream)) == LONG
    assert last in redis.command("XREVRANGE", stream, "+", "-", "COUNT", "1")
    installation.use_redis()
    restart(stack)
    assert installation.seen() == before
    check_life(installation)


def lengthen(installation):
    """Puts a conversation that takes an import some time into the log, as the gateway would have stored it."""
    user = f"long-{secrets.token_hex(4)}"
    name = f"c:{user}"
    with contextlib.closing(sqlite3.connect(installation.data / "gateway/log.db")) as database, database:
        row, = database.execute("SELECT max(i) FROM log").fetchone()
        number, = database.execute("SELECT max(c) + 1 FROM conversation").fetchone()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        database.execute(
            "INSERT INTO conversation (c, name, customer, state, changed) VALUES (?, ?, ?, 'closed', ?)",
            (number, name, user, row + 1),
        )
        database.execute("INSERT INTO member (u, c, delivered) VALUES (?, ?, 0)", (user, number))
        text = ""

        def rows():
            nonlocal text
            for sequence in range(1, LONG + 1):
                text = (
                    f'"type":"Chat","id":"{sequence:026d}","conversation_id":"{name}","timestamp":"{stamp}",'
                    f'"from_user_id":"{user}","to_user_id":null,"content_type":"Text","content":"{"x" * 200}",'
                    f'"client_id":"{sequence}"}}'
                )
                yield row + sequence, number, sequence, sequence, text

        database.executemany("INSERT INTO log (i, c, q, h, b) VALUES (?, ?, ?, ?, ?)", rows())
    return name, f"{LONG:026d}"
