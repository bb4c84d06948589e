"""Two instances of auth on one Redis are one auth: what one has answered the other one knows, through any kill."""

import contextlib
import secrets
import threading

import pytest

from accounts import random_name, random_password
from http_client import assert_problem, request
from redis_server import RedisServer
from stack import Process, Stack, binaries, free_ports
from waiting import until

QUICK = {"auth.password_cost": 1, "auth.sessions_per_user_max": 10_000, "auth.login_successes_per_minute_max": 100_000}


class Instances:
    """Two auths, `0` and `1`, without anything else of the stack."""

    def __init__(self, directory):
        self.redis = RedisServer(directory)
        self.stack = Stack(QUICK, environment={"STORE": self.redis.url})
        self.ports = [self.stack.ports["auth"], *free_ports(1)]
        self.processes = [self._process(port) for port in self.ports]
        self.admin = {"user_id": random_name("admin"), "password": random_password(), "user_type": "Kefu"}

    def _process(self, port):
        return Process(
            f"auth-{port}", [str(binaries() / "auth"), "--config", str(self.stack.config)],
            str(self.stack.directory / f"auth-{port}.log"),
            {**self.stack.environment, "AUTH_LISTEN": f"127.0.0.1:{port}"},
            lambda: request(port, "GET", "/readyz", timeout=2).status == 200,
        )

    def __enter__(self):
        self.redis.start()
        self.create_by_command(self.admin, "--admin")
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, kind, *_):
        statuses = {process.name: process.stop() for process in self.processes if process.running}
        self.redis.kill()
        if kind is not None:
            self.stack.print_logs()
        leaks = self.stack.leaks()
        self.stack.remove()
        if kind is None:
            assert set(statuses.values()) == {0}, statuses
            assert leaks == []

    def create_by_command(self, person, *options):
        password = self.stack.directory / "password"
        password.write_text(person["password"])
        self.stack.secrets.add(person["password"])
        self.stack.run(
            "auth", "create-user", "--user-id", person["user_id"], "--user-type", person["user_type"],
            "--password-file", str(password), *options,
        )

    def call(self, index, method, path, session=None, **options):
        return request(self.ports[index], method, path, session=session, **options)

    def create(self, index, user_type="Kehu", **members):
        person = {"user_id": random_name("user"), "password": random_password(), "user_type": user_type, **members}
        self.stack.secrets.add(person["password"])
        made = self.call(index, "POST", "/api/users", self.login(index, self.admin), json=person)
        assert made.status == 201, made
        return person

    def try_login(self, index, person):
        body = {
            "username": person["user_id"], "password": person["password"], "user_type": person["user_type"],
        }
        return self.call(index, "POST", "/auth/login", json=body)

    def login(self, index, person):
        answer = self.try_login(index, person)
        assert answer.status == 200, answer
        self.stack.secrets.add(answer.json["session_id"])
        return answer.json["session_id"]

    def lives(self, index, session):
        status = self.call(index, "GET", "/auth/session", session).status
        assert status in (200, 401), status
        return status == 200


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with Instances(tmp_path_factory.mktemp("redis")) as instances:
        yield instances


def test_what_one_has_answered_the_other_one_knows(pair):
    person = pair.create(0)
    session = pair.login(1, person)
    assert pair.lives(0, session) and pair.lives(1, session)
    renewed = pair.call(0, "POST", "/auth/session/refresh", session).json["session_id"]
    assert pair.call(1, "POST", "/auth/session/refresh", session).json["session_id"] == renewed
    again = pair.call(1, "POST", "/api/users", pair.login(1, pair.admin), json=person)
    assert_problem(again, 409)


