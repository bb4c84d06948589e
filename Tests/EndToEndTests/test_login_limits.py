"""Failed logins make attempts wait, by account and address, by address, and by account wherever they come from; who
knows the password elsewhere gets in meanwhile, and nobody learns who has an account.

The stated limits: 10 failures of an account from an address and 100 from an address in 15 minutes are free; from then
on an attempt must wait after the last failure, 1 s and twice as long with each further one.
"""

import math
import secrets
import statistics
import threading
import time

import pytest

from accounts import Accounts, random_name, random_password
from http_client import assert_problem, request
from stack import stack_with
from tokens import token
from waiting import until

OTHER_ADDRESS = "127.0.0.2"
PER_ACCOUNT, PER_ADDRESS = 10, 100
SECRET = secrets.token_hex(32)
QUICK = {"auth.password_cost": 1, "auth.exchange_secret": SECRET}


@pytest.fixture
def stack():
    """A fresh one for each test: what counts, counts for a quarter of an hour."""
    with stack_with(QUICK) as one:
        yield one


@pytest.fixture
def accounts(stack):
    return Accounts(stack)


def log_in(stack, name, password, **options):
    answer = stack.http("POST", "/auth/login", json={"username": name, "password": password}, **options)
    if answer.status == 200:
        stack.secrets.add(answer.json["session_id"])
    return answer


def wrong(stack, name, **options):
    return log_in(stack, name, random_password(), **options)


class Expectation:
    """What the limits say of one attempt after the other, as far as their client can know the server's clock."""

    def __init__(self, free):
        self.free = free
        self.failures = 0
        # When the last failure was counted, at the earliest and at the latest.
        self.last = (0.0, 0.0)
        self.seen = []

    def attempt(self, do):
        """One attempt; asserts its answer and returns whether it was let through to the password."""
        sent = time.monotonic()
        answer = do()
        got = time.monotonic()
        wait = 2 ** (self.failures - self.free) if self.failures >= self.free else 0
        if answer.status == 401:
            assert_problem(answer, 401, "invalid_credentials")
            assert answer.header("Retry-After") is None
            assert got >= self.last[0] + wait, f"let through before {wait} s after failure {self.failures}"
            self.failures += 1
            self.last = (sent, got)
            return True
        document = assert_problem(answer, 429, "too_many_attempts")
        assert wait, f"refused after {self.failures} failures: {answer}"
        stated = int(answer.header("Retry-After"))
        least, most = (math.ceil(max(0, last + wait - at)) for last, at in zip(self.last, (got, sent)))
        assert max(1, least) <= stated <= most, f"{stated} s, after {self.failures} failures; {least} to {most}"
        assert f"{stated} s" in document["detail"], document
        self.seen.append(stated)
        return False


def test_200_wrong_passwords_spread_over_50_accounts(stack, accounts):
    people = [accounts.create() for _ in range(50)]
    expectation = Expectation(free=PER_ADDRESS)
    attempts = 200
    let_through = [
        expectation.attempt(lambda: wrong(stack, people[number % len(people)]["user_id"])) for number in range(attempts)
    ]
    # 100 are free; of the other 100 only those that came after a wait were looked at.
    assert let_through[:PER_ADDRESS] == [True] * PER_ADDRESS
    assert sum(let_through[PER_ADDRESS:]) <= 5, let_through
    # Whoever goes on, waits 1 s, 2 s, 4 s.
    deadline = time.monotonic() + 30
    while expectation.failures < PER_ADDRESS + 3:
        assert time.monotonic() < deadline
        expectation.attempt(lambda: wrong(stack, people[0]["user_id"]))
    expectation.attempt(lambda: wrong(stack, people[0]["user_id"]))
    assert {1, 2, 4} <= set(expectation.seen), expectation.seen
    # From another address all of them log in.
    for person in people:
        assert log_in(stack, person["user_id"], person["password"], source=OTHER_ADDRESS).status == 200
    # The right password makes no difference at the address that attacked.
    assert_problem(log_in(stack, people[0]["user_id"], people[0]["password"]), 429)
    # Sessions that are there are no logins.
    assert accounts.call("GET", "/api/users/me").status == 200
    # One line a minute tells the operator, however many are refused.
    assert 1 <= stack.auth.log_text().count('"login_limited"') <= 2


