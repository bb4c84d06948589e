"""Every frame of the contract, both ways, as two clients that we did not write see it: Python's and node's."""

import base64

import pytest

from cast import CLIENTS, Cast, People, conversation, has_only
from waiting import until

SETTINGS = {"presence.agent_capacity": 100, "presence.leave_grace_ms": 500}
NASTY = "a\"b\\c\u0001\n\t\u007fé你😀\u2028</script>'"
ENTRY = ("seq", "id", "conversation_id", "timestamp", "from_user_id")


@pytest.fixture(scope="module")
def people(stack):
    return People(stack, customers=150, agents=3)


@pytest.fixture(params=CLIENTS)
def cast(request, stack, people):
    with Cast(stack, people, CLIENTS[request.param]) as cast:
        yield cast


def chat_to(login, content="x", **members):
    return {"type": "Chat", "to_user_id": login["user_id"], "content": content, **members}


def types(chat):
    """The types of all frames that came."""
    return {frame["type"] for frame in chat.seen}


# Welcome, Heartbeat


def test_welcome(cast):
    login = cast.customer()
    first = cast.open(login).welcome
    has_only(first, "user_id", "user_name", "user_type", "connection_id", "heartbeat_interval", "server_time", "heads")
    assert (first["user_id"], first["user_type"]) == (login["user_id"], "Kehu")
    assert first["heartbeat_interval"] == 30_000 and first["heads"] == {}
    second = cast.open(login, sync={}).welcome
    assert set(second) == set(first) and second["connection_id"] != first["connection_id"]


def test_welcome_lists_how_far_conversations_reach(cast):
    chat, support, login, _ = cast.served()
    chat.send({"type": "Chat", "content": "three"})
    assert chat.expect("Ack")["seq"] == 3
    assert cast.open(login).welcome["heads"] == {conversation(login): 3}
    assert cast.open(cast.agent()).welcome["heads"][conversation(login)] == 3


def test_heartbeat(cast):
    chat = cast.open(cast.customer())
    chat.send({"type": "heartbeat", "timestamp": 17})
    has_only(chat.expect("Heartbeat"), "timestamp")


# Chat, Ack


def test_chat_with_every_field(cast):
    chat, support, login, _ = cast.served()
    sent = chat_to(
        cast.agent(), NASTY, content_type="vOICE", client_id=NASTY[:10], from_user_id=login["user_id"],
        timestamp="1999-01-01T00:00:00.000Z", unknown={"type": "Heartbeat"},
    )
    chat.send(sent)
    ack = chat.expect("Ack")
    has_only(ack, "client_id", "id", "conversation_id", "seq", "timestamp")
    assert (ack["client_id"], ack["conversation_id"], ack["seq"]) == (NASTY[:10], conversation(login), 3)
    got = support.expect("Chat", seq=3, conversation_id=conversation(login))
    has_only(got, *ENTRY, "to_user_id", "content", "content_type", "client_id")
    assert {name: got[name] for name in ("id", "seq", "timestamp", "client_id")} == {
        name: ack[name] for name in ("id", "seq", "timestamp", "client_id")
    }
    assert (got["from_user_id"], got["to_user_id"]) == (login["user_id"], cast.agent()["user_id"])
    assert (got["content"], got["content_type"]) == (NASTY, "Voice")
    assert got["timestamp"] > "2020"
    support.send(chat_to(login, "back"))
    has_only(support.expect("Ack", seq=4), "id", "conversation_id", "seq", "timestamp")
    back = chat.expect("Chat", content="back")
    has_only(back, *ENTRY, "to_user_id", "content", "content_type")
    assert back["content_type"] == "Text"
    assert [entry for entry in cast.entries(login) if entry["seq"] >= 3] == [got, back]


def test_older_names(cast):
    chat, support, login, _ = cast.served()
    chat.send({"type": "Chat", "from": login["user_id"], "to": cast.agent()["user_id"], "content": "older"})
    chat.expect("Ack", seq=3)
    got = support.expect("Chat", content="older", conversation_id=conversation(login))
    assert (got["from_user_id"], got["to_user_id"]) == (login["user_id"], cast.agent()["user_id"])
    assert not {"from", "to"} & set(got)
    chat.send({"type": "GetOnlineUsers"})
    chat.expect("OnlineUsers")


def test_a_customer_need_not_name_the_agent(cast):
    chat, support, login, _ = cast.served()
    chat.send({"type": "Chat", "content": "to whoever serves me"})
    chat.expect("Ack", seq=3)
    assert support.expect("Chat", seq=3, conversation_id=conversation(login))["to_user_id"] == cast.agent()["user_id"]


