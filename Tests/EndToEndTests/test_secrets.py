"""No log and no database holds a password, a session id, a token or a secret, whatever was done and whatever failed.

One run does everything that anything secret takes part in, with random ones only, and then they are looked for in
every file that the stack has written.
"""

import base64
import contextlib
import hashlib
import secrets
import sqlite3
import threading
import urllib.parse

import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus

from accounts import Accounts, random_name, random_password
from chat_client import Chat
from commands import curl
from http_client import request
from routing import write
from stack import Stack
from tokens import signed, token
from waiting import until

EXCHANGE_SECRETS = {
    "auth.exchange_secret": secrets.token_hex(24), "auth.exchange_secret_previous": secrets.token_hex(24),
}
SECRET_BYTES_MIN = 16


class Run:
    """Everything once, and what was secret about it."""

    def __init__(self, stack):
        self.stack = stack
        self.secrets = stack.secrets
        self.secrets.update(EXCHANGE_SECRETS.values())
        administrator = {"user_id": random_name("kefu"), "password": self.new_password(), "user_type": "Kefu"}
        self.command("create-user", administrator, "--user-type", "Kefu", "--admin")
        self.accounts = Accounts(stack, stack.login(administrator["user_id"], administrator["password"]))
        self.person, self.agent = self.accounts.person(), self.accounts.person("Kefu")

    def new_password(self):
        password = random_password()
        assert len(password) >= SECRET_BYTES_MIN
        self.secrets.add(password)
        return password

    def command(self, name, person, *arguments):
        file = self.stack.directory / "given-password"
        file.write_text(person["password"])
        file.chmod(0o600)
        try:
            done = self.stack.run(
                "auth", name, "--user-id", person["user_id"], "--password-file", str(file), *arguments
            )
        finally:
            file.unlink()
        assert person["password"] not in done.stdout + done.stderr

    def keep(self, answer):
        """Remembers the session that an answer gives."""
        if answer.status == 200 and "session_id" in answer.json:
            self.secrets.add(answer.json["session_id"])
        return answer

    def everything(self):
        self.logins()
        self.passwords()
        self.sessions()
        self.tokens()
        self.sockets()
        for service in ("gateway", "auth", "presence", "files"):
            self.failure_of(service)
        self.sockets()

    def logins(self):
        for _ in range(3):
            wrong = {"username": self.person["user_id"], "password": self.new_password()}
            assert self.stack.http("POST", "/auth/login", json=wrong).status == 401
        # People type passwords into the wrong field, and into the address.
        mistyped = self.new_password()
        self.stack.http("POST", "/auth/login", json={"username": mistyped, "password": self.new_password()})
        self.stack.http("POST", "/auth/login", json={"password": self.new_password(), "user_name": mistyped})
        self.stack.http("POST", "/auth/login", body='{"password":"' + self.new_password(), headers={
            "Content-Type": "application/json",
        })
        self.stack.http("POST", "/auth/login?" + urllib.parse.urlencode(wrong))
        self.accounts.login(self.person)
        self.keep(self.stack.http("POST", "/auth/guest"))

    def passwords(self):
        changed = {**self.person, "password": self.new_password()}
        path = "/api/users/me/password"
        for old, status in ((self.new_password(), 403), (self.person["password"], 204)):
            body = {"old_password": old, "new_password": changed["password"]}
            assert self.accounts.call("PUT", path, body, by=self.person).status == status
        # Refused ones were passwords as well.
        self.accounts.call("PUT", path, {"old_password": 7, "new_password": self.new_password() * 30}, by=self.person)
        self.accounts.call("PUT", path, {"password": self.new_password()}, by=self.person)
        reset = {**changed, "password": self.new_password()}
        self.accounts.done(
            "PUT", f"/api/users/{self.person['user_id']}/password", {"new_password": reset["password"]}
        )
        by_command = {**reset, "password": self.new_password()}
        self.command("reset-password", by_command)
        self.person = self.accounts.login(by_command)
        taken = {"user_id": self.person["user_id"], "user_type": "Kehu", "password": self.new_password()}
        assert self.accounts.call("POST", "/api/users", taken).status == 409

    def sessions(self):
        """In each place where a session may be, and in some where it may not."""
        for _ in range(2):
            answer = self.keep(self.stack.http("POST", "/auth/session/refresh", session=self.person["session_id"]))
            self.person["session_id"] = answer.json["session_id"]
        held = self.person["session_id"]
        for path in ("/auth/session", "/api/users/me", "/api/presence/me", "/api/conversations", "/api/files/none"):
            for headers in (
                {"X-Session-Id": held}, {"Authorization": f"Bearer {held}"}, {"Cookie": f"a=b; session_id={held}"},
                {"Authorization": f"Basic {held}"}, {"X-Session-Id": held + "\t!"},
            ):
                self.stack.http("GET", path, headers=headers)
        url = f"http://127.0.0.1:{self.stack.port}"
        assert curl("-b", f"session_id={held}", url + "/auth/session").status == 200
        unknown = secrets.token_urlsafe(32)
        self.secrets.add(unknown)
        for path in ("/api/users/me", "/api/presence/me", "/api/conversations", "/api/files/none"):
            assert self.stack.http("GET", path, session=unknown).status == 401
        ended = self.accounts.login(self.person)
        self.stack.http("POST", "/auth/logout", json={"session_id": ended["session_id"]})
        self.stack.http("POST", "/auth/logout", json={"session_id": unknown, "x": 1})

    def tokens(self):
        name = random_name("site")
        good = token(EXCHANGE_SECRETS["auth.exchange_secret"], name)
        texts = [
            good, good, token(EXCHANGE_SECRETS["auth.exchange_secret_previous"], name), token("another-secret", name),
            token(EXCHANGE_SECRETS["auth.exchange_secret"], name, exp=7), signed({"alg": "none"}, {"sub": name}, ""),
        ]
        for text in texts:
            self.secrets.add(text)
            self.keep(self.stack.http("POST", "/auth/exchange", json={"token": text}))

    def sockets(self):
        for login in (self.person, self.agent):
            with self.stack.chat(login) as chat:
                write(chat, "hello", **({} if login is self.person else {"to_user_id": self.person["user_id"]}))
                second = self.accounts.login(login)
                chat.send({"type": "Session", "session_id": second["session_id"]})
                chat.send({"type": "Chat", "content": "x", "session_id": second["session_id"]})
                chat.send({"type": second["session_id"]})
                chat.send('{"type":"Session","session_id":"' + second["session_id"])
                chat.settle()
        self.handshakes()

    def handshakes(self):
        """Good and bad ones, with the session wherever a client may put it."""
        held, user = self.person["session_id"], self.person["user_id"]
        for query, headers in (
            ({"session_id": held}, {}), ({"session_token": held}, {}), ({}, {"X-Session-Id": held}),
            ({"session_id": held, "user_id": "somebody-else"}, {}), ({"session_id": held, "sync": "x"}, {}),
            ({"session_id": held[:-1], "user_id": user}, {}), ({"session_id": held}, {"Origin": "http://evil.example"}),
            ({}, {"Cookie": f"session_id={held}", "Origin": f"http://127.0.0.1:{self.stack.port}"}),
        ):
            with contextlib.suppress(InvalidStatus, InvalidMessage, OSError):
                Chat(self.stack.port, query=query, headers=headers).close()
        # Without an upgrade, and where it is of no use: nginx's error log would quote such a request.
        for path in ("/ws", "/ws/", "/wsx", "/api/messages", "/"):
            self.stack.http("GET", f"{path}?user_id={user}&session_id={held}")

    def failure_of(self, service):
        """The service is killed while requests run, so that nginx and the others have errors to log."""
        stop = threading.Event()

        def run():
            number = 0
            while not stop.is_set():
                number += 1
                with contextlib.suppress(OSError, AssertionError, InvalidStatus, InvalidMessage, EOFError):
                    self.handshakes() if number % 4 == 0 else self.requests()

        runners = [threading.Thread(target=run) for _ in range(3)]
        process = self.stack.processes[service]
        before = self.unavailable()
        for runner in runners:
            runner.start()
        process.kill()
        # Twice as many as run at once: some came while it was away.
        until(lambda: self.unavailable() - before >= 6, f"requests fail without {service}", timeout=30)
        process.start()
        stop.set()
        for runner in runners:
            runner.join(timeout=60)
            assert not runner.is_alive()
        until(lambda: self.accounts.login(self.person), f"{service} is back", timeout=20)
        until(lambda: self.stack.takes(self.person), f"{service} is back", timeout=20)

    def unavailable(self):
        return (self.stack.directory / "nginx/logs/access.log").read_text().count('"status":503')

    def requests(self):
        held = self.person["session_id"]
        body = {"username": self.person["user_id"], "password": self.new_password()}
        self.keep(self.stack.http("POST", "/auth/login", json=body, timeout=10))
        for path in ("/auth/session", "/api/conversations", "/api/presence/me", "/api/files/none"):
            self.stack.http("GET", path, session=held, timeout=10)
        text = token(EXCHANGE_SECRETS["auth.exchange_secret"], random_name("site"))
        self.secrets.add(text)
        self.keep(self.stack.http("POST", "/auth/exchange", json={"token": text}, timeout=10))


