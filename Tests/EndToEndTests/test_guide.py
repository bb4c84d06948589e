"""What the integrators' guide prints, done as it is printed there."""

import base64
import json
import pathlib
import time

import pytest

from chat_client import Chat, refused
from commands import curl, node_client, run, wscat
from http_client import assert_problem
from waiting import until

PHOTO = (pathlib.Path(__file__).resolve().parent / "fixtures/photo.jpg").read_bytes()
SAMPLE_CHAT = """{
  "type": "Chat",
  "from_user_id": "user123",
  "to_user_id": "support001",
  "content": "你好，需要帮助",
  "content_type": "Text",
  "timestamp": "2024-01-20T10:00:00Z"
}"""


@pytest.fixture(scope="module")
def customer(stack):
    """The guide's login, by curl."""
    answer = curl(
        "-X", "POST", f"http://localhost:{stack.port}/auth/login", "-H", "Content-Type: application/json",
        "-d", '{"username": "user123", "password": "password123", "user_type": "Kehu"}',
    )
    assert answer.status == 200, answer.body
    assert answer.content_type.startswith("application/json")
    stack.secrets.add(answer.json["session_id"])
    return answer.json


@pytest.fixture(scope="module")
def agent(stack):
    return stack.login("support001")


def test_login_answers_the_fields_of_the_guide(customer):
    assert customer["user_id"] == "user123"
    assert customer["user_name"] == "张三"
    assert customer["user_type"] == "Kehu"
    assert len(customer["session_id"]) >= 22, "at least 128 bits"
    assert customer["expires_at"].endswith("Z")


def test_the_sample_chat_reaches_the_agent_with_seq_1_and_is_acknowledged(stack, customer, agent):
    with stack.chat(agent) as support:
        with stack.chat(customer) as chat:
            # The form that the guide prints, letter for letter.
            expected = f"/ws?user_id=user123&session_id={customer['session_id']}&user_type=Kehu"
            assert chat.url.endswith(expected)
            welcome = chat.welcome
            assert (welcome["user_id"], welcome["user_name"], welcome["user_type"]) == ("user123", "张三", "Kehu")
            assert welcome["heartbeat_interval"] > 0 and welcome["connection_id"] and welcome["server_time"]
            chat.send(SAMPLE_CHAT)
            ack = chat.expect("Ack")
            message = support.expect("Chat")
    assert message["seq"] == 1 and ack["seq"] == 1
    assert message["conversation_id"] == ack["conversation_id"] == "c:user123"
    assert message["from_user_id"] == "user123" and message["to_user_id"] == "support001"
    assert message["content"] == "你好，需要帮助" and message["content_type"] == "Text"
    assert message["id"] == ack["id"] and message["timestamp"] == ack["timestamp"]
    assert not message["timestamp"].startswith("2024"), "the server's clock is the record"
    entries = stack.history(customer["session_id"], "with=support001")
    assert (entries[0]["type"], entries[0]["seq"], entries[0]["content"]) == ("Chat", 1, "你好，需要帮助")


def test_node_ws_talks_to_it_too(stack, customer, agent):
    url = f"ws://localhost:{stack.port}/ws?user_id=user123&session_id={customer['session_id']}&user_type=Kehu"
    with stack.chat(agent) as support:
        frames = node_client(url, json.dumps({"type": "Chat", "to_user_id": "support001", "content": "from node"}))
        message = support.expect("Chat", content="from node")
    assert frames[0]["type"] == "Welcome"
    assert frames[-1]["type"] == "Ack" and frames[-1]["seq"] == message["seq"]


