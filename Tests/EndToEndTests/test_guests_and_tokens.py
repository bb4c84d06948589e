"""Sessions without a password: guests, and customers whom the operator's own site has logged in."""

import re
import secrets
import time

import pytest

from accounts import Accounts, random_name, random_password
from http_client import assert_problem
from routing import conversation_of, write
from stack import ROOT, stack_with
from tokens import claims_of, encoded, signed, token

SECRET, PREVIOUS = secrets.token_hex(32), secrets.token_hex(32)
# What is refused here is no attack.
SETTINGS = {
    "auth.exchange_secret": SECRET, "auth.exchange_secret_previous": PREVIOUS,
    "auth.login_account_failures_max": 1_000_000, "auth.login_address_failures_max": 1_000_000,
}
REST = ("/auth/session", "/api/users/me", "/api/presence/me", "/api/conversations", "/api/messages?with=support001")


@pytest.fixture(scope="module")
def accounts(stack):
    one = Accounts(stack)
    stack.secrets.update((SECRET, PREVIOUS))
    return one


def guest(stack, **options):
    answer = stack.http("POST", "/auth/guest", **options)
    assert answer.status == 200, answer
    stack.secrets.add(answer.json["session_id"])
    return answer.json


# Guests


def test_a_guest_chats_with_an_agent(stack, accounts):
    agent = accounts.person("Kefu")
    login = guest(stack, json={"user_name": " Zoe\u0308 "})
    assert re.fullmatch(r"guest-[A-Za-z0-9_-]{16}", login["user_id"]) and login["user_type"] == "Kehu"
    assert login["user_name"] == "Zo\u00eb"
    with stack.chat(agent) as support, stack.chat(login) as chat:
        assert chat.welcome["user_name"] == "Zo\u00eb"
        ack = write(chat, "I am new here", to_user_id=agent["user_id"])
        assert ack["conversation_id"] == conversation_of(login)
        entry = support.expect("Chat", content="I am new here")
        assert entry["from_user_id"] == login["user_id"]
        support.send({"type": "Chat", "to_user_id": login["user_id"], "content": "welcome"})
        chat.expect("Chat", content="welcome", from_user_id=agent["user_id"])
    # Another device of the same guest, by the session that it was given.
    with stack.chat(login) as chat:
        chat.settle()
    assert stack.history(login["session_id"], f"conversation_id={ack['conversation_id']}")[0]["content"]


def test_a_guest_is_a_customer_like_others(stack, accounts):
    login = guest(stack)
    for path in REST:
        assert stack.http("GET", path, session=login["session_id"]).status == 200, path
    document = accounts.done("GET", "/api/users/me", by=login)
    assert document["user_type"] == "Kehu" and not document["is_admin"], document
    assert accounts.done("PATCH", "/api/users/me", {"user_name": "Zoe"}, by=login)["user_name"] == "Zoe"
    # Two guests are two people.
    other = guest(stack)
    assert other["user_id"] != login["user_id"]
    assert_problem(stack.http(
        "GET", f"/api/messages?conversation_id={conversation_of(other)}", session=login["session_id"]
    ), 404)


def test_a_guest_does_not_become_anything_else(stack, accounts):
    login = guest(stack)
    path = f"/api/users/{login['user_id']}"
    assert_problem(accounts.call("PATCH", path, {"user_type": "Kefu"}), 422, "invalid_field", "user_type")
    for by in (login, accounts.admin):
        body = {"old_password": "", "new_password": random_password()}
        if by is accounts.admin:
            del body["old_password"]
        assert_problem(accounts.call("PUT", path + "/password", body, by=by), 404)
    # Nobody logs in as one, is made one, or comes with a token as one.
    body = {"username": login["user_id"], "password": random_password()}
    assert_problem(stack.http("POST", "/auth/login", json=body), 401, "invalid_credentials")
    taken = {"user_id": random_name("guest"), "user_type": "Kehu", "password": random_password()}
    assert_problem(accounts.call("POST", "/api/users", taken), 422, "invalid_field", "user_id")
    for name in (login["user_id"], random_name("guest")):
        assert_problem(exchange(stack, token(SECRET, name)), 401, "invalid_token", "sub")


