"""Who may do what: every public route, asked by nobody, a customer, an agent and an administrator.

Each cell of the table is a request through nginx with an account, a session and things of its own.
"""

import re
import secrets

import pytest

from accounts import FILE, Accounts, random_name, random_password
from http_client import assert_problem, filled, request
from routes import registered, registered_publicly, route_of
from routing import FLOOR_SETTINGS, act, set_status, write
from stack import SERVICES
from tokens import token

EXCHANGE_SECRET = secrets.token_hex(32)
SETTINGS = {
    **FLOOR_SETTINGS, "presence.agent_capacity": 1000, "auth.password_cost": 1, "auth.guests_per_minute_max": 1000,
    "auth.exchange_secret": EXCHANGE_SECRET,
}
ROLES = ("anonymous", "customer", "agent", "administrator")

LOGIN = {"username": "{other}", "password": "{other_password}", "user_type": "Kehu"}
WRONG = {**LOGIN, "password": "not-this-one"}
NEW_USER = {"user_id": "{new_name}", "user_type": "Kehu", "password": "{new_password}"}
NAMED = {"user_name": "Another Name"}
OWN_PASSWORD = {"old_password": "{password}", "new_password": "{new_password}"}
RESET = {"new_password": "{new_password}"}
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
PART = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
OVERRIDE = {**PART, "X-HTTP-Method-Override": "PATCH"}
HEADERS = (UPGRADE, TUS, PART, OVERRIDE)
U, W = "/api/users", "/api/conversations"