def test_an_end_at_one_is_an_end_at_the_other_within_a_second(pair):
    person = pair.create(0)
    admin = pair.login(0, pair.admin)
    ends = [
        lambda session: pair.call(0, "POST", "/auth/logout", session),
        lambda session: pair.call(0, "PATCH", f"/api/users/{person['user_id']}", admin, json={"disabled": True}),
    ]
    for end in ends:
        session = pair.login(1, person)
        assert pair.lives(1, session)
        assert end(session).status in (200, 204)
        assert not pair.lives(0, session)
        until(lambda session=session: not pair.lives(1, session), "it has ended there too", timeout=1)
    assert pair.try_login(1, person).status in (401, 403)


def test_a_rule_over_several_accounts_holds_over_both(pair):
    """Two administrators besides the first; all are taken away at once, by both: one is left."""
    people = [pair.admin, pair.create(0, "Kefu", is_admin=True), pair.create(1, "Kefu", is_admin=True)]
    sessions = [pair.login(0, person) for person in people]
    statuses = {}

    def demote(index, person, session):
        answer = pair.call(index % 2, "PATCH", f"/api/users/{person['user_id']}", session, json={"is_admin": False})
        statuses[person["user_id"]] = answer.status

    threads = [
        threading.Thread(target=demote, args=(index, person, session))
        for index, (person, session) in enumerate(zip(people, sessions))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses.values()) == [200, 200, 409], statuses
    left = next(person for person in people if statuses[person["user_id"]] == 409)
    listed = pair.call(0, "GET", "/api/users", pair.login(1, left)).json["users"]
    assert [one["user_id"] for one in listed if one["is_admin"]] == [left["user_id"]]
    pair.admin = left


def test_commands_work_on_the_same_accounts(pair):
    person = {"user_id": random_name("command"), "password": random_password(), "user_type": "Kehu"}
    pair.create_by_command(person)
    session = pair.login(0, person)
    pair.stack.run("auth", "disable-user", "--user-id", person["user_id"])
    for index in (0, 1):
        until(lambda index=index: not pair.lives(index, session), "the command has ended the session", timeout=2)


@contextlib.contextmanager
def logging_in(pair, people):
    """Threads that log in at both instances all the time; what they were given, and what else they were answered."""
    given, others, over = [], [], threading.Event()

    def work(index, person):
        while not over.is_set():
            try:
                answer = pair.try_login(index, person)
            except OSError:
                continue
            if answer.status == 200:
                pair.stack.secrets.add(answer.json["session_id"])
                given.append(answer.json["session_id"])
            else:
                others.append(answer.status)

    threads = [
        threading.Thread(target=work, args=(index % 2, person), daemon=True) for index, person in enumerate(people)
    ]
    for thread in threads:
        thread.start()
    try:
        yield given, others
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_no_session_that_was_given_is_lost_when_anything_is_killed(pair):
    people = [pair.create(index % 2) for index in range(4)]
    with logging_in(pair, people) as (given, others):
        for victim in (pair.redis, pair.processes[0], pair.redis, pair.processes[1]):
            count = len(given)
            until(lambda count=count: len(given) > count + 20, "sessions are given", timeout=20)
            victim.kill()
            if victim is not pair.redis:
                # The other one goes on alone.
                count = len(given)
                until(lambda count=count: len(given) > count + 20, "sessions are given", timeout=20)
            victim.start()
    assert len(given) > 100 and set(others) <= {503}, set(others)
    until(lambda: all(pair.lives(index, given[0]) for index in (0, 1)), "both answer")
    for session in given:
        assert all(pair.lives(index, session) for index in (0, 1))


def test_without_redis_nothing_is_decided_and_nobody_is_sent_away(pair):
    person = pair.create(0)
    pair.redis.kill()
    try:
        stranger = pair.call(0, "GET", "/auth/session", secrets.token_urlsafe(32))
        assert_problem(stranger, 503)
        assert_problem(pair.try_login(1, person), 503)
        assert pair.call(0, "GET", "/readyz").status == 503
    finally:
        pair.redis.start()
    until(lambda: pair.try_login(1, person).status == 200, "logins work again", timeout=10)
    until(lambda: pair.call(0, "GET", "/readyz").status == 200, "the other one is ready again", timeout=10)