def test_a_bad_guest_is_told_what_is_wrong(stack):
    for body, field in (
        ({"user_name": ""}, "user_name"), ({"user_name": "x" * 129}, "user_name"), ({"user_name": 7}, "user_name"),
        ({"user_name": "a\nb"}, "user_name"), ({"user_name": "a\u202eb"}, "user_name"), ({"user_id": "me"}, "user_id"),
        ([], "body"),
    ):
        assert_problem(stack.http("POST", "/auth/guest", json=body), 422, "invalid_field", field)


def test_guests_may_be_limited_and_turned_off():
    with stack_with({"auth.guests_per_minute_max": 3}) as stack:
        for _ in range(3):
            guest(stack)
        limited = stack.http("POST", "/auth/guest")
        assert_problem(limited, 429, "too_many_attempts")
        assert 1 <= int(limited.header("Retry-After")) <= 20
        # It is a limit of one address.
        guest(stack, source="127.0.0.2")
        assert stack.http("GET", "/api/config").json["features"]["guests"] is True
    with stack_with({"auth.guests": False}) as stack:
        assert_problem(stack.http("POST", "/auth/guest"), 403, "guests_disabled")
        assert stack.http("GET", "/api/config").json["features"]["guests"] is False
        assert_problem(exchange(stack, token(SECRET, "anna")), 403, "exchange_disabled")


# Tokens of the operator's site


def exchange(stack, text):
    return stack.http("POST", "/auth/exchange", json={"token": text})


def exchanged(stack, text):
    answer = exchange(stack, text)
    assert answer.status == 200, answer
    stack.secrets.update((answer.json["session_id"], text))
    return answer.json


def test_a_token_is_good_for_one_session(stack, accounts):
    name = random_name("site")
    text = token(SECRET, name, name="Anna")
    login = exchanged(stack, text)
    assert (login["user_id"], login["user_name"], login["user_type"]) == (name, "Anna", "Kehu")
    for path in REST:
        assert stack.http("GET", path, session=login["session_id"]).status == 200, path
    with stack.chat(login) as chat:
        write(chat)
        assert_problem(exchange(stack, text), 401, "invalid_token", "jti")
        chat.settle()
    # The next token is the same customer's next session; the site's word on the name is the last one.
    again = exchanged(stack, token(SECRET, name, name="Anna B."))
    assert (again["user_id"], again["user_name"]) == (name, "Anna B.")
    assert again["session_id"] != login["session_id"]
    assert accounts.done("GET", f"/api/users/{name}")["user_name"] == "Anna B."
    assert stack.history(again["session_id"], f"conversation_id=c:{name}")
    # While the site changes over, both secrets hold.
    exchanged(stack, token(PREVIOUS, name))


def test_the_example_for_the_site_works_as_printed(stack):
    document = (ROOT / "Services/auth/API.md").read_text()
    example = {}
    exec(re.search(r"```python\n(.*?)```", document, re.DOTALL)[1], example)
    answer = exchange(stack, example["token"]("site-8", "Ann", SECRET.encode()))
    assert answer.status == 200 and answer.json["user_id"] == "site-8" and answer.json["user_name"] == "Ann"
    stack.secrets.add(answer.json["session_id"])


def altered(text):
    """The token, saying something else than was signed."""
    head, _, signature = text.split(".")
    return f"{head}.{encoded(str(claims_of('somebody-else')).replace(chr(39), chr(34)).encode())}.{signature}"


def from_now(**seconds):
    """Claims that are times, when the token is made: long after the tests were collected, maybe."""
    return lambda: {name: int(time.time()) + value for name, value in seconds.items()}


