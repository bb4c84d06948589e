"""Bad input, through nginx: each gets the answer that names it, nothing is stored, the processes stay up."""

import base64
import json

import pytest
from websockets.exceptions import ConnectionClosed

from chat_client import Chat, refused
from http_client import assert_problem

GOOD_LOGIN = {"username": "user123", "password": "password123", "user_type": "Kehu"}
GOOD_UPLOAD = {"file_name": "a.txt", "file_type": "text/plain", "file_data": base64.b64encode(b"hello").decode()}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def customer(stack):
    return stack.login("user123")


@pytest.fixture(scope="module")
def agent(stack):
    return stack.login("support001")


def changed(document, **members):
    """A copy with these members; `...` removes one."""
    result = {**document, **members}
    return {name: value for name, value in result.items() if value is not ...}


# auth

@pytest.mark.parametrize("member,value", [
    ("username", ...), ("username", 7), ("username", None), ("username", ["user123"]),
    ("password", ...), ("password", 7), ("password", None), ("password", {}),
    ("user_type", "Admin"), ("user_type", ""), ("user_type", 7),
])
def test_each_bad_field_of_a_login_is_named(stack, member, value):
    answer = stack.http("POST", "/auth/login", json=changed(GOOD_LOGIN, **{member: value}))
    assert_problem(answer, 422, "invalid_field", detail=member)