# {other} is another customer, {support} an agent who is connected; {handle} a session of the caller's other than the
# one that asks. {mine} is the caller's conversation: the customer's own, or one that the agent serves; {theirs} is
# another customer's and served by {support}; {waiting} is another customer's and has no agent.
AUTH = [
    # method, path, body                                               anonymous customer agent administrator
    ("POST", "/login", LOGIN,                                                 200, 200, 200, 200),
    ("POST", "/login", WRONG,                                                 401, 401, 401, 401),
    ("POST", "/guest", {},                                                    200, 200, 200, 200),
    ("POST", "/exchange", {"token": "{token}"},                               200, 200, 200, 200),
    ("POST", "/logout", None,                                                 422, 200, 200, 200),
    ("POST", "/logout", {"session_id": "{other_session}"},                    200, 200, 200, 200),
    ("GET", "/session", None,                                                 401, 200, 200, 200),
    ("POST", "/session/refresh", None,                                        401, 200, 200, 200),
]
MATRIX = [
    *((method, prefix + path, *rest) for prefix in ("/auth", "/api/auth") for method, path, *rest in AUTH),
    # Accounts
    ("GET", U, None,                                                          401, 403, 403, 200),
    ("GET", U + "?user_type=Kehu&limit=1", None,                              401, 403, 403, 200),
    ("POST", U, NEW_USER,                                                     401, 403, 403, 201),
    ("GET", U + "/me", None,                                                  401, 200, 200, 200),
    ("GET", U + "/{user}", None,                                              401, 200, 200, 200),
    ("GET", U + "/{other}", None,                                             401, 403, 403, 200),
    ("GET", U + "/nobody-here", None,                                         401, 403, 403, 404),
    ("PATCH", U + "/me", NAMED,                                               401, 200, 200, 200),
    ("PATCH", U + "/me", {"disabled": False},                                 401, 403, 403, 200),
    ("PATCH", U + "/me", {"is_admin": True},                                  401, 403, 403, 200),
    ("PATCH", U + "/me", {"user_type": "Kefu"},                               401, 403, 403, 200),
    ("PATCH", U + "/me", {"capacity": 3},                                     401, 403, 403, 200),
    ("PATCH", U + "/{other}", NAMED,                                          401, 403, 403, 200),
    ("PATCH", U + "/{other}", {"disabled": True},                             401, 403, 403, 200),
    ("PATCH", U + "/nobody-here", NAMED,                                      401, 403, 403, 404),
    ("DELETE", U + "/me", None,                                               401, 403, 403, 204),
    ("DELETE", U + "/{other}", None,                                          401, 403, 403, 204),
    ("DELETE", U + "/nobody-here", None,                                      401, 403, 403, 404),
    ("PUT", U + "/me/password", OWN_PASSWORD,                                 401, 204, 204, 204),
    ("PUT", U + "/me/password", {**OWN_PASSWORD, "old_password": "wrong"},    401, 403, 403, 403),
    ("PUT", U + "/me/password", RESET,                                        401, 422, 422, 422),
    ("PUT", U + "/{other}/password", RESET,                                   401, 403, 403, 204),
    ("PUT", U + "/nobody-here/password", RESET,                               401, 403, 403, 404),
    ("GET", U + "/me/sessions", None,                                         401, 200, 200, 200),
    ("GET", U + "/{other}/sessions", None,                                    401, 403, 403, 200),
    ("GET", U + "/nobody-here/sessions", None,                                401, 403, 403, 404),
    ("DELETE", U + "/me/sessions", None,                                      401, 200, 200, 200),
    ("DELETE", U + "/me/sessions?except=current", None,                       401, 200, 200, 200),
    ("DELETE", U + "/{other}/sessions", None,                                 401, 403, 403, 200),
    ("DELETE", U + "/nobody-here/sessions", None,                             401, 403, 403, 404),
    ("DELETE", U + "/me/sessions/{handle}", None,                             401, 204, 204, 204),
    ("DELETE", U + "/me/sessions/{other_handle}", None,                       401, 404, 404, 404),
    ("DELETE", U + "/{other}/sessions/{other_handle}", None,                  401, 403, 403, 204),
    ("DELETE", U + "/nobody-here/sessions/{other_handle}", None,              401, 403, 403, 404),
    ("GET", "/api/audit", None,                                               401, 403, 403, 200),
    # Presence
    ("GET", "/api/presence", None,                                            401, 200, 200, 200),
    ("GET", "/api/users/online", None,                                        401, 200, 200, 200),
    ("GET", "/api/presence/me", None,                                         401, 200, 200, 200),
    ("PUT", "/api/presence/me", {"status": "Away"},                           401, 200, 200, 200),
    ("GET", "/api/presence/{support}", None,                                  401, 200, 200, 200),
    ("GET", "/api/presence/{other}", None,                                    401, 404, 200, 200),
    ("GET", "/api/presence/nobody-here", None,                                401, 404, 404, 404),
    # Files: {file} is the caller's, {other_file} the other customer's
    ("POST", "/api/files/upload", FILE,                                       401, 201, 201, 201),
    ("GET", "/api/files/{file}", None,                                        401, 200, 200, 200),
    ("GET", "/files/{file}", None,                                            401, 200, 200, 200),
    ("HEAD", "/files/{file}", None,                                           401, 200, 200, 200),
    ("POST", "/api/files/{file}/url", None,                                   401, 200, 200, 200),
    ("DELETE", "/api/files/{file}", None,                                     401, 204, 204, 204),
    ("GET", "/api/files/{other_file}", None,                                  401, 404, 200, 200),
    ("GET", "/files/{other_file}", None,                                      401, 404, 200, 200),
    ("HEAD", "/files/{other_file}", None,                                     401, 404, 200, 200),
    ("POST", "/api/files/{other_file}/url", None,                             401, 404, 200, 200),
    ("DELETE", "/api/files/{other_file}", None,                               401, 404, 403, 204),
    # Uploads by tus: {upload} is the caller's, {other_upload} the other customer's
    ("OPTIONS", "/api/files/uploads", None,                                   204, 204, 204, 204),
    ("POST", "/api/files/uploads", TUS,                                       401, 201, 201, 201),
    ("OPTIONS", "/api/files/uploads/{upload}", None,                          204, 204, 204, 204),
    ("HEAD", "/api/files/uploads/{upload}", TUS,                              401, 200, 200, 200),
    ("PATCH", "/api/files/uploads/{upload}", PART,                            401, 204, 204, 204),
    ("POST", "/api/files/uploads/{upload}", OVERRIDE,                         401, 204, 204, 204),
    ("DELETE", "/api/files/uploads/{upload}", TUS,                            401, 204, 204, 204),
    ("HEAD", "/api/files/uploads/{other_upload}", TUS,                        401, 404, 404, 404),
    ("PATCH", "/api/files/uploads/{other_upload}", PART,                      401, 404, 404, 404),
    ("DELETE", "/api/files/uploads/{other_upload}", TUS,                      401, 404, 404, 404),
    # Messages and conversations
    ("GET", "/api/config", None,                                              200, 200, 200, 200),
    ("POST", "/api/client-log", {"events": []},                               204, 204, 204, 204),
    ("GET", "/api/messages?conversation_id={mine}", None,                     401, 200, 200, 200),
    ("GET", "/api/messages?conversation_id={theirs}", None,                   401, 404, 200, 200),
    ("GET", "/api/messages?with={other}", None,                               401, 404, 200, 200),
    ("GET", "/api/messages?with={support}", None,                             401, 200, 200, 200),
    ("GET", W, None,                                                          401, 200, 200, 200),
    ("GET", W + "?scope=all", None,                                           401, 403, 200, 200),
    ("GET", W + "/{mine}", None,                                              401, 200, 200, 200),
    ("GET", W + "/{theirs}", None,                                            401, 404, 200, 200),
    ("GET", W + "/{mine}/routing", None,                                      401, 403, 200, 200),
    ("GET", W + "/{theirs}/routing", None,                                    401, 404, 200, 200),
    ("POST", W + "/{waiting}/assign", {},                                     401, 404, 200, 200),
    ("POST", W + "/{mine}/assign", {},                                        401, 403, 200, 200),
    ("POST", W + "/{theirs}/assign", {},                                      401, 404, 403, 200),
    ("POST", W + "/{mine}/transfer", {"queue": True},                         401, 403, 200, 200),
    ("POST", W + "/{theirs}/transfer", {"queue": True},                       401, 404, 403, 200),
    ("POST", W + "/{mine}/close", {},                                         401, 403, 200, 200),
    ("POST", W + "/{theirs}/close", {},                                       401, 404, 403, 200),
    ("POST", W + "/c:nobody-here/close", {},                                  401, 404, 404, 404),
    # The WebSocket
    ("GET", "/ws", UPGRADE,                                                   401, 101, 101, 101),
    ("GET", "/ws?user_id={user}&user_type={type}", UPGRADE,                   401, 101, 101, 101),
    ("GET", "/ws?user_id={other}", UPGRADE,                                   401, 403, 403, 403),
    ("GET", "/ws", None,                                                      426, 426, 426, 426),
]


