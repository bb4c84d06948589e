"""The audit trail: who did what to whom, when and from where, as an administrator reads it."""

import json
import re
import secrets

import pytest

from accounts import Accounts, random_password
from http_client import assert_problem
from routing import conversation_of, write
from stack import stack_with
from tokens import token
from waiting import until

SECRET = secrets.token_hex(32)
SETTINGS = {"auth.password_cost": 1, "auth.exchange_secret": SECRET}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ELSEWHERE = "127.0.0.9"


@pytest.fixture(scope="module")
def accounts(stack):
    return Accounts(stack)


def trail(accounts, limit=500, **filters):
    """All pages of the entries that are asked for, the newest first."""
    found, cursor = [], None
    while True:
        query = "&".join(f"{name}={value}" for name, value in {**filters, "cursor": cursor}.items() if value)
        page = accounts.done("GET", f"/api/audit?limit={limit}&{query}")
        assert len(page["entries"]) <= limit
        found += page["entries"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return found


class Act:
    """Requests with an id and an address of their own, by which their entry is known."""

    def __init__(self, accounts):
        self.accounts, self.request_id = accounts, secrets.token_hex(8)

    def __call__(self, method, path, json=None, by=None):
        answer = self.accounts.stack.http(
            method, path, json=json, session=by and by["session_id"], source=ELSEWHERE,
            headers={"X-Request-Id": self.request_id},
        )
        if answer.status == 200 and "session_id" in answer.json:
            self.accounts.stack.secrets.add(answer.json["session_id"])
        return answer


def log_in(act, person, password=None):
    return act("POST", "/auth/login", {"username": person["user_id"], "password": password or person["password"]})


def as_created(act, person):
    body = {"user_id": person["user_id"] + "-2", "user_type": "Kehu", "password": random_password()}
    return act("POST", "/api/users", body, by=act.accounts.admin)


def change_password(act, person):
    body = {"old_password": person["password"], "new_password": random_password()}
    return act("PUT", "/api/users/me/password", body, by=person)


def of(person, what=""):
    return f"/api/users/{person['user_id']}{what}"


ADMIN, SELF, NOBODY = "support001", "{self}", None
# What is done → its answer, its event, who did it, to whom, and the entry's details.
EVENTS = {
    "a login": (log_in, 200, "login", SELF, NOBODY, {}),
    "a wrong password": (lambda act, one: log_in(act, one, random_password()), 401, "login_failed", NOBODY, SELF, {}),
    "a guest": (lambda act, one: act("POST", "/auth/guest"), 200, "guest_login", "guest", NOBODY, {}),
    "a token": (
        lambda act, one: act("POST", "/auth/exchange", {"token": token(SECRET, one["user_id"])}), 200,
        "exchange_login", SELF, NOBODY, {},
    ),
    "a forged token": (
        lambda act, one: act("POST", "/auth/exchange", {"token": "x"}), 401, "login_failed", NOBODY, NOBODY,
        {"by": "token"},
    ),
    "a logout": (lambda act, one: act("POST", "/auth/logout", by=one), 200, "logout", SELF, NOBODY, {}),
    "one's own sessions": (
        lambda act, one: act("DELETE", "/api/users/me/sessions", by=one), 200, "sessions_ended", SELF, SELF, {},
    ),
    "somebody's sessions": (
        lambda act, one: act("DELETE", of(one, "/sessions"), by=act.accounts.admin), 200, "sessions_ended", ADMIN,
        SELF, {},
    ),
    "one session": (
        lambda act, one: act("DELETE", of(one, f"/sessions/{act.accounts.handles(one)[0]}"), by=act.accounts.admin),
        204, "sessions_ended", ADMIN, SELF, {},
    ),
    "a new account": (
        as_created, 201, "user_created", ADMIN, "{self}-2", {"user_type": "Kehu", "is_admin": "false"},
    ),
    "one's own name": (
        lambda act, one: act("PATCH", "/api/users/me", {"user_name": "A secret name"}, by=one), 200, "user_updated",
        SELF, SELF, {"changed": "user_name"},
    ),
    "another role": (
        lambda act, one: act("PATCH", of(one), {"user_type": "Kefu", "capacity": 3}, by=act.accounts.admin), 200,
        "user_updated", ADMIN, SELF, {"changed": "user_type,capacity", "user_type": "Kefu", "capacity": "3"},
    ),
    "disabled": (
        lambda act, one: act("PATCH", of(one), {"disabled": True}, by=act.accounts.admin), 200, "user_updated", ADMIN,
        SELF, {"changed": "disabled", "disabled": "true"},
    ),
    "deleted": (lambda act, one: act("DELETE", of(one), by=act.accounts.admin), 204, "user_deleted", ADMIN, SELF, {}),
    "one's own password": (change_password, 204, "password_changed", SELF, SELF, {}),
    "a wrong old password": (
        lambda act, one: change_password(act, {**one, "password": random_password()}), 403, "login_failed", SELF, SELF,
        {},
    ),
    "somebody's password": (
        lambda act, one: act("PUT", of(one, "/password"), {"new_password": random_password()}, by=act.accounts.admin),
        204, "password_reset", ADMIN, SELF, {},
    ),
}


@pytest.mark.parametrize("what", EVENTS)
def test_what_is_done_is_an_entry_and_a_log_line(stack, accounts, what):
    do, status, event, actor, subject, details = EVENTS[what]
    person, act = accounts.person(), Act(accounts)
    answer = do(act, person)
    assert answer.status == status, answer
    if actor == "guest":
        actor = answer.json["user_id"]
    entries = [entry for entry in trail(accounts, event=event) if entry.get("request_id") == act.request_id]
    assert len(entries) == 1, entries
    entry = entries[0]
    expected = {
        "event": event, "remote_address": ELSEWHERE, "request_id": act.request_id,
        "actor_id": actor and actor.format(self=person["user_id"]),
        "user_id": subject and subject.format(self=person["user_id"]), "details": details,
    }
    shown = {name: value for name, value in entry.items() if name not in ("number", "at")}
    assert shown == {name: value for name, value in expected.items() if value}
    assert type(entry["number"]) is int and TIME.fullmatch(entry["at"])
    lines = [json.loads(line) for line in stack.auth.log_text().splitlines() if act.request_id in line]
    line = [line for line in lines if line["event"] == event]
    assert len(line) == 1 and line[0]["remote_address"] == ELSEWHERE, lines
    assert all(line[0].get(name) == entry.get(name) for name in ("actor_id", "user_id"))


def test_what_changes_nothing_is_no_entry(accounts):
    person = accounts.person()
    before = trail(accounts, user_id=person["user_id"])
    for method, path, body, by in (
        ("PATCH", of(person), {"user_name": person["user_id"], "disabled": False}, None),
        ("DELETE", "/api/users/me/sessions?except=current", None, person),
        ("GET", of(person), None, None), ("PATCH", of(person), {"capacity": 7}, None),
    ):
        accounts.call(method, path, body, by=by)
    assert trail(accounts, user_id=person["user_id"]) == before


def test_commands_are_in_the_trail(stack, accounts):
    person = accounts.create()
    file = stack.directory / "password"
    file.write_text(random_password())
    stack.run("auth", "reset-password", "--user-id", person["user_id"], "--password-file", str(file))
    stack.run("auth", "disable-user", "--user-id", person["user_id"])
    entries = trail(accounts, user_id=person["user_id"])
    assert [entry["event"] for entry in entries] == ["user_updated", "password_reset", "user_created"]
    for entry in entries[:2]:
        assert "actor_id" not in entry and "remote_address" not in entry, entry


def test_the_trail_is_filtered_and_paged(accounts):
    people = [accounts.person() for _ in range(4)]
    for person in people:
        accounts.done("PATCH", of(person), {"user_name": "one"})
        accounts.done("PATCH", "/api/users/me", {"user_name": "two"}, by=person)
    everything = trail(accounts)
    order = [(entry["at"], entry["number"]) for entry in everything]
    assert order == sorted(set(order), reverse=True)
    middle = everything[len(everything) // 2]["at"]
    one = people[0]["user_id"]
    for filters, fits in (
        ({"actor_id": one}, lambda entry: entry.get("actor_id") == one),
        ({"user_id": one}, lambda entry: entry.get("user_id") == one),
        ({"event": "user_updated"}, lambda entry: entry["event"] == "user_updated"),
        ({"event": "login", "actor_id": one}, lambda entry: (entry["event"], entry.get("actor_id")) == ("login", one)),
        ({"actor_id": one, "user_id": one}, lambda entry: entry.get("actor_id") == entry.get("user_id") == one),
        ({"from": middle}, lambda entry: entry["at"] >= middle),
        ({"to": middle}, lambda entry: entry["at"] < middle),
        ({"from": middle, "to": middle}, lambda entry: False),
        ({"conversation_id": "c:nobody-here"}, lambda entry: False),
    ):
        # Reading adds nothing.
        assert trail(accounts, **filters) == [entry for entry in everything if fits(entry)], filters
        assert trail(accounts, limit=7, **filters) == trail(accounts, **filters), filters
    for query in (
        "limit=0", "limit=501", "event=nonsense", "from=yesterday", "to=2026-13-01T00:00:00Z", "cursor=x",
        "actor_id=a%20b", "user_id=%2f",
    ):
        assert_problem(accounts.call("GET", f"/api/audit?{query}"), 400, detail=query.split("=")[0])
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert_problem(accounts.call(method, "/api/audit", {}), 405)


def test_it_outlives_a_kill_of_auth():
    with stack_with({"auth.password_cost": 1}) as stack:
        accounts = Accounts(stack)
        person = accounts.create()
        accounts.done("DELETE", of(person))
        before = trail(accounts)
        assert [entry["event"] for entry in before[:2]] == ["user_deleted", "user_created"]
        stack.auth.kill()
        stack.auth.start()
        assert trail(accounts) == before


# Who reads a customer's conversation


def reads(accounts, **filters):
    return trail(accounts, event="conversation_read", **filters)


def test_agents_reads_of_conversations_are_in_the_trail(stack, accounts):
    customer, reader, framer, admin = (
        accounts.person(), accounts.person("Kefu"), accounts.person("Kefu"), accounts.person("Kefu", is_admin=True)
    )
    name = conversation_of(customer)
    with stack.chat(customer) as chat:
        write(chat)
        chat.send({"type": "HistoryRequest", "conversation_id": name})
        chat.expect("History")
    assert accounts.call("GET", f"/api/messages?conversation_id={name}", by=customer).status == 200
    for login in (reader, admin):
        for _ in range(3):
            answer = stack.http(
                "GET", f"/api/messages?conversation_id={name}", session=login["session_id"], source=ELSEWHERE
            )
            assert answer.status == 200, answer
    with stack.chat(framer) as chat:
        chat.send({"type": "HistoryRequest", "conversation_id": name})
        chat.expect("History")

    def readers():
        return {entry["actor_id"] for entry in reads(accounts, conversation_id=name)}

    expected = {login["user_id"] for login in (reader, framer, admin)}
    until(lambda: readers() == expected, "each reader is in the trail, and not the customer", timeout=20)
    # Reads within a minute are one; two, when they lay around its end.
    for login, address in ((reader, ELSEWHERE), (admin, ELSEWHERE), (framer, "127.0.0.1")):
        found = reads(accounts, actor_id=login["user_id"])
        assert 1 <= len(found) <= 2, found
        for entry in found:
            assert (entry["conversation_id"], entry["remote_address"]) == (name, address), entry
            assert "user_id" not in entry and "details" not in entry, entry


def test_a_read_while_auth_is_away_is_reported_later(stack, accounts):
    customer, reader = accounts.person(), accounts.person("Kefu")
    with stack.chat(customer) as chat, stack.chat(reader) as support:
        write(chat)
        stack.auth.kill()
        try:
            support.send({"type": "HistoryRequest", "conversation_id": conversation_of(customer)})
            support.expect("History")
        finally:
            stack.auth.start()
        until(lambda: reads(accounts, actor_id=reader["user_id"]), "the read is reported", timeout=30)
        assert len(reads(accounts, actor_id=reader["user_id"])) == 1