@pytest.fixture(scope="module")
def run():
    # What fails here is to be looked at, and not refused before.
    raised = {f"auth.login_{what}_failures_max": 1_000_000 for what in ("account", "address")}
    stack = Stack({**EXCHANGE_SECRETS, **raised, "auth.password_cost": 1}, demo_users=False)
    try:
        stack.start()
        one = Run(stack)
        one.everything()
        yield one
    except BaseException:
        stack.print_logs()
        raise
    finally:
        stack.remove()


def forms(secret):
    """How a secret may stand in a text."""
    encoded = secret.encode()
    return {
        secret, urllib.parse.quote(secret), base64.b64encode(encoded).decode(), encoded.hex(), encoded.hex().upper()
    }


def test_no_log_holds_a_secret(run):
    assert len(run.secrets) > 60
    assert all(len(secret) >= SECRET_BYTES_MIN for secret in run.secrets)
    logs = {path.name: path.read_text(errors="replace") for path in run.stack.log_files()}
    assert {"auth.log", "gateway.log", "files.log", "presence.log", "access.log"} <= set(logs), sorted(logs)
    # The run has been logged, its failures as well.
    assert run.person["user_id"] in logs["auth.log"] and "login_failed" in logs["auth.log"]
    assert '"status":503' in logs["access.log"] and "internal_call_failed" in logs["gateway.log"]
    wanted = {form: secret for secret in run.secrets for form in forms(secret)}
    found = [
        (name, line) for name, text in logs.items() for line in text.splitlines()
        if any(form in line for form in wanted)
    ]
    assert found == []