def test_one_account_is_attacked(stack, accounts):
    victim, neighbour = accounts.create(), accounts.create()
    expectation = Expectation(free=PER_ACCOUNT)
    while len(expectation.seen) < 3 or expectation.seen[-1] < 2:
        expectation.attempt(lambda: wrong(stack, victim["user_id"]))
    assert_problem(log_in(stack, victim["user_id"], victim["password"]), 429)
    # Others there, and the same one elsewhere, are not the attacked account at this address.
    assert log_in(stack, neighbour["user_id"], neighbour["password"]).status == 200
    assert log_in(stack, victim["user_id"], victim["password"], source=OTHER_ADDRESS).status == 200
    # An account that nobody has is limited in the same words.
    nobody = Expectation(free=PER_ACCOUNT)
    name = random_name("nobody")
    while not nobody.seen:
        nobody.attempt(lambda: wrong(stack, name))
    assert nobody.failures == PER_ACCOUNT


def test_the_right_password_clears_the_accounts_failures(stack, accounts):
    person = accounts.create()
    for _ in range(3):
        for _ in range(PER_ACCOUNT - 1):
            assert_problem(wrong(stack, person["user_id"]), 401)
        assert log_in(stack, person["user_id"], person["password"]).status == 200


def test_attempts_at_once_do_not_pass_together(stack, accounts):
    person = accounts.create()
    statuses = []
    racers = [
        threading.Thread(target=lambda: statuses.append(wrong(stack, person["user_id"]).status)) for _ in range(30)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(timeout=30)
    assert sorted(statuses) == [401] * PER_ACCOUNT + [429] * (30 - PER_ACCOUNT)


def test_nobody_says_by_a_header_that_they_come_from_elsewhere(stack, accounts):
    person = accounts.create()
    # By the edge and around it; 127.0.0.1, where nginx is, is the one address that is believed.
    for port in (stack.port, stack.ports["auth"]):
        for number in range(PER_ACCOUNT // 2):
            headers = {"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": f"203.0.113.{number}"}
            body = {"username": person["user_id"], "password": random_password()}
            answer = request(port, "POST", "/auth/login", json=body, headers=headers, source=OTHER_ADDRESS)
            assert_problem(answer, 401)
    for headers in ({}, {"X-Forwarded-For": "203.0.113.99"}, {"Forwarded": "for=203.0.113.99"}):
        assert_problem(log_in(stack, person["user_id"], person["password"], source=OTHER_ADDRESS, headers=headers), 429)
    assert log_in(stack, person["user_id"], person["password"]).status == 200
    entries = accounts.done("GET", f"/api/audit?user_id={person['user_id']}&event=login_failed")["entries"]
    assert [entry["remote_address"] for entry in entries] == [OTHER_ADDRESS] * PER_ACCOUNT


def test_an_account_attacked_from_everywhere_lets_its_user_in_where_they_are_logged_in():
    with stack_with({**QUICK, "auth.login_account_failures_everywhere_max": 20}) as stack:
        accounts = Accounts(stack)
        person = accounts.person()
        for number in range(20):
            assert_problem(wrong(stack, person["user_id"], source=f"127.0.1.{number + 1}"), 401)
        assert_problem(wrong(stack, person["user_id"], source="127.0.2.1"), 429)
        assert_problem(log_in(stack, person["user_id"], person["password"], source="127.0.2.2"), 429)
        # Their own address has a live session.
        assert log_in(stack, person["user_id"], person["password"]).status == 200
        accounts.done("DELETE", f"/api/users/{person['user_id']}/sessions")
        assert_problem(log_in(stack, person["user_id"], person["password"]), 429)


def test_wrong_old_passwords_are_failed_logins(stack, accounts):
    person = accounts.person()
    for _ in range(PER_ACCOUNT):
        body = {"old_password": random_password(), "new_password": random_password()}
        assert_problem(accounts.call("PUT", "/api/users/me/password", body, by=person), 403, "invalid_credentials")
    assert_problem(accounts.call("PUT", "/api/users/me/password", body, by=person), 429)
    assert_problem(log_in(stack, person["user_id"], person["password"]), 429)


def test_refused_tokens_count_for_their_address_only(stack):
    def exchange(text, source):
        return stack.http("POST", "/auth/exchange", json={"token": text}, source=source)

    for _ in range(PER_ADDRESS):
        assert_problem(exchange("a.b.c", OTHER_ADDRESS), 401, "invalid_token")
    assert_problem(exchange(token(SECRET, "anna"), OTHER_ADDRESS), 429)
    answer = exchange(token(SECRET, "anna"), "127.0.0.3")
    assert answer.status == 200, answer
    stack.secrets.add(answer.json["session_id"])


def test_a_flood_from_one_address_leaves_room_for_others():
    # Four logins are hashed or wait for it, two of them from one address.
    raised = {f"auth.login_{what}_failures_max": 1_000_000 for what in ("account", "address")}
    with stack_with({**raised, "auth.password_requests_max": 4}) as stack:
        accounts = Accounts(stack)
        person = accounts.create()
        statuses, stop = [], threading.Event()

        def flood():
            while not stop.is_set():
                answer = wrong(stack, random_name("kehu"))
                statuses.append(answer.status)
                if answer.status == 503:
                    assert int(answer.header("Retry-After")) >= 1

        flooders = [threading.Thread(target=flood) for _ in range(8)]
        for flooder in flooders:
            flooder.start()
        try:
            until(lambda: statuses.count(503) > 20, "the flood is refused")
            for _ in range(10):
                answer = log_in(stack, person["user_id"], person["password"], source=OTHER_ADDRESS)
                assert answer.status == 200, answer
        finally:
            stop.set()
            for flooder in flooders:
                flooder.join(timeout=30)
        assert set(statuses) == {401, 503}


# Known and unknown


def seen_of(answer):
    """All that an answer shows, but for what differs between any two."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("Date", "X-Request-Id")}
    return answer.status, headers, answer.body


def compare(stack, known, pairs):
    """Seconds of wrong logins to known and to unknown accounts, each pair right after one another."""
    taken = {"known": [], "unknown": []}
    for number in range(pairs):
        attempts = [("known", known[number % len(known)]), ("unknown", random_name("kehu"))]
        answers = []
        for kind, name in attempts if number % 2 else reversed(attempts):
            begun = time.monotonic()
            answers.append(wrong(stack, name))
            taken[kind].append(time.monotonic() - begun)
        assert answers[0].status == 401
        assert seen_of(answers[0]) == seen_of(answers[1])
    medians = {kind: statistics.median(times) for kind, times in taken.items()}
    print(" ".join(f"{kind}: {median * 1000:.2f} ms" for kind, median in medians.items()))
    return medians


def test_known_and_unknown_users_cannot_be_told_apart():
    # The production cost; nothing is to be refused before the password is looked at.
    raised = {f"auth.login_{what}_failures_max": 1_000_000 for what in ("account", "address")}
    with stack_with({**raised, "auth.login_account_failures_everywhere_max": 1_000_000}) as stack:
        accounts = Accounts(stack)
        disabled, agent = accounts.create(), accounts.create("Kefu")
        accounts.done("PATCH", f"/api/users/{disabled['user_id']}", {"disabled": True})
        known = [accounts.create()["user_id"] for _ in range(8)] + [disabled["user_id"], agent["user_id"]]
        # The right password of an account that is disabled, or of another type, is a wrong login as well.
        right = log_in(stack, disabled["user_id"], disabled["password"])
        other_type = stack.http("POST", "/auth/login", json={
            "username": agent["user_id"], "password": agent["password"], "user_type": "Kehu",
        })
        assert seen_of(right) == seen_of(other_type) == seen_of(wrong(stack, random_name("kehu")))
        for last in (False, True):
            medians = compare(stack, known, pairs=300)
            if abs(medians["known"] / medians["unknown"] - 1) < 0.1:
                break
            assert not last, medians