def test_agents_write_to_each_other(cast):
    one, two = sorted((cast.agent(0), cast.agent(1)), key=lambda login: login["user_id"])
    first, second = cast.open(one), cast.open(two)
    first.send(chat_to(two, "between us", client_id="d1"))
    ack = first.expect("Ack", client_id="d1")
    assert ack["conversation_id"] == f"d:{one['user_id']}:{two['user_id']}"
    assert second.expect("Chat", content="between us", seq=ack["seq"])["conversation_id"] == ack["conversation_id"]


def upload(cast, login):
    answer = cast.stack.http(
        "POST", "/api/files/upload", session=login["session_id"],
        json={"file_name": "a \"b\".txt", "file_type": "text/plain", "file_data": base64.b64encode(b"hello").decode()},
    )
    assert answer.status == 201, answer
    return answer.json


def test_a_file_goes_with_a_message_and_away_with_its_recall(cast):
    chat, support, login, _ = cast.served()
    uploaded = upload(cast, cast.agent())

    def status():
        return cast.stack.http("GET", uploaded["url"], session=login["session_id"]).status

    assert status() == 404
    support.send(chat_to(login, "", content_type="File", file_id=uploaded["file_id"], client_id="file"))
    ack = support.expect("Ack", client_id="file")
    got = chat.expect("Chat", seq=ack["seq"])
    has_only(got, *ENTRY, "to_user_id", "content", "content_type", "client_id", "file")
    assert got["file"] == {name: uploaded[name] for name in ("file_id", "url", "file_name", "file_type", "size")}
    assert (got["content"], got["content_type"]) == ("", "File")
    assert status() == 200
    support.send({"type": "Recall", "conversation_id": conversation(login), "target_seq": ack["seq"]})
    chat.expect("Recall", target_seq=ack["seq"])
    until(lambda: status() == 404, "the grant is taken back")
    assert "file" not in cast.entries(login)[ack["seq"] - 1]


def test_an_image_says_how_large_it_is_shown(cast):
    chat, support, login, agent = cast.served()
    pixel = b"GIF89a\x03\x00\x02\x00\x00\x00\x00;"
    uploaded = cast.stack.http(
        "POST", "/api/files/upload", session=login["session_id"],
        json={"file_name": "a.gif", "file_type": "image/gif", "file_data": base64.b64encode(pixel).decode()},
    ).json
    chat.send({"type": "Chat", "content": "", "content_type": "Image", "file_id": uploaded["file_id"]})
    chat.expect("Ack")
    file = support.expect("Chat", content_type="Image")["file"]
    assert set(file) == {"file_id", "url", "file_name", "file_type", "size", "width", "height"}
    assert (file["width"], file["height"]) == (3, 2) == (uploaded["width"], uploaded["height"])


def test_every_device_of_both_gets_everything_once(cast):
    chat, support, login, _ = cast.served()
    other, colleague = cast.open(login), cast.open(cast.agent())
    for number in range(3):
        chat.send({"type": "Chat", "content": f"device {number}"})
        seq = chat.expect("Ack")["seq"]
        for one in (other, support, colleague):
            one.expect("Chat", content=f"device {number}", seq=seq, conversation_id=conversation(login))
    for one in (chat, other, support, colleague):
        one.settle()
        assert not [frame for frame in one.kept if frame["type"] in ("Ack", "Error")], one.kept
        own = [
            frame["seq"] for frame in one.seen
            if "seq" in frame and frame["conversation_id"] == conversation(login) and "content" in frame
        ]
        assert len(own) == len(set(own)), own
    assert not [frame for frame in chat.seen if frame.get("content", "").startswith("device")]


# Error