class Scene:
    """What all cells share: an administrator, and an agent who is connected and takes nobody by routing."""

    def __init__(self, stack):
        self.stack = stack
        self.accounts = Accounts(stack)
        self.support = self.accounts.person("Kefu")
        self.chat = stack.chat(self.support)
        set_status(stack, self.support, "Busy")

    def conversation(self, customer, agent=None):
        """The conversation of a customer who has written; the agent, if there is one, has taken it."""
        with self.stack.chat(customer) as chat:
            write(chat)
        name = f"c:{customer['user_id']}"
        if agent is not None:
            answer = act(self.stack, agent, "assign", name)
            assert answer.status == 200, answer
        return name


class Names(dict):
    """What a row's names stand for in one cell, made when they are asked for."""

    def __init__(self, scene, role):
        super().__init__(new_name=random_name("new"), new_password=random_password())
        self.scene, self.role, self.accounts = scene, role, scene.accounts
        self.login = None
        if role != "anonymous":
            admin = {"is_admin": True} if role == "administrator" else {}
            self.login = self.accounts.person("Kehu" if role == "customer" else "Kefu", **admin)
            self.update(
                user=self.login["user_id"], type=self.login["user_type"], password=self.login["password"],
                session=self.login["session_id"],
            )
        scene.stack.secrets.add(self["new_password"])

    def __missing__(self, name):
        self[name] = getattr(self, f"_{name}")()
        return self[name]

    def _caller(self):
        """Who asks; somebody, where nobody does."""
        return self.login or self["other_login"]

    def _user(self):
        return self["other"]

    def _type(self):
        return "Kehu"

    def _password(self):
        return random_password()

    def _other_login(self):
        return self.accounts.person()

    def _other(self):
        return self["other_login"]["user_id"]

    def _other_password(self):
        return self["other_login"]["password"]

    def _other_session(self):
        return self["other_login"]["session_id"]

    def _support(self):
        return self.scene.support["user_id"]

    def _token(self):
        return token(EXCHANGE_SECRET, self["other"])

    def _handle(self):
        caller = self["caller"]
        self.accounts.login(caller)
        return self.accounts.handles(caller)[1]

    def _other_handle(self):
        return self.accounts.handles(self["other_login"])[0]

    def _file(self):
        return self.accounts.upload(self["caller"])

    def _other_file(self):
        return self.accounts.upload(self["other_login"])

    def _upload(self):
        return self.accounts.begin_upload(self["caller"])

    def _other_upload(self):
        return self.accounts.begin_upload(self["other_login"])

    def _mine(self):
        if self.role in ("anonymous", "customer"):
            return self.scene.conversation(self["caller"], self.scene.support)
        return self.scene.conversation(self["other_login"], self.login)

    def _theirs(self):
        return self.scene.conversation(self["other_login"], self.scene.support)

    def _waiting(self):
        return self.scene.conversation(self["other_login"])