def databases(stack):
    return sorted(stack.directory.glob("data/**/*.db"))


def test_no_database_holds_a_secret_in_usable_form(run):
    names = {path.name for path in databases(run.stack)}
    assert "auth.db" in names and len(names) >= 3, names
    for path in databases(run.stack):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            dump = "\n".join(db.iterdump())
        # Blobs stand in a dump in hexadecimal digits.
        assert "CREATE TABLE" in dump
        assert [secret for secret in run.secrets if any(form in dump for form in forms(secret))] == [], path.name
    for path in run.stack.directory.glob("data/**/*"):
        if path.is_file():
            data = path.read_bytes()
            # Also where rows were deleted or changed, as they are in the pages and in the log of writes.
            assert [
                secret for secret in run.secrets
                if secret.encode() in data or decoded(secret) is not None and decoded(secret) in data
            ] == [], path.name


def decoded(secret):
    """A session id's own bytes."""
    try:
        data = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except ValueError:
        return None
    return data if len(data) >= SECRET_BYTES_MIN else None


def test_what_the_database_holds_of_a_session_is_no_session(run):
    live = run.accounts.login(run.person)
    [path] = [path for path in databases(run.stack) if path.name == "auth.db"]
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT hash FROM session").fetchall()
        nonces = db.execute("SELECT successor_nonce FROM session WHERE successor_nonce IS NOT NULL").fetchall()
    stored = [bytes(value) for (value,) in rows]
    # It is there, and only as this.
    assert hashlib.sha256(live["session_id"].encode()).digest() in stored
    for value in [*stored, *(bytes(nonce) for (nonce,) in nonces)]:
        for text in (
            base64.urlsafe_b64encode(value).rstrip(b"=").decode(), base64.b64encode(value).decode(), value.hex(),
        ):
            assert run.stack.http("GET", "/auth/session", session=text).status == 401
            # Not by a service's own way around the edge either.
            answer = request(
                run.stack.ports["auth"], "POST", "/internal/sessions/verify", json={"session_id": text},
                headers={"X-Internal-Token": run.stack.token},
            )
            assert answer.json == {"active": False}, answer
    assert run.stack.http("GET", "/auth/session", session=live["session_id"]).status == 200


def test_passwords_are_stored_as_yescrypt(run):
    [path] = [path for path in databases(run.stack) if path.name == "auth.db"]
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        hashes = [value for (value,) in db.execute("SELECT password_hash FROM account WHERE password_hash IS NOT NULL")]
    assert len(hashes) >= 3 and all(value.startswith("$y$") for value in hashes)
    # Each with a salt of its own.
    assert len({value.split("$")[3] for value in hashes}) == len(hashes)
