"""Accounts as an administrator keeps them, and the audit trail of it, through nginx."""

import re
import unicodedata

import pytest

from accounts import Accounts, random_name, random_password
from http_client import assert_problem
from stack import stack_with

SETTINGS = {"auth.password_cost": 1}
MEMBERS = {"user_id", "user_name", "user_type", "is_admin", "disabled", "capacity", "created_at"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def accounts(stack):
    return Accounts(stack)


def path_of(person, what=""):
    return f"/api/users/{person['user_id']}{what}"


def listed(accounts, query="", path="/api/users", member="users", limit=200):
    """All pages of a list."""
    found, cursor = [], ""
    while True:
        page = accounts.done("GET", f"{path}?limit={limit}&{query}{cursor}")
        assert len(page[member]) <= limit
        found += page[member]
        if "next_cursor" not in page:
            return found
        assert len(page[member]) == limit, "only a full page has a next one"
        cursor = f"&cursor={page['next_cursor']}"


def errors(answer):
    """The members that a 422 names: pointer → rule."""
    document = assert_problem(answer, 422, "invalid_field")
    found = {error["pointer"]: error["detail"] for error in document["errors"]}
    assert len(found) == len(document["errors"])
    # The detail says the same for those who read only that; a pointer is escaped (RFC 6901).
    for pointer, rule in found.items():
        name = pointer.removeprefix("#/").replace("~1", "/").replace("~0", "~")
        assert f"{name}: {rule}" in document["detail"].split("; "), document
    return found


# Accounts


def test_an_account_is_what_it_was_created_as(stack, accounts):
    body = {
        "user_id": random_name("kefu"), "user_name": "Änne 支持", "user_type": "agent", "is_admin": True, "capacity": 7,
        "disabled": False, "password": random_password(),
    }
    answer = accounts.call("POST", "/api/users", body)
    assert answer.status == 201, answer
    assert answer.header("Location") == path_of(body)
    created = answer.json
    assert set(created) == MEMBERS and TIME.fullmatch(created["created_at"]), created
    wanted = {name: value for name, value in body.items() if name != "password"} | {"user_type": "Kefu"}
    assert {name: created[name] for name in wanted} == wanted
    assert accounts.done("GET", path_of(body)) == created
    assert created in listed(accounts)
    login = accounts.login({**created, "password": body["password"]})
    assert accounts.done("GET", "/api/users/me", by=login) == created
    # What is left out.
    plain = accounts.create()
    document = accounts.done("GET", path_of(plain))
    assert (document["user_name"], document["is_admin"], document["disabled"], document["capacity"]) == (
        plain["user_id"], False, False, None
    )


def test_the_list_is_paged_and_filtered(accounts):
    people = [accounts.create() for _ in range(5)] + [accounts.create("Kefu") for _ in range(3)]
    accounts.done("PATCH", path_of(people[0]), {"disabled": True})
    accounts.done("PATCH", path_of(people[-1]), {"is_admin": True})
    everybody = listed(accounts)
    names = [user["user_id"] for user in everybody]
    assert names == sorted(set(names)) and {person["user_id"] for person in people} <= set(names)
    assert listed(accounts, limit=1) == listed(accounts, limit=3) == everybody
    for query, fits in (
        ("user_type=Kehu", lambda user: user["user_type"] == "Kehu"),
        ("user_type=support", lambda user: user["user_type"] == "Kefu"),
        ("disabled=true", lambda user: user["disabled"]), ("disabled=false", lambda user: not user["disabled"]),
        ("is_admin=true", lambda user: user["is_admin"]), ("is_admin=false", lambda user: not user["is_admin"]),
        ("user_type=Kehu&is_admin=true", lambda user: False),
        ("user_type=Kefu&is_admin=false&disabled=false", lambda user: (
            user["user_type"] == "Kefu" and not user["is_admin"] and not user["disabled"]
        )),
    ):
        assert listed(accounts, query, limit=2) == [user for user in everybody if fits(user)], query
    for query in (
        "limit=0", "limit=201", "limit=x", "user_type=Boss", "disabled=maybe", "is_admin=2", "cursor=a%20b",
    ):
        assert_problem(accounts.call("GET", f"/api/users?{query}"), 400, detail=query.split("=")[0])


def test_an_account_is_changed(accounts):
    person = accounts.create("Kefu", capacity=3)
    before = accounts.done("GET", path_of(person))
    for change, after in (
        ({}, {}), ({"user_name": "Berta"}, {}), ({"capacity": 9}, {}), ({"capacity": None}, {}),
        ({"is_admin": True}, {}), ({"disabled": True}, {}), ({"disabled": False, "capacity": 5}, {}),
        # What only agents have goes with it.
        ({"user_type": "customer"}, {"user_type": "Kehu", "is_admin": False, "capacity": None}),
        ({"user_type": "Kefu"}, {}),
    ):
        before = {**before, **change, **after}
        assert accounts.done("PATCH", path_of(person), change) == before
        assert accounts.done("GET", path_of(person)) == before


def test_all_that_is_wrong_is_named_at_once(accounts):
    answer = accounts.call("POST", "/api/users", {
        "user_id": "a b", "user_name": "", "user_type": "Boss", "is_admin": "yes", "disabled": 1, "capacity": 0,
        "password": "short", "passwrod": "x", "a/b~c": 1,
    })
    found = errors(answer)
    assert set(found) == {
        "#/user_id", "#/user_name", "#/user_type", "#/is_admin", "#/disabled", "#/capacity", "#/password",
        "#/passwrod", "#/a~1b~0c",
    }
    assert found["#/password"] == "must have at least 8 characters"
    assert set(errors(accounts.call("POST", "/api/users", {}))) == {"#/user_id", "#/user_type", "#/password"}
    customer = {"user_id": random_name("kehu"), "user_type": "Kehu", "password": random_password()}
    answer = accounts.call("POST", "/api/users", {**customer, "is_admin": True, "capacity": 3})
    assert set(errors(answer)) == {"#/is_admin", "#/capacity"}
    person = accounts.create()
    for body, pointers in (
        ({"user_name": None, "is_admin": None}, {"#/user_name", "#/is_admin"}),
        ({"password": random_password()}, {"#/password"}), ({"user_id": "other", "x": {}}, {"#/user_id", "#/x"}),
        ({"capacity": 1.5, "user_name": ["a"]}, {"#/capacity", "#/user_name"}), ({"is_admin": True}, {"#/is_admin"}),
        ({"capacity": 4}, {"#/capacity"}), ({"user_name": "good", "disabled": "no"}, {"#/disabled"}),
    ):
        assert set(errors(accounts.call("PATCH", path_of(person), body))) == pointers, body
    assert set(errors(accounts.call("PUT", path_of(person, "/password"), {"new": "x"}))) == {"#/new_password", "#/new"}
    for body in ("[]", "7", '"x"', "null"):
        answer = accounts.call("PATCH", path_of(person), body=body, headers={"Content-Type": "application/json"})
        assert_problem(answer, 422, "invalid_field", "body")
    answer = accounts.call("PATCH", path_of(person), body="{", headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, "malformed_json")
    # Nothing of all that was done.
    assert accounts.done("GET", path_of(person))["user_name"] == person["user_id"]


@pytest.mark.parametrize("name", [
    "", " ", "me", "online", "system", "guest-abc", ".", "..", "a/b", "ä", "a b", "x" * 65, "a\n", "a:b",
])
def test_some_ids_are_nobodys(accounts, name):
    answer = accounts.call("POST", "/api/users", {"user_id": name, "user_type": "Kehu", "password": random_password()})
    assert set(errors(answer)) == {"#/user_id"}


# As typed → as kept; None: refused.
NAMES = {
    "decomposed": ("Zoe\u0308", "Zoë"), "white space": ("\u3000 Li \t\u00a0", "Li"), "hangul": ("\u1100\u1161", "가"),
    "emoji": ("👩\u200d🔬", "👩\u200d🔬"), "persian": ("می\u200cخواهم", "می\u200cخواهم"),
    "longest": ("长" * 42 + "ab", "长" * 42 + "ab"),
    "too long": ("长" * 43, None), "control": ("a\u0007b", None), "line": ("a\u2028b", None),
    "turned": ("a\u202eb", None), "bom": ("a\ufeffb", None), "nothing to see": ("\u200d", None),
    "only white space": (" \u3000", None), "private": ("a\ue000", None), "nul": ("a\u0000b", None),
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_are_kept_in_one_form(stack, accounts, kind):
    typed, kept = NAMES[kind]
    person = accounts.person()
    for by in (accounts.admin, person):
        answer = accounts.call("PATCH", path_of(person), {"user_name": typed}, by=by)
        if kept is None:
            assert set(errors(answer)) == {"#/user_name"}
        else:
            assert answer.status == 200 and answer.json["user_name"] == kept, answer
            assert stack.http("GET", "/auth/session", session=person["session_id"]).json["user_name"] == kept


def test_a_password_is_the_same_however_it_is_typed(stack, accounts):
    composed = "Zoë-ñandú-" + random_password()
    typed = unicodedata.normalize("NFD", composed)
    assert typed != composed
    for set_as, typed_as in ((composed, typed), (typed, composed)):
        person = accounts.create(password=set_as)
        stack.login(person["user_id"], typed_as)
    stack.secrets.update((composed, typed))


@pytest.mark.parametrize("password,rule", [
    ("short-1", "at least 8"), ("password123", "common"), ("PassWord123", "common"), ("aaaaaaaaaaaa", "over and over"),
    ("x" * 512, "at most 511"), ("{user_id}", "name"), ("{USER_ID}", "name"), ("with\u0000zero-inside", "U+0000"),
])
def test_a_weak_password_is_not_taken(accounts, password, rule):
    person = accounts.person()
    password = password.format(user_id=person["user_id"], USER_ID=person["user_id"].upper())
    body = {"old_password": person["password"], "new_password": password}
    for answer in (
        accounts.call("PUT", path_of(person, "/password"), {"new_password": password}),
        accounts.call("PUT", "/api/users/me/password", body, by=person),
    ):
        assert rule in errors(answer)["#/new_password"]
    accounts.login(person)


# Who goes and who must stay


def test_a_deleted_id_is_never_given_out_again(stack, accounts):
    person = accounts.person()
    accounts.done("DELETE", path_of(person))
    for answer in (
        accounts.call("GET", path_of(person)), accounts.call("PATCH", path_of(person), {"user_name": "x"}),
        accounts.call("DELETE", path_of(person)), accounts.call("GET", path_of(person, "/sessions")),
        accounts.call("PUT", path_of(person, "/password"), {"new_password": random_password()}),
    ):
        assert_problem(answer, 404, "not_found")
    assert person["user_id"] not in {user["user_id"] for user in listed(accounts)}
    again = {"user_id": person["user_id"], "user_type": "Kehu", "password": random_password()}
    assert_problem(accounts.call("POST", "/api/users", again), 409, "user_exists", person["user_id"])
    body = {"username": person["user_id"], "password": person["password"]}
    assert_problem(stack.http("POST", "/auth/login", json=body), 401, "invalid_credentials")
    # As does one that somebody has.
    assert_problem(accounts.call("POST", "/api/users", {**again, "user_id": "test"}), 409, "user_exists")


def test_the_last_administrator_stays():
    with stack_with({"auth.password_cost": 1}) as stack:
        accounts = Accounts(stack)

        def goes(login, what):
            """How an administrator would no longer be one."""
            if what == "delete":
                return accounts.call("DELETE", path_of(login), by=login)
            return accounts.call("PATCH", path_of(login), what, by=login)

        ways = ["delete", {"disabled": True}, {"is_admin": False}, {"user_type": "Kehu"}]
        for what in ways:
            assert_problem(goes(accounts.admin, what), 409, "last_administrator")
        # One who cannot log in does not count.
        other = accounts.create("Kefu", is_admin=True, disabled=True)
        for what in ways:
            assert_problem(goes(accounts.admin, what), 409, "last_administrator")
        accounts.done("PATCH", path_of(other), {"disabled": False})
        successor = accounts.login(other)
        assert goes(accounts.admin, {"is_admin": False}).status == 200
        for what in ways:
            assert_problem(goes(successor, what), 409, "last_administrator")
        assert accounts.call("GET", "/api/users", by=successor).status == 200