def test_an_uploaded_jpeg_comes_back_byte_for_byte(stack, customer, agent, tmp_path):
    document = tmp_path / "upload.json"
    document.write_text(
        json.dumps({
            "file_name": "image.jpg", "file_type": "image/jpeg", "file_data": base64.b64encode(PHOTO).decode(),
        })
    )
    answer = curl(
        "-X", "POST", f"http://localhost:{stack.port}/api/files/upload", "-H", "Content-Type: application/json",
        "-H", f"X-Session-Id: {customer['session_id']}", "--data-binary", f"@{document}",
    )
    assert answer.status == 201, answer.body
    uploaded = answer.json
    assert uploaded["file_type"] == "Image" and uploaded["url"] == f"/files/{uploaded['file_id']}"
    assert uploaded["content_type"] == "image/jpeg" and uploaded["size"] == len(PHOTO)

    download = curl(
        f"http://localhost:{stack.port}{uploaded['url']}", "-H", f"Authorization: Bearer {customer['session_id']}"
    )
    assert download.status == 200 and download.content_type == "image/jpeg"
    assert download.body == PHOTO
    assert_problem(stack.http("GET", uploaded["url"]), 401)

    # Another customer does not know of it until it is sent to them; any agent may read it.
    stranger = stack.login("test_user")
    assert_problem(stack.http("GET", uploaded["url"], session=stranger["session_id"]), 404)
    assert stack.http("GET", uploaded["url"], session=agent["session_id"]).body == PHOTO

    # The guide's next step: a message that carries the file.
    with stack.chat(agent) as support, stack.chat(customer) as chat:
        chat.send({
            "type": "Chat", "to_user_id": "support001", "content": "image.jpg", "content_type": "Image",
            "file_id": uploaded["file_id"],
        })
        chat.expect("Ack")
        carried = support.expect("Chat", content="image.jpg")["file"]
    assert carried["file_id"] == uploaded["file_id"] and carried["url"] == uploaded["url"]
    assert carried["file_type"] == "Image" and carried["size"] == len(PHOTO)


def test_parts_and_conditions_of_a_download(stack, customer):
    uploaded = stack.http(
        "POST", "/api/files/upload", session=customer["session_id"],
        json={"file_name": "a.jpg", "file_type": "image/jpeg", "file_data": base64.b64encode(PHOTO).decode()},
    ).json
    whole = stack.http("GET", uploaded["url"], session=customer["session_id"])
    part = stack.http("GET", uploaded["url"], session=customer["session_id"], headers={"Range": "bytes=10-19"})
    assert part.status == 206 and part.body == PHOTO[10:20]
    assert part.header("Content-Range") == f"bytes 10-19/{len(PHOTO)}"
    condition = {"If-None-Match": whole.header("ETag")}
    same = stack.http("GET", uploaded["url"], session=customer["session_id"], headers=condition)
    assert same.status == 304 and same.body == b""
    head = stack.http("HEAD", uploaded["url"], session=customer["session_id"])
    assert head.status == 200 and head.header("Content-Length") == str(len(PHOTO)) and head.body == b""
    assert whole.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert "sandbox" in whole.header("Content-Security-Policy")
    assert "private" in whole.header("Cache-Control")


def test_presence_shows_who_is_online(stack, customer, agent):
    def is_away():
        answer = stack.http("GET", "/api/presence", session=agent["session_id"])
        return "user123" not in {user["user_id"] for user in answer.json["users"]}

    # Coming back within the grace after an earlier test's connection is no news.
    until(is_away, "user123 has left", timeout=15)
    with stack.chat(agent) as support:
        with stack.chat(customer) as chat:
            joined = support.expect("UserJoined", user_id="user123", timeout=10)
            assert joined["user_name"] == "张三"
            answer = stack.http("GET", "/api/presence", session=agent["session_id"])
            online = {user["user_id"]: user for user in answer.json["users"]}
            assert online["user123"]["status"] == "Online" and online["user123"]["user_type"] == "Kehu"
            again = stack.http("GET", "/api/users/online", session=agent["session_id"])
            assert {user["user_id"] for user in again.json["users"]} == set(online)
            # A customer sees agents only.
            answer = stack.http("GET", "/api/presence", session=customer["session_id"])
            assert {user["user_type"] for user in answer.json["users"]} == {"Kefu"}
            chat.settle()
        support.expect("UserLeft", user_id="user123", timeout=15)


