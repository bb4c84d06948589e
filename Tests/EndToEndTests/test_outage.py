"""One service, or nginx, stopped and started: what depends on it answers 503 and recovers by itself."""

import base64

import pytest

from chat_client import Chat, refused
from http_client import assert_problem
from waiting import until

UPLOAD = {"file_name": "a.txt", "file_type": "text/plain", "file_data": base64.b64encode(b"hello").decode()}


@pytest.fixture
def logins(stack):
    return stack.login("user123"), stack.login("support001")


def recovers(call, what, expected=200):
    until(lambda: call().status == expected, f"{what} answers {expected} again", timeout=20, interval=0.1)


def handshake(login):
    return {"user_id": login["user_id"], "session_id": login["session_id"], "user_type": login["user_type"]}


def assert_handshake_unavailable(stack, login):
    answer = refused(stack.port, **handshake(login))
    assert answer.status_code == 503, (answer.status_code, answer.body)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert int(answer.headers["Retry-After"]) >= 1


def test_auth(stack, logins):
    customer, agent = logins
    fresh = stack.login("test")
    stack.auth.stop()
    credentials = {"username": "user123", "password": "password123", "user_type": "Kehu"}
    unavailable = stack.http("POST", "/auth/login", json=credentials)
    assert_problem(unavailable, 503, "unavailable")
    assert int(unavailable.header("Retry-After")) >= 1
    # A session that no other service has seen cannot be verified now, and is not taken for a bad one.
    for method, path, options in (
        ("GET", "/api/messages?with=support001", {}),
        ("GET", "/api/presence", {}),
        ("POST", "/api/files/upload", {"json": UPLOAD}),
    ):
        assert_problem(stack.http(method, path, session=fresh["session_id"], **options), 503, "unavailable")
    assert_handshake_unavailable(stack, fresh)

    stack.auth.start()
    recovers(lambda: stack.http("POST", "/auth/login", json=credentials), "login")
    recovers(lambda: stack.http("GET", "/api/messages?with=support001", session=fresh["session_id"]), "history")
    recovers(lambda: stack.http("GET", "/api/presence", session=fresh["session_id"]), "presence")
    recovers(lambda: stack.http("POST", "/api/files/upload", json=UPLOAD, session=fresh["session_id"]), "upload", 201)
    until(lambda: stack.chat(fresh).close() is None, "the handshake works again", timeout=20, interval=0.1)


def test_sessions_ended_before_auth_restarts_stay_ended(stack):
    login = stack.login("test")
    stack.http("POST", "/auth/logout", json={"session_id": login["session_id"]})
    stack.auth.stop()
    stack.auth.start()
    assert_problem(stack.http("GET", "/auth/session", session=login["session_id"]), 401)


def test_files(stack, logins):
    customer, agent = logins
    uploaded = stack.http("POST", "/api/files/upload", json=UPLOAD, session=customer["session_id"]).json
    stack.files.stop()

    def upload():
        return stack.http("POST", "/api/files/upload", json=UPLOAD, session=customer["session_id"])

    assert_problem(upload(), 503, "unavailable")
    assert_problem(stack.http("GET", uploaded["url"], session=customer["session_id"]), 503, "unavailable")
    with stack.chat(customer) as chat:
        # A message that carries a file cannot be stored without its grant; a plain one can.
        chat.send({
            "type": "Chat", "to_user_id": "support001", "content": "", "content_type": "File", "client_id": "f1",
            "file_id": uploaded["file_id"],
        })
        assert chat.expect("Error", client_id="f1", timeout=15)["code"] == "unavailable"
        chat.send({"type": "Chat", "to_user_id": "support001", "content": "plain", "client_id": "p1"})
        chat.expect("Ack", client_id="p1")

        stack.files.start()
        recovers(lambda: stack.http("GET", uploaded["url"], session=customer["session_id"]), "download")
        recovers(upload, "upload", 201)

        def sends():
            chat.send({
                "type": "Chat", "to_user_id": "support001", "content": "", "content_type": "File", "client_id": "f1",
                "file_id": uploaded["file_id"],
            })
            while True:
                frame = chat.receive()
                if frame.get("client_id") == "f1":
                    return frame["type"] == "Ack"

        until(sends, "a message with a file is taken again", timeout=20, interval=0.2)


def test_presence(stack, logins):
    customer, agent = logins
    with stack.chat(agent) as support, stack.chat(customer) as chat:
        stack.presence.stop()
        assert_problem(stack.http("GET", "/api/presence", session=agent["session_id"]), 503, "unavailable")
        assert_problem(stack.http("GET", "/api/users/online", session=agent["session_id"]), 503, "unavailable")
        chat.send({"type": "Chat", "to_user_id": "support001", "content": "no presence"})
        chat.expect("Ack")
        support.expect("Chat", content="no presence")

        stack.presence.start()

        def both_online():
            answer = stack.http("GET", "/api/presence", session=agent["session_id"])
            return answer.status == 200 and {"user123", "support001"} <= {
                user["user_id"] for user in answer.json["users"]
            }

        until(both_online, "presence was told again who is there", timeout=20, interval=0.1)


def test_gateway(stack, logins):
    customer, agent = logins
    with stack.chat(customer) as chat:
        status = stack.gateway.stop()
        assert status == 0
        assert chat.expect_closed(timeout=5) == 1001
    assert_handshake_unavailable(stack, customer)
    for path in ("/api/messages?with=support001", "/api/config"):
        assert_problem(stack.http("GET", path, session=customer["session_id"]), 503, "unavailable")

    stack.gateway.start()
    recovers(lambda: stack.http("GET", "/api/messages?with=support001", session=customer["session_id"]), "history")
    with stack.chat(customer) as chat:
        chat.send({"type": "Chat", "to_user_id": "support001", "content": "back"})
        chat.expect("Ack")


def test_nginx(stack, logins):
    customer, _ = logins
    with stack.chat(customer) as chat:
        stack.nginx.stop()
        chat.expect_closed(timeout=5)
    with pytest.raises(OSError):
        stack.http("GET", "/api/config")
    stack.nginx.start()
    recovers(lambda: stack.http("GET", "/api/config"), "the edge")
    with stack.chat(customer) as chat:
        chat.send({"type": "Chat", "to_user_id": "support001", "content": "through the new edge"})
        chat.expect("Ack")


def test_services_start_in_any_order(stack, logins):
    names = ["gateway", "presence", "files", "auth"]
    for name in names:
        stack.processes[name].stop()
    for name in names:
        stack.processes[name].start(wait=False)
    for name in names:
        stack.processes[name].wait_ready()
    customer = stack.login("user123")
    agent = stack.login("support001")
    with stack.chat(agent) as support, stack.chat(customer) as chat:
        chat.send({"type": "Chat", "to_user_id": "support001", "content": "all new"})
        chat.expect("Ack")
        support.expect("Chat", content="all new")