def errors(me, other, agent):
    """Frames of a served customer that are refused, with the code and, for a field, its name."""
    mine, foreign = conversation(me), conversation(other)
    return [
        ({}, "invalid_field", "type"), ({"type": 1}, "invalid_field", "type"),
        (chat_to(agent, 7), "invalid_field", "content"), (chat_to(agent, ""), "content_empty", "content"),
        (chat_to(agent, "x" * 10_001), "content_too_long", "content"),
        (chat_to(agent, content_type="Smell"), "content_type_unknown", "content_type"),
        (chat_to(agent, from_user_id=other["user_id"]), "sender_mismatch", "from_user_id"),
        (chat_to({"user_id": "a b"}), "id_malformed", "to_user_id"),
        (chat_to(agent, file_id="../x"), "id_malformed", "file_id"),
        (chat_to(agent, client_id="c" * 65), "client_id_length", "client_id"),
        ({"type": "Read", "seq": 1}, "invalid_field", "conversation_id"),
        ({"type": "Delivered", "conversation_id": mine, "seq": -1}, "number_out_of_range", "seq"),
        ({"type": "Read", "conversation_id": mine, "seq": "1"}, "invalid_field", "seq"),
        ({"type": "Typing", "conversation_id": mine}, "invalid_field", "is_typing"),
        ({"type": "Typing", "is_typing": True}, "target_ambiguous", "conversation_id, to_user_id"),
        (
            {"type": "Typing", "to": agent["user_id"], "conversation_id": mine, "is_typing": True},
            "target_ambiguous", "conversation_id, to",
        ),
        (
            {"type": "Recall", "conversation_id": mine, "target_seq": 0, "client_id": "r"},
            "number_out_of_range", "target_seq",
        ),
        ({"type": "HistoryRequest"}, "target_ambiguous", "with, conversation_id"),
        ({"type": "HistoryRequest", "conversation_id": mine, "limit": 201}, "number_out_of_range", "limit"),
        ({"type": "HistoryRequest", "conversation_id": mine, "before": 1, "after": 1}, "both_bounds", "before, after"),
        ({"type": "OnlineUsers", "user_type": "Boss"}, "user_type_unknown", "user_type"),
        ({"type": "Status", "status": "Offline"}, "status_unknown", "status"),
        ({"type": "Sync", "cursors": []}, "invalid_field", "cursors"),
        ('{"type":"Sync","cursors":{"c:a":1,"c:a":1}}', "cursor_repeated", "cursors"),
        ("{", "malformed_json", ""), ("[]", "malformed_json", ""), ('{"type":"Chat","type":"Chat"}', "malformed_json", "type"),
        ({"type": "Shout", "client_id": "s"}, "unknown_type", "type"),
        ({"type": "Welcome"}, "unknown_type", "type"), ({"type": "Ack", "seq": 1}, "unknown_type", "type"),
        (chat_to({"user_id": "nobody-here"}, client_id="n"), "recipient_unknown", "to_user_id"),
        (chat_to(other), "recipient_unknown", "to_user_id"),
        (chat_to(me, client_id="me"), "recipient_forbidden", "to_user_id"),
        (chat_to(agent, file_id="nothing", client_id="f"), "file_not_found", "file_id"),
        ({"type": "Read", "conversation_id": foreign, "seq": 0}, "conversation_unknown", "conversation_id"),
        ({"type": "Delivered", "conversation_id": "nonsense", "seq": 0}, "conversation_unknown", "conversation_id"),
        ({"type": "Typing", "conversation_id": foreign, "is_typing": True}, "conversation_unknown", "conversation_id"),
        ({"type": "Typing", "to_user_id": "nobody-here", "is_typing": True}, "recipient_unknown", "to_user_id"),
        ({"type": "HistoryRequest", "conversation_id": foreign}, "conversation_unknown", "conversation_id"),
        ({"type": "Recall", "conversation_id": foreign, "target_seq": 1}, "conversation_unknown", "conversation_id"),
        ({"type": "Recall", "conversation_id": mine, "target_seq": 99, "client_id": "r"}, "message_unknown", "target_seq"),
        ({"type": "Recall", "conversation_id": mine, "target_seq": 2}, "recall_forbidden", "target_seq"),
        ({"type": "Sync", "cursors": {}}, "sync_unexpected", ""),
    ]


def test_every_refused_frame_is_told_what_is_wrong_and_nothing_is_stored(cast):
    chat, support, login, _ = cast.served()
    other = cast.customer()
    victim = cast.open(other)
    for number, (frame, code, named) in enumerate(errors(login, other, cast.agent())):
        if number % 15 == 0:
            # The twenty-first in a minute would close it.
            chat = cast.open(login)
        chat.send(frame)
        error = chat.expect("Error")
        expected = {"code", "message", "timestamp"}
        if isinstance(frame, dict):
            expected |= {name for name in ("client_id", "conversation_id") if len(frame.get(name, "x" * 65)) <= 64}
        has_only(error, *expected)
        assert error["code"] == code and named in error["message"], (frame, error)
        for name in expected & {"client_id", "conversation_id"}:
            assert error[name] == frame[name]
        chat.settle()
    assert [entry["type"] for entry in cast.entries(login)] == ["Chat", "AgentAssigned"]
    victim.settle()
    assert types(victim) == {"Welcome", "Heartbeat"}, victim.seen