def test_what_arrived_while_away_comes_after_welcome(stack, agent):
    customer = stack.login("test_user")
    with stack.chat(customer) as chat:
        chat.send({"type": "Chat", "to_user_id": "support001", "content": "anyone there?"})
        chat.expect("Ack")
    with stack.chat(agent) as support:
        support.expect("Chat", content="anyone there?")
        support.send({"type": "Chat", "to_user_id": "test_user", "content": "yes, while you were away"})
        support.expect("Ack")
    with stack.chat(customer) as chat:
        chat.expect("Chat", content="yes, while you were away")


@pytest.mark.parametrize("form", ["body", "header"])
def test_logout_closes_the_socket_within_a_second(stack, form):
    login = stack.login("user123")
    with stack.chat(login) as chat:
        before = time.monotonic()
        if form == "body":
            answer = stack.http("POST", "/auth/logout", json={"session_id": login["session_id"]})
        else:
            answer = stack.http("POST", "/auth/logout", session=login["session_id"])
        assert answer.status == 200 and answer.json["success"] is True
        assert chat.expect_closed(timeout=3) == 4401
        assert time.monotonic() - before < 1.0
    again = stack.http("POST", "/auth/logout", json={"session_id": login["session_id"]})
    assert again.status == 200 and again.json["success"] is True, "logging out twice is no error"
    assert refused(
        stack.port, user_id="user123", session_id=login["session_id"], user_type="Kehu"
    ).status_code == 401
    assert_problem(stack.http("GET", "/auth/session", session=login["session_id"]), 401)


def test_the_test_script_of_the_guide(stack):
    login = run([
        "curl", "-sS", "--noproxy", "*", "-X", "POST", f"http://localhost:{stack.port}/auth/login",
        "-H", "Content-Type: application/json", "-w", "\n%{http_code}",
        "-d", '{"username":"test","password":"test","user_type":"Kehu"}',
    ])
    body, _, status = login.stdout.rpartition("\n")
    assert status == "200", login
    session = json.loads(body)["session_id"]
    stack.secrets.add(session)

    printed = wscat("-c", f"ws://localhost:{stack.port}/ws?user_id=test&session_id=test&user_type=Kehu")
    assert "401" in printed.stdout + printed.stderr, printed

    issued = wscat(
        "-w", "1", "-x", '{"type":"Heartbeat"}',
        "-c", f"ws://localhost:{stack.port}/ws?user_id=test&session_id={session}&user_type=Kehu",
    )
    assert '"Welcome"' in issued.stdout and '"Heartbeat"' in issued.stdout, issued


def test_older_names_are_understood(stack, agent):
    login = stack.login("test_user")
    url_options = {"query": {"session_token": login["session_id"]}}
    with stack.chat(agent) as support, Chat(
        stack.port, user_id="test_user", user_type="customer", **url_options
    ) as chat:
        chat.expect("Welcome")
        chat.send({"type": "Chat", "from": "test_user", "to": "support001", "content": "older names"})
        chat.expect("Ack")
        message = support.expect("Chat", content="older names")
        assert message["from_user_id"] == "test_user" and message["to_user_id"] == "support001"


def test_a_retry_with_the_same_client_id_is_acknowledged_alike_and_stored_once(stack, agent):
    login = stack.login("test_user")
    with stack.chat(login) as chat:
        frame = {"type": "Chat", "to_user_id": "support001", "content": "once", "client_id": "retry-1"}
        chat.send(frame)
        first = chat.expect("Ack", client_id="retry-1")
        chat.send(frame)
        second = chat.expect("Ack", client_id="retry-1")
        assert first == second
    entries = stack.history(login["session_id"], "with=support001")
    assert [entry["content"] for entry in entries if entry["type"] == "Chat"].count("once") == 1
