"""Every way in which a session can end: its sockets close with 4401 in under a second, and nobody takes it any more.

Each way is seen by two sockets of the session, one of Python's `websockets` and one of node's `ws`, and by a REST
request to each service, all of which had verified the session before.
"""

import datetime
import threading
import time

import pytest

from accounts import Accounts, random_password
from cast import CLIENTS
from chat_client import refused
from http_client import assert_problem
from node_client import NodeChat
from routing import write
from stack import stack_with
from waiting import until

SESSIONS_MAX = 4
SETTINGS = {"auth.sessions_per_user_max": SESSIONS_MAX}
# What each service answers a live session.
REST = {
    "/auth/session": 200, "/api/users/me": 200, "/api/files/AAAAAAAAAAAAAAAAAAAAAA": 404, "/api/presence/me": 200,
    "/api/conversations": 200,
}
# From the answer of the request that ends it, or from `expires_at`.
IN_FORCE_WITHIN = 1.0


@pytest.fixture(scope="module")
def accounts(stack):
    return Accounts(stack)


def answers(stack, login):
    return {path: stack.http("GET", path, session=login["session_id"]).status for path in REST}


class Watched:
    """A session with its sockets, known to all services."""

    def __init__(self, stack, login):
        self.stack, self.login = stack, login
        self.chats = [stack.chat(login, client=client) for client in CLIENTS.values()]
        assert answers(stack, login) == REST

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for chat in self.chats:
            chat.close()

    def assert_lives(self):
        for chat in self.chats:
            chat.settle()
        assert answers(self.stack, self.login) == REST

    def assert_over(self, since):
        """`since` is when it had to be over, on the monotonic clock; returns when the first socket was closed."""
        closed = []
        for chat in self.chats:
            assert chat.expect_closed(timeout=max(since - time.monotonic(), 0) + 5) == 4401
            closed.append(time.monotonic())
            assert closed[-1] - since < IN_FORCE_WITHIN, f"{type(chat).__name__} closed too late"
        until(
            lambda: set(answers(self.stack, self.login).values()) == {401}, "no service takes it",
            timeout=max(0.05, since + IN_FORCE_WITHIN - time.monotonic()),
        )
        refusal = refused(
            self.stack.port, user_id=self.login["user_id"], session_id=self.login["session_id"],
            user_type=self.login["user_type"],
        )
        assert refusal.status_code == 401, refusal.body
        # It is over for good.
        assert set(answers(self.stack, self.login).values()) == {401}
        return closed[0]


# Each way: the session that ends is `mine`, `other` is another one of the same user. What they return says whether
# the other one ends too.


def log_out(accounts, mine, other):
    accounts.done("POST", "/auth/logout", by=mine)


def log_out_by_body(accounts, mine, other):
    accounts.done("POST", "/api/auth/logout", {"session_id": mine["session_id"]}, by=other)


def end_one(accounts, mine, other):
    handle = accounts.handles(mine)[0]
    accounts.done("DELETE", f"/api/users/me/sessions/{handle}", by=other)


def end_one_by_an_administrator(accounts, mine, other):
    handle = accounts.handles(mine)[0]
    accounts.done("DELETE", f"/api/users/{mine['user_id']}/sessions/{handle}")


def end_all(accounts, mine, other):
    assert accounts.done("DELETE", "/api/users/me/sessions", by=mine) == {"ended": 2}
    return True


def end_all_by_an_administrator(accounts, mine, other):
    assert accounts.done("DELETE", f"/api/users/{mine['user_id']}/sessions") == {"ended": 2}
    return True


def end_the_others(accounts, mine, other):
    assert accounts.done("DELETE", "/api/users/me/sessions?except=current", by=other) == {"ended": 1}


def change_ones_password(accounts, mine, other):
    body = {"old_password": mine["password"], "new_password": random_password()}
    accounts.stack.secrets.add(body["new_password"])
    accounts.done("PUT", "/api/users/me/password", body, by=other)


def reset_the_password(accounts, mine, other):
    accounts.done("PUT", f"/api/users/{mine['user_id']}/password", {"new_password": random_password()})
    return True