def test_an_agent_has_to_name_somebody(cast):
    support = cast.open(cast.agent())
    support.send({"type": "Chat", "content": "to whom?", "client_id": "w"})
    error = support.expect("Error", client_id="w")
    assert error["code"] == "recipient_required" and error["message"].startswith("to_user_id: ")


# Delivered, Read


@pytest.mark.parametrize("kind", ["Delivered", "Read"])
def test_receipts_reach_the_others_and_the_own_other_devices(cast, kind):
    chat, support, login, _ = cast.served(sync={})
    device, colleague = cast.open(login, sync={}), cast.open(cast.agent(), sync={})
    for number in range(3):
        chat.send({"type": "Chat", "content": f"{number}"})
    chat.expect("Ack", seq=5)
    support.expect("Chat", seq=5, conversation_id=conversation(login))

    def say(seq):
        support.send({"type": kind, "conversation_id": conversation(login), "seq": seq})

    def heard(one, seq):
        frame = one.expect(kind, conversation_id=conversation(login), user_id=cast.agent()["user_id"])
        has_only(frame, "conversation_id", "user_id", "seq", "timestamp")
        assert frame["seq"] == seq

    say(3)
    for one in (chat, device, colleague):
        heard(one, 3)
    # Neither again nor back is news; past the head counts as the head.
    say(3)
    say(1)
    support.settle()
    say(1 << 40)
    for one in (chat, device, colleague):
        heard(one, 5)
    support.settle()
    assert kind not in types(support)


# Typing


def test_typing_is_told_and_not_stored(cast):
    chat, support, login, _ = cast.served()
    device = cast.open(login)
    stranger = cast.open(cast.customer())
    before = cast.entries(login)
    for is_typing in (True, False):
        support.send({"type": "Typing", "conversation_id": conversation(login), "is_typing": is_typing})
        for one in (chat, device):
            frame = one.expect("Typing", is_typing=is_typing)
            has_only(frame, "conversation_id", "user_id", "is_typing")
            assert (frame["conversation_id"], frame["user_id"]) == (conversation(login), cast.agent()["user_id"])
        chat.send({"type": "Typing", "to_user_id": cast.agent()["user_id"], "is_typing": is_typing})
        support.expect("Typing", user_id=login["user_id"], is_typing=is_typing, conversation_id=conversation(login))
    chat.send({"type": "Typing", "to": cast.agent()["user_id"], "is_typing": True})
    support.expect("Typing", user_id=login["user_id"], is_typing=True)
    for one in (chat, stranger):
        one.settle()
        assert not [frame for frame in one.kept if frame["type"] in ("Typing", "Error")], one.kept
    assert cast.entries(login) == before


# Recall


def test_recall(cast):
    chat, support, login, _ = cast.served()
    device = cast.open(login)
    chat.send({"type": "Chat", "content": "oops", "client_id": "oops"})
    target = chat.expect("Ack", client_id="oops")["seq"]
    support.expect("Chat", content="oops", conversation_id=conversation(login))
    recall = {"type": "Recall", "conversation_id": conversation(login), "target_seq": target}
    chat.send({**recall, "client_id": "back"})
    ack = chat.expect("Ack", client_id="back")
    has_only(ack, "client_id", "id", "conversation_id", "seq", "timestamp")
    assert ack["seq"] == target + 1
    for one in (support, device):
        entry = one.expect("Recall", seq=ack["seq"], conversation_id=conversation(login))
        has_only(entry, *ENTRY, "target_seq", "client_id")
        assert (entry["from_user_id"], entry["target_seq"], entry["id"]) == (login["user_id"], target, ack["id"])
    # Again, from another device and without its client_id: the first one's Ack.
    device.send(recall)
    again = device.expect("Ack")
    assert again == {name: value for name, value in ack.items() if name != "client_id"}
    # A repeat of the message itself is acknowledged as it was, and brings nothing back.
    chat.send({"type": "Chat", "content": "oops", "client_id": "oops"})
    assert chat.expect("Ack", client_id="oops")["seq"] == target
    masked = cast.entries(login)[target - 1]
    assert (masked["content"], masked["recalled"], masked["client_id"]) == ("", True, "oops")
    assert len(cast.entries(login)) == ack["seq"]
    assert "oops" not in [frame.get("content") for frame in cast.open(login).seen]
    # Nobody else's.
    support.send(recall)
    assert support.expect("Error", conversation_id=conversation(login))["code"] == "recall_forbidden"
    support.send({**recall, "target_seq": 2})
    assert support.expect("Error", conversation_id=conversation(login))["code"] == "recall_forbidden"