HS256 = {"alg": "HS256"}
# Not signed by the site: the answer does not say what is wrong.
FORGED = {
    "wrong secret": lambda name: token(secrets.token_hex(32), name),
    "no algorithm": lambda name: signed({"alg": "none"}, claims_of(name), "").rsplit(".", 1)[0] + ".",
    "no algorithm, no secret": lambda name: signed({"alg": "none"}, claims_of(name), ""),
    "altered": lambda name: altered(token(SECRET, name)),
    "cut off": lambda name: token(SECRET, name)[:-1],
    "two parts": lambda name: token(SECRET, name).rsplit(".", 1)[0],
    "four parts": lambda name: token(SECRET, name) + ".",
    "padded": lambda name: token(SECRET, name) + "=",
    "nothing": lambda name: "..",
    "no token": lambda name: "x",
    "too long": lambda name: token(SECRET, name, more="x" * 4096),
}
# Signed by the site, and wrong: the answer says why.
REFUSED = {
    "expired": ("exp", HS256, from_now(iat=-400, exp=-200)),
    "lives too long": ("exp", HS256, from_now(iat=0, exp=301)),
    "not yet issued": ("iat", HS256, from_now(iat=600, exp=660)),
    "not yet good": ("nbf", HS256, from_now(nbf=600)),
    "without end": ("exp", HS256, {"exp": None}),
    "without id": ("jti", HS256, {"jti": None}),
    "of nobody": ("sub", HS256, {"sub": "a b"}),
    "for somebody else": ("aud", HS256, {"aud": "another-site"}),
    "signed, and says that it is not": ("alg", {"alg": "none"}, {}),
    "another algorithm": ("alg", {"alg": "HS512"}, {}),
    "critical": ("crit", {**HS256, "crit": ["exp"]}, {}),
    "another type": ("typ", {**HS256, "typ": "at+jwt"}, {}),
    "bad name": ("name", HS256, {"name": "a\nb"}),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_token_is_refused_without_a_reason(stack, kind):
    name = random_name("site")
    document = assert_problem(exchange(stack, FORGED[kind](name)), 401, "invalid_token")
    assert document["detail"] == "token: not signed with this stack's secret", document


@pytest.mark.parametrize("kind", REFUSED)
def test_a_signed_token_that_is_wrong_is_refused_with_the_reason(stack, kind):
    rule, header, claims = REFUSED[kind]
    members = claims() if callable(claims) else claims
    text = token(SECRET, random_name("site"), header=header, **members)
    assert_problem(exchange(stack, text), 401, "invalid_token", f"token: {rule}")


def test_a_token_does_not_make_an_agent_of_its_bearer(stack, accounts):
    for person in (accounts.create("Kefu"), {"user_id": "support001"}):
        assert_problem(exchange(stack, token(SECRET, person["user_id"])), 403, "forbidden")
    disabled, deleted = accounts.create(), accounts.create()
    accounts.done("PATCH", f"/api/users/{disabled['user_id']}", {"disabled": True})
    accounts.done("DELETE", f"/api/users/{deleted['user_id']}")
    for person in (disabled, deleted):
        assert_problem(exchange(stack, token(SECRET, person["user_id"])), 403, "forbidden")
    # A customer whom this stack knows already is the same one.
    known = accounts.create(user_name="Anna")
    assert exchanged(stack, token(SECRET, known["user_id"], name="Anna"))["user_id"] == known["user_id"]


def test_an_audience_must_be_named():
    settings = {"auth.exchange_secret": SECRET, "auth.exchange_audience": "https://chat.example"}
    with stack_with(settings) as stack:
        exchanged(stack, token(SECRET, "anna", aud="https://chat.example"))
        exchanged(stack, token(SECRET, "anna", aud=["https://other.example", "https://chat.example"]))
        for claims in ({}, {"aud": "https://other.example"}, {"aud": []}):
            assert_problem(exchange(stack, token(SECRET, "anna", **claims)), 401, "invalid_token", "aud")