def change(**members):
    def do(accounts, mine, other):
        accounts.done("PATCH", f"/api/users/{mine['user_id']}", members)
        return True

    return do


def delete(accounts, mine, other):
    accounts.done("DELETE", f"/api/users/{mine['user_id']}")
    return True


def log_in_too_often(accounts, mine, other):
    """`mine` is the oldest."""
    for _ in range(SESSIONS_MAX - 1):
        accounts.login(mine)


def reset_by_command(accounts, mine, other):
    file = accounts.stack.directory / "password"
    file.write_text(random_password())
    accounts.stack.run(
        "auth", "reset-password", "--user-id", mine["user_id"], "--password-file", str(file)
    )
    return True


def disable_by_command(accounts, mine, other):
    accounts.stack.run("auth", "disable-user", "--user-id", mine["user_id"])
    return True


WAYS = {
    "logout": ("Kehu", log_out),
    "logout, named in the body": ("Kehu", log_out_by_body),
    "by its handle": ("Kehu", end_one),
    "by its handle, by an administrator": ("Kehu", end_one_by_an_administrator),
    "all of them": ("Kehu", end_all),
    "all of them, by an administrator": ("Kefu", end_all_by_an_administrator),
    "all others": ("Kehu", end_the_others),
    "another password": ("Kehu", change_ones_password),
    "password reset": ("Kefu", reset_the_password),
    "disabled": ("Kehu", change(disabled=True)),
    "deleted": ("Kehu", delete),
    "a customer becomes an agent": ("Kehu", change(user_type="Kefu")),
    "an agent becomes a customer": ("Kefu", change(user_type="Kehu")),
    "an agent becomes an administrator": ("Kefu", change(is_admin=True)),
    "too many sessions": ("Kehu", log_in_too_often),
    "command reset-password": ("Kehu", reset_by_command),
    "command disable-user": ("Kehu", disable_by_command),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_end_is_in_force_everywhere_within_a_second(stack, accounts, way):
    user_type, end = WAYS[way]
    person = accounts.create(user_type)
    mine, other = accounts.login(person), accounts.login(person)
    with Watched(stack, mine) as watched, Watched(stack, other) as others, stack.chat(accounts.admin) as untouched:
        both = end(accounts, mine, other)
        ended_at = time.monotonic()
        watched.assert_over(ended_at)
        if both:
            # They ended at the same time, and were looked at later.
            others.assert_over(time.monotonic())
        else:
            others.assert_lives()
        untouched.settle()


# Refresh


def test_a_refreshed_session_lives_on_in_its_successor(stack, accounts):
    login = accounts.person()
    with Watched(stack, login) as watched:
        successor = {**login, **accounts.done("POST", "/auth/session/refresh", by=login)}
        stack.secrets.add(successor["session_id"])
        assert successor["session_id"] != login["session_id"]
        # A second refresh of the old one gives the same.
        again = accounts.done("POST", "/auth/session/refresh", by=login)
        assert again["session_id"] == successor["session_id"]
        watched.assert_lives()
        assert answers(stack, successor) == REST
        until(
            lambda: set(answers(stack, login).values()) == {401}, "the old one's grace is over", timeout=15,
            interval=0.2,
        )
        for chat in watched.chats:
            chat.settle()
        accounts.done("POST", "/auth/logout", by=successor)
        watched.assert_over(time.monotonic())
        assert set(answers(stack, successor).values()) == {401}


def test_the_old_id_ends_its_successor_too(stack, accounts):
    login = accounts.person()
    with Watched(stack, login) as watched:
        successor = {**login, **accounts.done("POST", "/auth/session/refresh", by=login)}
        stack.secrets.add(successor["session_id"])
        with stack.chat(successor) as chat:
            accounts.done("POST", "/auth/logout", by=login)
            ended_at = time.monotonic()
            watched.assert_over(ended_at)
            assert chat.expect_closed(timeout=1) == 4401
        assert set(answers(stack, successor).values()) == {401}


# Expiry


def seconds(time_on_the_wire):
    """Since 1970."""
    return datetime.datetime.fromisoformat(time_on_the_wire.replace("Z", "+00:00")).timestamp()


def on_monotonic_clock(time_on_the_wire):
    return time.monotonic() + seconds(time_on_the_wire) - time.time()


BEGINNINGS = {
    "a password": lambda stack: Accounts(stack).person(),
    "a guest": lambda stack: stack.http("POST", "/auth/guest").json,
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_session_that_runs_out_closes_its_sockets(beginning):
    # Long enough for two clients to connect on a busy machine.
    lifetime = 5
    with stack_with({"auth.session_lifetime_s": lifetime, "auth.guest_lifetime_s": lifetime}) as stack:
        login = BEGINNINGS[beginning](stack)
        stack.secrets.add(login["session_id"])
        with Watched(stack, login) as watched:
            runs_out_at = on_monotonic_clock(login["expires_at"])
            assert runs_out_at - time.monotonic() < lifetime
            watched.assert_lives()
            assert watched.assert_over(runs_out_at) >= runs_out_at


def test_use_lengthens_a_session_up_to_its_end():
    # A use counts when the last one is half a second old.
    with stack_with({"auth.session_idle_s": 2, "auth.session_lifetime_s": 6, "gateway.session_warning_s": 1}) as stack:
        accounts = Accounts(stack)
        unused, used, open_one = accounts.person(), accounts.person(), accounts.person()
        for login in (unused, used, open_one):
            assert answers(stack, login) == REST
        ends = {
            login["user_id"]: accounts.done("GET", "/api/users/me/sessions", by=login)["sessions"][0]["ends_at"]
            for login in (used, open_one)
        }
        with Watched(stack, open_one) as watched:
            late = seconds(unused["expires_at"]) + 2
            until(
                lambda: answers(stack, used) == REST and time.time() > late, "the idle time has passed", timeout=8,
                interval=0.2,
            )
            assert set(answers(stack, unused).values()) == {401}
            for chat in watched.chats:
                chat.settle()
            # Its end does not move. That of `used` was the earlier one.
            runs_out_at = on_monotonic_clock(ends[open_one["user_id"]])
            assert watched.assert_over(runs_out_at) >= runs_out_at
            assert time.time() > seconds(ends[used["user_id"]])
            assert set(answers(stack, used).values()) == {401}


# Races


RACES = {
    "password reset": (20, lambda accounts, person: reset_the_password(accounts, person, None)),
    "disabled": (10, lambda accounts, person: change(disabled=True)(accounts, person, None)),
}


@pytest.mark.parametrize("what", RACES)
def test_a_login_that_races_it_leaves_no_session(stack, accounts, what):
    rounds, end = RACES[what]
    won = 0
    for _ in range(rounds):
        person = accounts.create()
        outcomes = []
        barrier = threading.Barrier(6)

        def log_in():
            body = {"username": person["user_id"], "password": person["password"]}
            barrier.wait(timeout=10)
            outcomes.append(stack.http("POST", "/auth/login", json=body))

        racers = [threading.Thread(target=log_in) for _ in range(5)]
        for racer in racers:
            racer.start()
        barrier.wait(timeout=10)
        end(accounts, person)
        for racer in racers:
            racer.join(timeout=30)
        assert len(outcomes) == 5
        for outcome in outcomes:
            # Who comes after it fails; the last of five failures in a row may be one too many.
            assert outcome.status in (200, 401, 429), outcome
            if outcome.status == 200:
                won += 1
                stack.secrets.add(outcome.json["session_id"])
                assert_problem(stack.http("GET", "/auth/session", session=outcome.json["session_id"]), 401)
        assert accounts.done("GET", f"/api/users/{person['user_id']}/sessions") == {"sessions": []}
    print(f"{won} of {rounds * 5} logins came before it")


# In band: a socket that outlives its session

WARNED = {"auth.session_lifetime_s": 5, "gateway.session_warning_s": 3}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_a_socket_is_warned_and_goes_over_to_a_new_session(client):
    with stack_with(WARNED) as stack:
        accounts = Accounts(stack)
        first = accounts.person()
        with stack.chat(first, client=client) as chat, stack.chat(first, client=client) as silent:
            warning = chat.expect("System", code="session_expiring", timeout=5)
            assert set(warning) == {"type", "code", "message", "expires_at", "timestamp"}, warning
            assert warning["expires_at"] == first["expires_at"]
            assert -0.5 < seconds(first["expires_at"]) - time.time() - WARNED["gateway.session_warning_s"] < 1
            second = accounts.login(first)
            chat.send({"type": "Session", "session_id": second["session_id"], "client_id": "renewal"})
            renewed = chat.expect("System", code="session_renewed", client_id="renewal")
            assert renewed["expires_at"] == second["expires_at"]
            assert silent.expect_closed(timeout=6) == 4401
            # The first session is over, and the socket is not.
            assert time.time() > seconds(first["expires_at"])
            write(chat, "still here")
            # Warned once for each time of expiry.
            warned = [frame["expires_at"] for frame in chat.seen if frame.get("code") == "session_expiring"]
            assert warned in ([first["expires_at"]], [first["expires_at"], second["expires_at"]])
            accounts.done("POST", "/auth/logout", by=second)
            ended_at = time.monotonic()
            assert chat.expect_closed(timeout=5) == 4401
            assert time.monotonic() - ended_at < IN_FORCE_WITHIN


def test_a_socket_follows_the_successor_of_its_session(stack, accounts):
    login = accounts.person()
    with stack.chat(login) as chat:
        for _ in range(3):
            login = {**login, **accounts.done("POST", "/auth/session/refresh", by=login)}
            stack.secrets.add(login["session_id"])
            chat.settle()
        accounts.done("POST", "/auth/logout", by=login)
        assert chat.expect_closed(timeout=1) == 4401


def test_a_socket_takes_no_session_but_its_users(stack, accounts):
    login, stranger = accounts.person(), accounts.person()
    ended = accounts.login(login)
    accounts.done("POST", "/auth/logout", by=ended)
    with Watched(stack, login) as watched:
        for chat in watched.chats:
            chat.send({"type": "Session", "session_id": stranger["session_id"]})
            assert chat.expect("Error")["code"] == "session_mismatch"
            for dead in (ended["session_id"], "A" * 43):
                chat.send({"type": "Session", "session_id": dead})
                assert chat.expect("Error")["code"] == "session_ended"
            for bad in (None, 7, "", "x" * 257, "a b"):
                chat.send({"type": "Session", "session_id": bad})
                error = chat.expect("Error")
                assert error["code"] in ("invalid_field", "id_malformed") and "session_id" in error["message"], error
        watched.assert_lives()
        # They are still what the socket belongs to.
        accounts.done("POST", "/auth/logout", by=stranger)
        watched.assert_lives()
        accounts.done("POST", "/auth/logout", by=login)
        watched.assert_over(time.monotonic())


def test_a_socket_belongs_to_its_new_session_only(stack, accounts):
    person = accounts.create()
    first, second = accounts.login(person), accounts.login(person)
    with stack.chat(first) as chat, stack.chat(first, client=NodeChat) as stays:
        chat.send({"type": "Session", "session_id": second["session_id"]})
        assert chat.expect("System", code="session_renewed")["expires_at"] == second["expires_at"]
        accounts.done("POST", "/auth/logout", by=first)
        assert stays.expect_closed(timeout=1) == 4401
        chat.settle()
        accounts.done("POST", "/auth/logout", by=second)
        assert chat.expect_closed(timeout=1) == 4401


def test_a_socket_brings_sessions_at_a_bounded_rate(stack, accounts):
    login = accounts.person()
    with stack.chat(login) as chat:
        for _ in range(12):
            chat.send({"type": "Session", "session_id": login["session_id"]})
        answered = [
            chat.expect_that(lambda frame: frame["type"] in ("System", "Error"), "an answer")["code"] for _ in range(12)
        ]
        assert sorted(answered) == ["session_renewed"] * 10 + ["too_many_requests"] * 2
        write(chat)