@pytest.mark.parametrize("body,headers,status,code", [
    ("", JSON, 400, "malformed_json"),
    ("{", JSON, 400, "malformed_json"),
    ('{"username":"a" "password":"b"}', JSON, 400, "malformed_json"),
    ("[]", JSON, (400, 422), ("malformed_json", "invalid_field")),
    ("null", JSON, (400, 422), ("malformed_json", "invalid_field")),
    (b'{"username":"\xff","password":"b"}', JSON, 400, "malformed_json"),
    ("[" * 10000, JSON, 400, "malformed_json"),
    (json.dumps(GOOD_LOGIN), {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    (json.dumps(GOOD_LOGIN), {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    (json.dumps({**GOOD_LOGIN, "padding": "x" * 200_000}), JSON, 413, "too_large"),
    (json.dumps({**GOOD_LOGIN, "padding": "x" * 1_200_000}), JSON, 413, "too_large"),
])
def test_bad_login_bodies(stack, body, headers, status, code):
    answer = stack.http("POST", "/auth/login", body=body, headers=headers)
    assert answer.status in (status if isinstance(status, tuple) else (status,)), answer
    assert_problem(answer, answer.status, code)


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(stack):
    wrong = stack.http("POST", "/auth/login", json=changed(GOOD_LOGIN, password="wrong-password"))
    unknown = stack.http("POST", "/auth/login", json=changed(GOOD_LOGIN, username="nobody-here"))
    role = stack.http("POST", "/auth/login", json=changed(GOOD_LOGIN, user_type="Kefu"))
    for answer in (wrong, unknown, role):
        assert_problem(answer, 401, "invalid_credentials")
    assert wrong.body == unknown.body


@pytest.mark.parametrize("body", [{}, {"session_id": "never-issued"}])
def test_logging_out_of_nothing(stack, body):
    answer = stack.http("POST", "/auth/logout", json=body)
    assert answer.status in (200, 401, 422), answer
    if answer.status == 200:
        assert answer.json["success"] is True
    else:
        assert_problem(answer, answer.status)


# Paths and methods

@pytest.mark.parametrize("method,path,status,code", [
    ("GET", "/auth/login", 405, "method_not_allowed"),
    ("DELETE", "/auth/logout", 405, "method_not_allowed"),
    ("PUT", "/api/files/upload", 405, "method_not_allowed"),
    ("POST", "/api/messages", 405, "method_not_allowed"),
    ("DELETE", "/api/presence", 405, "method_not_allowed"),
    ("POST", "/api/config", 405, "method_not_allowed"),
    ("GET", "/auth/nothing", 404, "not_found"),
    ("GET", "/api/nothing", 404, "not_found"),
    ("GET", "/api/nothing.html", 404, "not_found"),
    ("GET", "/api", 404, "not_found"),
    ("GET", "/api/files/a/b/c", 404, ("not_found", "file_not_found")),
    ("GET", "/api/messages/nothing", 404, "not_found"),
    ("GET", "/ws/", 404, "not_found"),
    ("TRACE", "/auth/login", 405, "method_not_allowed"),
])
def test_wrong_paths_and_methods(stack, method, path, status, code):
    answer = stack.http(method, path)
    assert_problem(answer, status, code)
    if status == 405:
        assert answer.header("Allow"), "405 names what is allowed"


# Sessions

PROTECTED = [
    ("GET", "/auth/session"), ("GET", "/api/messages?with=support001"), ("GET", "/api/presence"),
    ("POST", "/api/files/upload"), ("GET", "/files/nothing"), ("GET", "/api/users/online"),
]


@pytest.mark.parametrize("method,path", PROTECTED)
@pytest.mark.parametrize("session", [None, "never-issued", "x" * 4000, "a b", "\u00e9"], ids=repr)
def test_no_session_or_a_dead_one(stack, method, path, session):
    headers = {} if session is None else {"X-Session-Id": session.encode("utf-8").decode("latin-1")}
    body = json.dumps(GOOD_UPLOAD) if method == "POST" else None
    answer = stack.http(method, path, body=body, headers={**headers, **(JSON if body else {})})
    assert_problem(answer, 401)
    assert answer.header("WWW-Authenticate")


def test_a_cookie_is_not_enough_for_an_unsafe_method(stack, customer):
    cookie = {"Cookie": f"session_id={customer['session_id']}"}
    assert stack.http("GET", "/auth/session", headers=cookie).status == 200
    assert_problem(stack.http("POST", "/api/files/upload", json=GOOD_UPLOAD, headers=cookie), 401)


# files

@pytest.mark.parametrize("member,value,status,code", [
    ("file_data", ..., 422, "invalid_field"),
    ("file_data", 7, 422, "invalid_field"),
    ("file_data", "@@@@", 422, ("invalid_base64", "invalid_field")),
    ("file_data", "aGVsbG8", 422, ("invalid_base64", "invalid_field")),
    ("file_data", "aGV sbG8=", 422, ("invalid_base64", "invalid_field")),
    ("file_data", "aGVsbG8=aGVsbG8=", 422, ("invalid_base64", "invalid_field")),
    ("file_name", ..., 422, "invalid_field"),
    ("file_name", "", 422, "invalid_field"),
    ("file_name", 7, 422, "invalid_field"),
    ("file_name", "x" * 2000, 422, "invalid_field"),
    ("file_type", 7, 422, "invalid_field"),
])
def test_each_bad_field_of_an_upload_is_named(stack, customer, member, value, status, code):
    answer = stack.http(
        "POST", "/api/files/upload", json=changed(GOOD_UPLOAD, **{member: value}), session=customer["session_id"]
    )
    assert_problem(answer, status, code, detail=member)


@pytest.mark.parametrize("body,headers,status,code", [
    ("", JSON, 400, "malformed_json"),
    ('{"file_name":"a"', JSON, 400, "malformed_json"),
    ('{"file_name":"a","file_data":"aGVs', JSON, 400, "malformed_json"),
    ("hello", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
])
def test_bad_upload_bodies(stack, customer, body, headers, status, code):
    answer = stack.http("POST", "/api/files/upload", body=body, headers=headers, session=customer["session_id"])
    assert_problem(answer, status, code)


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(stack, customer):
    data = base64.b64encode(bytes(51 * 1024 * 1024)).decode()
    answer = stack.http(
        "POST", "/api/files/upload", json=changed(GOOD_UPLOAD, file_data=data), session=customer["session_id"],
        timeout=120,
    )
    assert_problem(answer, 413, "too_large")
    big = [path for path in (stack.directory / "data").rglob("*") if path.is_file() and path.stat().st_size > 1 << 25]
    assert big == []


@pytest.mark.parametrize("path", [
    "/files/nothing", "/files/..%2f..%2fetc%2fpasswd", "/files/%00", "/files/" + "x" * 500,
])
def test_files_that_do_not_exist(stack, customer, path):
    answer = stack.http("GET", path, session=customer["session_id"])
    assert answer.status in (400, 404), answer
    assert_problem(answer, answer.status)


# messages and presence

@pytest.mark.parametrize("query", [
    "", "with=", "with=support001&limit=0", "with=support001&limit=201", "with=support001&limit=x",
    "with=support001&before=1&after=1", "with=support001&before=-1", "with=support001&after=x",
    "with=support001&conversation_id=c:user123", "with=%zz",
])
def test_bad_queries_of_the_history(stack, customer, query):
    assert_problem(stack.http("GET", f"/api/messages?{query}", session=customer["session_id"]), 400)


def test_history_of_others_does_not_exist(stack, customer):
    for query in ("conversation_id=c:test_user", "conversation_id=d:a:b", "with=test_user"):
        answer = stack.http("GET", f"/api/messages?{query}", session=customer["session_id"])
        assert answer.status in (403, 404), (query, answer)
        assert_problem(answer, answer.status)


def test_bad_queries_of_presence(stack, agent):
    assert_problem(stack.http("GET", "/api/presence?user_type=Admin", session=agent["session_id"]), 400)


# The WebSocket's handshake

def test_handshakes_that_are_refused(stack, customer, agent):
    session = customer["session_id"]
    cases = [
        (dict(user_id="user123", user_type="Kehu"), 401),
        (dict(user_id="user123", session_id="never-issued", user_type="Kehu"), 401),
        (dict(user_id="support001", session_id=session, user_type="Kehu"), 403),
        (dict(user_id="user123", session_id=session, user_type="Kefu"), 403),
        (dict(user_id="user123", session_id=session, user_type="Kehu", origin="https://evil.example"), 403),
    ]
    for options, status in cases:
        answer = refused(stack.port, **options)
        assert answer.status_code == status, (options, answer)
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert json.loads(answer.body)["status"] == status
        assert session.encode() not in answer.body


def test_a_cookie_needs_an_allowed_origin(stack, customer):
    cookie = {"Cookie": f"session_id={customer['session_id']}"}
    assert refused(stack.port, headers=cookie).status_code == 401
    assert refused(stack.port, headers=cookie, origin="https://evil.example").status_code in (401, 403)
    for origin in (f"http://127.0.0.1:{stack.port}", "http://localhost:8004"):
        with Chat(stack.port, headers=cookie, origin=origin) as chat:
            chat.expect("Welcome", user_id="user123")


def test_a_session_in_a_header_opens_the_socket(stack, customer):
    for headers in (
        {"X-Session-Id": customer["session_id"]}, {"Authorization": f"Bearer {customer['session_id']}"}
    ):
        with Chat(stack.port, headers=headers) as chat:
            chat.expect("Welcome", user_id="user123")


@pytest.mark.parametrize("headers,missing", [
    ({}, "upgrade"),
    ({"Upgrade": "websocket"}, "connection"),
    ({"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}, "sec-websocket-key"),
    (
        {"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="},
        "sec-websocket-version",
    ),
])
def test_no_upgrade_asked_for(stack, customer, headers, missing):
    answer = stack.http(
        "GET", f"/ws?user_id=user123&session_id={customer['session_id']}&user_type=Kehu", headers=headers
    )
    assert answer.status in (400, 426), answer
    document = assert_problem(answer, answer.status)
    assert missing in document["detail"].lower(), document


# Frames

@pytest.fixture
def pair(stack, customer, agent):
    with stack.chat(agent) as support, stack.chat(customer) as chat:
        yield chat, support


GOOD_CHAT = {"type": "Chat", "to_user_id": "support001", "content": "hello", "client_id": "bad-1"}

BAD_FRAMES = [
    ("{", ("malformed_json",)),
    ("", ("malformed_json",)),
    ("[]", ("malformed_json", "invalid_field", "unknown_type")),
    ('"text"', ("malformed_json", "invalid_field", "unknown_type")),
    ("plain text", ("malformed_json",)),
    ({"content": "no type"}, ("invalid_field", "unknown_type")),
    ({"type": "Nonsense"}, ("unknown_type",)),
    ({"type": 7}, ("invalid_field", "unknown_type")),
    (changed(GOOD_CHAT, content=...), ("invalid_field",)),
    (changed(GOOD_CHAT, content=""), ("content_empty",)),
    (changed(GOOD_CHAT, content=7), ("invalid_field",)),
    (changed(GOOD_CHAT, content="x" * 10_001), ("content_too_long",)),
    (changed(GOOD_CHAT, content_type="Hologram"), ("content_type_unknown",)),
    (changed(GOOD_CHAT, to_user_id="nobody-here"), ("recipient_unknown",)),
    (changed(GOOD_CHAT, to_user_id="test_user"), ("recipient_forbidden", "forbidden", "recipient_unknown")),
    (changed(GOOD_CHAT, to_user_id="../x"), ("id_malformed",)),
    (changed(GOOD_CHAT, to_user_id=7), ("invalid_field",)),
    (changed(GOOD_CHAT, from_user_id="support001"), ("sender_mismatch",)),
    (changed(GOOD_CHAT, client_id="x" * 65), ("client_id_length",)),
    (changed(GOOD_CHAT, client_id=7), ("invalid_field",)),
    (changed(GOOD_CHAT, file_id="nothing"), ("file_not_found",)),
]


@pytest.mark.parametrize("frame,codes", BAD_FRAMES, ids=lambda value: None)
def test_bad_frames_get_an_error_and_the_connection_stays(pair, frame, codes):
    chat, support = pair
    chat.send(frame)
    error = chat.expect("Error")
    assert error["code"] in codes, error
    assert error["message"] and error["timestamp"]
    if isinstance(frame, dict) and frame.get("client_id") == "bad-1":
        assert error["client_id"] == "bad-1"
    # It still works, and the agent got this and nothing before it.
    good = changed(GOOD_CHAT, client_id=..., content="after a bad one")
    chat.send(good)
    chat.expect("Ack")
    received = [support.expect("Chat")]
    while received[-1]["content"] != "after a bad one":
        received.append(support.expect("Chat"))
    assert {message["content"] for message in received} <= {"after a bad one"}, received


def test_a_file_of_somebody_else_cannot_be_sent(stack, pair):
    chat, _ = pair
    other = stack.login("test_user")
    uploaded = stack.http("POST", "/api/files/upload", json=GOOD_UPLOAD, session=other["session_id"]).json
    chat.send(changed(GOOD_CHAT, file_id=uploaded["file_id"]))
    assert chat.expect("Error")["code"] in ("file_not_found", "invalid_field")


def test_a_customer_reaches_another_customer_in_no_way(stack, customer):
    other = stack.login("test_user")
    with stack.chat(other) as victim, stack.chat(customer) as chat:
        chat.send(changed(GOOD_CHAT, to_user_id="test_user", client_id="c2c"))
        chat.expect("Error", client_id="c2c")
        victim.settle()
        assert not [frame for frame in victim.seen if frame["type"] == "Chat" and frame["from_user_id"] == "user123"]


def test_the_limit_itself_is_accepted(pair):
    chat, support = pair
    content = "\N{GRINNING FACE}" * 10_000
    chat.send(changed(GOOD_CHAT, content=content, client_id="c" * 64))
    chat.expect("Ack", client_id="c" * 64)
    assert support.expect("Chat", client_id="c" * 64)["content"] == content


def test_close_codes_of_broken_protocol(stack, customer):
    def closed_with(do):
        with stack.chat(customer) as chat:
            try:
                do(chat.socket)
            except ConnectionClosed:
                pass
            return chat.expect_closed()

    assert closed_with(lambda socket: socket.send(b"\x01\x02")) == 1003
    # A reserved bit set.
    assert closed_with(lambda socket: socket.socket.sendall(bytes.fromhex("f18000000000"))) == 1002
    assert closed_with(lambda socket: socket.send("x" * 2_000_000)) == 1009
    # A masked text frame with one byte that is not UTF-8.
    assert closed_with(lambda socket: socket.socket.sendall(bytes.fromhex("818100000000ff"))) == 1007


def test_twenty_bad_frames_in_a_minute_close_the_connection(stack, customer):
    with stack.chat(customer) as chat:
        try:
            for _ in range(21):
                chat.send("{")
        except ConnectionClosed:
            pass
        assert chat.expect_closed() == 1008


def test_nothing_bad_was_stored(stack, customer, agent):
    """Runs last: the log holds what was acknowledged and nothing else."""
    entries = stack.history(customer["session_id"], "with=support001")
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    allowed = {"after a bad one", "\N{GRINNING FACE}" * 10_000}
    assert {entry["content"] for entry in entries if entry["type"] == "Chat"} <= allowed