@pytest.fixture(scope="module")
def scene(stack):
    one = Scene(stack)
    yield one
    one.chat.close()


def name_of(row):
    method, path, body, *_ = row
    return f"{method} {path}" + (f" {','.join(body)}" if body else "")


@pytest.mark.parametrize("row", MATRIX, ids=name_of)
def test_each_role_may_do_what_the_table_says(scene, row):
    method, path, body, *expected = row
    got = []
    for role in ROLES:
        names = Names(scene, role)
        session = names.login and names.login["session_id"]
        options = {"headers": body} if any(body is one for one in HEADERS) else {"json": filled(body, names)}
        answer = scene.stack.http(method, filled(path, names), session=session, **options)
        if answer.status >= 400 and method != "HEAD":
            assert_problem(answer, answer.status)
        if answer.status == 401:
            assert answer.header("WWW-Authenticate") == "Bearer", (role, answer)
        got.append(answer.status)
    assert dict(zip(ROLES, got)) == dict(zip(ROLES, expected))


# The table is whole: it is compared with what the services' sources register.


def public_routes():
    return {route for service in SERVICES for route in registered_publicly(service)}


def test_no_route_is_missing_in_the_table():
    routes = public_routes()
    assert len(routes) > 30, routes
    in_table = {route_of(method, path, routes) for method, path, *_ in MATRIX}
    assert None not in in_table, "a row of the table is no route"
    assert routes - in_table == set()


def test_internal_routes_are_for_services_only(stack, scene):
    admin = scene.accounts.admin["session_id"]
    for service in SERVICES:
        internal = {route for route in registered(service) if route[1].startswith("/internal/")}
        for method, pattern in sorted(internal):
            path = re.sub(r"\{\w+\}", "x", pattern)
            for headers in ({}, {"X-Internal-Token": stack.token}):
                answer = stack.http(method, path, json={}, headers=headers, session=admin)
                assert_problem(answer, 404)
            for headers in ({}, {"X-Internal-Token": stack.token + "x"}):
                answer = request(stack.ports[service], method, path, json={}, headers=headers, session=admin)
                assert_problem(answer, 403, "forbidden")
    for path in ("/healthz", "/readyz", "/metrics", "/internal", "/internal/"):
        assert stack.http("GET", path, session=admin).status == 404, path


# The cookie, which a browser adds by itself to whatever a page asks for

FOREIGN = "http://evil.example"
ALLOWED = "http://localhost:8004"


@pytest.mark.parametrize(
    "path", ["/auth/session", "/api/users/me", "/api/presence/me", "/api/conversations", "/api/files/none"]
)
def test_the_cookie_counts_for_pages_that_may_send_it(stack, scene, path):
    login = scene.accounts.person()
    own = f"http://127.0.0.1:{stack.port}"
    cookie = {"Cookie": f"session_id={login['session_id']}"}
    missing = path == "/api/files/none"
    for origin, status in ((None, 200), (own, 200), (ALLOWED, 200), (FOREIGN, 401), ("null", 401)):
        headers = {**cookie, **({"Origin": origin} if origin else {})}
        answer = stack.http("GET", path, headers=headers)
        assert answer.status == (404 if missing and status == 200 else status), (origin, answer)
        assert (answer.header("Access-Control-Allow-Origin") == origin) is (status == 200), (origin, answer)
    # A session in a header field was put there by a script that has it.
    headers = {"X-Session-Id": login["session_id"], "Origin": FOREIGN}
    assert stack.http("GET", path, headers=headers).status == (404 if missing else 200)


def test_the_cookie_changes_nothing(stack, scene):
    login = scene.accounts.person()
    for method, path, body in (
        ("PATCH", "/api/users/me", NAMED), ("DELETE", "/api/users/me/sessions", None),
        ("POST", "/auth/session/refresh", None), ("PUT", "/api/presence/me", {"status": "Away"}),
        ("POST", "/api/files/upload", FILE), ("POST", W + "/c:nobody-here/close", {}),
    ):
        answer = stack.http(method, path, json=body, headers={"Cookie": f"session_id={login['session_id']}"})
        assert_problem(answer, 401)
    # Nor does it log anybody out: a foreign page could do that.
    assert stack.http("POST", "/auth/logout", headers={"Cookie": f"session_id={login['session_id']}"}).status == 422
    assert scene.accounts.done("GET", "/api/users/me", by=login)["user_name"] == login["user_id"]
