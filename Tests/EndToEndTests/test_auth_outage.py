"""kill -9 of auth under load: no session that anybody was given is lost, and the others serve those that they know."""

import contextlib
import hashlib
import random
import sqlite3
import threading
import time

from accounts import Accounts
from cast import CLIENTS
from chat_client import refused
from http_client import assert_problem
from routing import write
from stack import stack_with
from waiting import until

QUICK = {"auth.password_cost": 1, "auth.sessions_per_user_max": 10_000}
# How long ago auth must have verified a session for the others to serve it without auth; stated by ServiceKit.
CACHE_AGE = 30


class Load:
    """Requests of several sessions to the services that ask auth about them, and what came of each."""

    def __init__(self, stack, logins):
        self.stack, self.logins = stack, logins
        self.answers = []

    def round(self):
        for login in self.logins:
            for path in (f"/api/files/{login['file']}", "/api/presence", "/api/conversations"):
                sent = time.monotonic()
                answer = self.stack.http("GET", path, session=login["session_id"])
                self.answers.append((sent, path.split("/")[2], answer.status))
        return True

    def statuses(self, since=0.0):
        return {status for sent, _, status in self.answers if sent >= since}


def test_the_others_serve_who_was_verified_while_auth_is_away():
    with stack_with(QUICK) as stack, contextlib.ExitStack() as sockets:
        accounts = Accounts(stack)
        late = accounts.person()
        began = time.monotonic()
        logins = [accounts.person() for _ in range(6)]
        for login in logins:
            login["file"] = accounts.upload(login)
        load = Load(stack, logins)
        load.round()
        verified = time.monotonic()
        chats = [
            sockets.enter_context(stack.chat(login, client=client))
            for login, client in zip(logins, (*CLIENTS.values(), *CLIENTS.values()))
        ]
        until(lambda: load.round() and len(load.answers) > 200, "the load has begun", timeout=20, interval=0.01)
        stack.auth.kill()
        killed = time.monotonic()
        # Somebody whom nobody has verified is not taken for somebody bad, and new sockets have to wait.
        for path in ("/api/presence/me", "/api/conversations", f"/api/files/{logins[0]['file']}"):
            assert_problem(stack.http("GET", path, session=late["session_id"]), 503, "unavailable")
        for chat in chats:
            write(chat, "without auth")
        until(
            lambda: load.round() and time.monotonic() > killed + 20, "twenty seconds pass", timeout=40, interval=0.2
        )
        assert load.statuses() == {200}
        # Now the feed has been silent for longer than a handshake allows.
        answer = refused(stack.port, **{name: logins[0][name] for name in ("user_id", "session_id", "user_type")})
        assert answer.status_code == 503, answer.body
        for chat in chats:
            write(chat, "still without auth")
        # The age that is stated is kept: then it is 503, and never 401.
        services = {"files", "presence", "conversations"}
        until(
            lambda: load.round() and services <= {name for _, name, status in load.answers if status == 503},
            "what was verified too long ago is not served", timeout=25, interval=0.2,
        )
        assert load.statuses() == {200, 503}
        first = min(sent for sent, _, status in load.answers if status == 503)
        assert first >= began + CACHE_AGE
        assert not [one for one in load.answers if one[0] > verified + CACHE_AGE + 1 and one[2] == 200]
        stack.auth.start()

        def recovered():
            since = time.monotonic()
            return load.round() and load.statuses(since) == {200}

        until(recovered, "all are served again", timeout=20, interval=0.1)
        for chat in chats:
            write(chat, "with auth")
        until(lambda: stack.takes(late), "new sockets are taken again", timeout=20, interval=0.1)


class Refresher(threading.Thread):
    """Logs in and refreshes its session as fast as it can, until a request of it is not answered."""

    def __init__(self, stack, person, held, given):
        super().__init__()
        self.stack, self.person, self.held, self.given = stack, person, held, given
        self.refreshing = False
        self.wrong = None

    def run(self):
        while self.wrong is None:
            self.refreshing = not self.refreshing
            if self.refreshing:
                answer = self.refresh()
            else:
                body = {"username": self.person["user_id"], "password": self.person["password"]}
                answer = self.call("/auth/login", json=body)
            if answer is None or answer.status == 503:
                return
            if answer.status != 200:
                self.wrong = answer
            elif self.refreshing:
                self.held = answer.json["session_id"]
            else:
                self.given.append(answer.json["session_id"])

    def refresh(self):
        return self.call("/auth/session/refresh", session=self.held)

    def call(self, path, **options):
        with contextlib.suppress(OSError):
            return self.stack.http("POST", path, **options)
        return None


def replaced_in_store(stack, session_id):
    """Whether the store has a successor of a session."""
    [path] = stack.directory.glob("data/**/auth.db")
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        found = db.execute(
            "SELECT replaced_by FROM session WHERE hash = ?", (hashlib.sha256(session_id.encode()).digest(),)
        ).fetchone()
    return found is not None and found[0] is not None


def lives(stack, session_id):
    return stack.http("GET", "/auth/session", session=session_id).status == 200


def test_a_kill_of_auth_costs_no_session(seed):
    numbers = random.Random(seed)
    with stack_with(QUICK) as stack, contextlib.ExitStack() as sockets:
        accounts = Accounts(stack)
        people = [accounts.person() for _ in range(8)]
        held = [person["session_id"] for person in people]
        chats = [sockets.enter_context(stack.chat(person)) for person in people]
        given, lost = [], 0
        for number in range(12):
            workers = [Refresher(stack, person, session, given) for person, session in zip(people, held)]
            for worker in workers:
                worker.start()
            enough = len(given) + numbers.randrange(20, 80)
            until(lambda: len(given) >= enough, "the load runs", interval=0.001)
            stack.auth.kill()
            for worker in workers:
                worker.join(timeout=30)
                assert not worker.is_alive() and worker.wrong is None, worker.wrong
            # Their refresh was done, and they have not heard of it.
            lost += sum(worker.refreshing and replaced_in_store(stack, worker.held) for worker in workers)
            stack.auth.start()
            for index, worker in enumerate(workers):
                answer = until(worker.refresh, "auth answers")
                assert answer.status == 200, f"round {number}: {answer}"
                again = worker.refresh()
                assert again.json["session_id"] == answer.json["session_id"]
                held[index] = answer.json["session_id"]
            stack.secrets.update((*held, *given))
            assert [session for session in (*held, *given) if not lives(stack, session)] == [], f"round {number}"
            for chat in chats:
                chat.settle()
            if lost > 0 and number >= 2:
                break
        print(f"{len(given)} logins, {lost} refreshes without an answer, {number + 1} kills")
        assert lost > 0, "no refresh was interrupted between its commit and its answer"
        # The sockets have followed.
        for session, chat in zip(held, chats):
            assert stack.http("POST", "/auth/logout", session=session).status == 200
            assert chat.expect_closed(timeout=1) == 4401


def test_what_was_ended_stays_ended(seed):
    """A kill right after an answered end does not bring a session back."""
    numbers = random.Random(seed)
    with stack_with(QUICK) as stack:
        accounts = Accounts(stack)
        for _ in range(3):
            ended, stays = [], [accounts.person() for _ in range(10)]
            for login in [accounts.person() for _ in range(numbers.randrange(5, 15))]:
                accounts.done("POST", "/auth/logout", by=login)
                ended.append(login)
            stack.auth.kill()
            stack.auth.start()
            until(lambda: lives(stack, stays[0]["session_id"]), "auth is back")
            assert not [login for login in ended if lives(stack, login["session_id"])]
            assert not [login for login in stays if not lives(stack, login["session_id"])]