# HistoryRequest, OnlineUsers


@pytest.mark.parametrize("bounds", [{}, {"limit": 2}, {"after": 0, "limit": 3}, {"after": 9}, {"before": 4}, {"before": 1}])
def test_history_is_what_rest_answers(cast, bounds):
    chat, support, login, _ = cast.served()
    for number in range(4):
        chat.send({"type": "Chat", "content": f"{number} {NASTY}"})
        chat.expect("Ack")
    for one, by, other in ((chat, login, cast.agent()), (support, cast.agent(), login)):
        for whose in ({"conversation_id": conversation(login)}, {"with": other["user_id"]}):
            one.send({"type": "HistoryRequest", **whose, **bounds})
            frame = one.expect("History")
            has_only(frame, "conversation_id", "messages", "has_more", "head")
            query = "&".join(f"{name}={value}" for name, value in {**whose, **bounds}.items())
            rest = cast.stack.http("GET", f"/api/messages?{query}", session=by["session_id"])
            assert rest.status == 200, rest
            assert {**rest.json, "type": "History"} == frame


def test_online_users(cast):
    chat, support, login, _ = cast.served()

    def ids(one, type="OnlineUsers", **members):
        one.send({"type": type, **members})
        frame = one.expect("OnlineUsers")
        has_only(frame, "users")
        for user in frame["users"]:
            assert set(user) == {"user_id", "user_name", "user_type", "status", "last_seen"}, user
        return {user["user_id"]: (user["user_type"], user["status"]) for user in frame["users"]}

    agent = cast.agent()["user_id"]
    until(lambda: login["user_id"] in ids(support), "presence knows of the customer")
    everybody = ids(support, "GetOnlineUsers")
    assert everybody[agent] == ("Kefu", "Online") and everybody[login["user_id"]] == ("Kehu", "Online")
    assert set(ids(support, user_type="Kefu")) == {agent}
    assert agent not in ids(support, user_type="customer")

    def listed():
        rest = cast.stack.http("GET", "/api/presence", session=cast.agent()["session_id"]).json["users"]
        return {user["user_id"]: (user["user_type"], user["status"]) for user in rest}

    # Between the two somebody of an earlier test may go.
    until(lambda: ids(support, "GetOnlineUsers") == listed(), "the frame and the route say the same")
    # A customer sees agents only.
    assert ids(chat) == {agent: ("Kefu", "Online")}


# Status, UserJoined, UserLeft


def test_status_is_told_to_agents_and_to_whom_the_agent_serves(cast):
    chat, support, login, _ = cast.served()
    colleague, stranger = cast.open(cast.agent(1)), cast.open(cast.customer())
    for status in ("Busy", "Away", "Online"):
        support.send({"type": "Status", "status": status})
        for one in (chat, colleague):
            frame = one.expect("Status", user_id=cast.agent()["user_id"], status=status)
            has_only(frame, "user_id", "user_name", "user_type", "status", "timestamp")
            assert frame["user_type"] == "Kefu"
        answer = cast.stack.http("GET", f"/api/presence/{cast.agent()['user_id']}", session=login["session_id"])
        assert answer.json["users"][0]["status"] == status
    chat.send({"type": "Status", "status": "Away"})
    colleague.expect("Status", user_id=login["user_id"], status="Away")
    stranger.settle()
    assert types(stranger) == {"Welcome", "Heartbeat"}, stranger.seen


def test_agents_hear_who_comes_and_goes_and_a_customer_of_their_agent(cast):
    chat, support, login, _ = cast.served()
    colleague, stranger = cast.open(cast.agent(1)), cast.open(cast.customer())
    visitor = cast.customer()
    visit = cast.open(visitor)
    for type, status in (("UserJoined", "Online"), ("UserLeft", "Offline")):
        frame = colleague.expect(type, user_id=visitor["user_id"], timeout=10)
        has_only(frame, "user_id", "user_name", "user_type", "status", "timestamp")
        assert (frame["status"], frame["user_type"]) == (status, "Kehu")
        visit.close()
    support.close()
    assert chat.expect("UserLeft", timeout=10)["user_id"] == cast.agent()["user_id"]
    cast.open(cast.agent())
    assert chat.expect("UserJoined", timeout=10)["user_id"] == cast.agent()["user_id"]
    stranger.settle()
    assert types(stranger) == {"Welcome", "Heartbeat"}, stranger.seen
    assert not [frame for frame in chat.seen if frame.get("user_id") == visitor["user_id"]]
