"""The life of a WebSocket: every close code as a client sees it, limits, drain, several devices, reconnecting."""

import contextlib
import json
import secrets
import signal
import socket
import struct
import time

import pytest
from websockets.exceptions import ConnectionClosed

from chat_client import ENTRY_TYPES
from http_client import request
from raw_socket import BINARY, CLOSE, PING, PONG, TEXT, RawSocket, frame, handshake, text
from stack import stack_with
from waiting import until

AGENT = "support001"
LONG = "长" * 10_000


@pytest.fixture(scope="module")
def tight():
    """Short intervals and small limits."""
    settings = {
        "gateway.ping_interval_ms": 600, "gateway.outbound_bytes_max": 256 * 1024, "gateway.message_rate": 100,
        "gateway.message_burst": 50,
    }
    with stack_with(settings) as one:
        yield one


@pytest.fixture
def customer(stack):
    return stack.login("user123")


@pytest.fixture
def agent(stack):
    return stack.login(AGENT)


def say(content, **members):
    return {"type": "Chat", "to_user_id": AGENT, "content": content, **members}


def new_customer(stack):
    """A customer of their own, logged in."""
    name, password = f"customer-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    stack.secrets.add(password)
    file = stack.directory / "password"
    file.write_text(password)
    stack.run(
        "auth", "create-user", "--user-id", name, "--user-name", name, "--user-type", "Kehu",
        "--password-file", str(file),
    )
    return stack.login(name, password, "Kehu")


# Close codes


def test_logout_closes_with_4401_within_a_second(stack, customer):
    other = stack.login("user123")
    with stack.chat(customer) as chat, stack.chat(other) as untouched:
        start = time.monotonic()
        assert stack.http("POST", "/auth/logout", session=customer["session_id"]).status == 200
        assert chat.expect_closed() == 4401
        assert time.monotonic() - start < 1
        untouched.settle()


def test_the_eleventh_connection_closes_the_oldest_with_4409(stack, customer):
    with contextlib.ExitStack() as open_ones:
        chats = [open_ones.enter_context(stack.chat(customer)) for _ in range(11)]
        assert chats[0].expect_closed() == 4409
        for chat in chats[1:]:
            chat.settle()


def test_connections_that_ignore_their_close_do_not_shield_the_next_ones(stack, customer):
    with contextlib.ExitStack() as open_ones:
        raws = [open_ones.enter_context(RawSocket(stack.ports["gateway"], customer)) for _ in range(15)]
        for raw in raws[:5]:
            assert raw.until_close()[1] == 4409
        for raw in raws[5:]:
            raw.send(text({"type": "Heartbeat"}))
            raw.expect("Heartbeat")


def test_binary_is_1003(stack, customer):
    with stack.chat(customer) as chat:
        chat.send(b"\x00\x01")
        assert chat.expect_closed() == 1003


def test_an_oversize_frame_is_1009(stack, customer):
    with stack.chat(customer) as chat:
        with contextlib.suppress(ConnectionClosed):
            chat.send("x" * (128 * 1024 + 1))
        assert chat.expect_closed() == 1009


def test_the_twenty_first_bad_frame_in_a_minute_is_1008(stack, customer):
    with stack.chat(customer) as chat:
        for _ in range(20):
            chat.send("{}")
        chat.settle()
        assert len([frame for frame in chat.seen if frame["type"] == "Error"]) == 20
        chat.send("{}")
        assert chat.expect_closed() == 1008


BROKEN = [
    (1007, frame(TEXT, b"\xff\xfe")),
    (1002, b"\x81\x01A"),
    (1002, frame(0, b"of nothing")),
    (1002, frame(CLOSE, b"\x03")),
    (1003, frame(BINARY, b"\x00")),
    (1009, b"\x81\xff" + struct.pack("!Q", 1 << 40) + bytes(4)),
]


@pytest.mark.parametrize("through", ["edge", "gateway"])
@pytest.mark.parametrize("code, data", BROKEN, ids=["utf8", "unmasked", "continuation", "close", "binary", "large"])
def test_a_broken_frame_gets_its_code_and_an_end(stack, customer, through, code, data):
    with RawSocket(stack.ports[through], customer) as raw:
        raw.expect("Welcome")
        raw.send(data + frame(TEXT, b"{}") * 100)
        assert raw.until_close()[1] == code
        if through == "gateway":
            # nginx closes at once, and resets a client that sends on.
            raw.send(frame(CLOSE, struct.pack("!H", code)))
            assert raw.at_end()


def test_the_clients_own_close_is_answered(stack, customer):
    with RawSocket(stack.ports["gateway"], customer) as raw:
        raw.send(frame(CLOSE, struct.pack("!H", 1000)))
        assert raw.until_close()[1] == 1000
        assert raw.at_end()


def test_silence_is_4408_and_pongs_are_enough_to_stay(tight):
    login = tight.login("user123")
    with tight.chat(login) as idle, RawSocket(tight.ports["gateway"], login) as silent:
        start = time.monotonic()
        assert silent.until_close()[1] == 4408
        assert 1.4 < time.monotonic() - start < 3
        idle.settle()


def test_pings_are_signs_of_life_and_count_against_the_rate(tight):
    with RawSocket(tight.ports["gateway"], tight.login("test_user")) as raw:
        raw.expect("Welcome")
        start, count = time.monotonic(), 0
        while time.monotonic() - start < 2.5:
            raw.send(frame(PING, b"p") * 10)
            count += 10
            pongs = 0
            while pongs < 10:
                opcode, payload = raw.receive()
                assert opcode in (PING, PONG), (opcode, payload)
                pongs += opcode == PONG
        assert 50 < count < 400, f"{count} pings answered"


def test_a_client_that_does_not_read_is_1013_and_misses_nothing():
    # More than the kernel's buffers between the two can ever take, so that the gateway's own queue fills.
    count = 900
    settings = {
        "gateway.outbound_bytes_max": 256 * 1024, "gateway.message_rate": 100_000, "gateway.message_burst": 100_000,
    }
    with stack_with(settings) as stack:
        login, agent = stack.login("test"), stack.login(AGENT)
        with RawSocket(stack.ports["gateway"], login, receive_buffer=4096) as slow, stack.chat(agent) as support:
            slow.expect("Welcome")
            # From the second entry on the conversation is sent as it comes: what is read instead waits for the socket.
            support.send({"type": "Chat", "to_user_id": "test", "content": "first"})
            slow.expect("AgentAssigned")
            for number in range(count):
                support.send({"type": "Chat", "to_user_id": "test", "content": f"{number} {LONG[:9990]}"})
            for _ in range(count + 1):
                support.expect("Ack", timeout=20)
            count += 2
            got, code = slow.until_close()
            assert code == 1013
        seen = [document["seq"] for document in got if document["type"] in ENTRY_TYPES]
        assert seen == list(range(3, len(seen) + 3)) and len(seen) + 2 < count
        with stack.chat(login) as again:
            # What it had read but not acknowledged may come a second time.
            again.expect("Chat", timeout=20, seq=count)
            rest = [frame["seq"] for frame in again.seen if frame["type"] in ENTRY_TYPES]
            assert rest == list(range(rest[0], count + 1))
            assert rest[0] <= len(seen) + 3


def test_a_slow_reader_gets_a_backlog_of_many_conversations(tight):
    agent = tight.login(AGENT)
    customers = [new_customer(tight) for _ in range(12)]
    for login in customers:
        with tight.chat(login) as chat:
            for number in range(3):
                chat.send(say(f"{number} {LONG[:9990]}"))
            for _ in range(3):
                chat.expect("Ack", timeout=10)
    names = {f"c:{login['user_id']}" for login in customers}
    got = {name: [] for name in names}
    with RawSocket(tight.ports["gateway"], agent, receive_buffer=4096) as slow:
        while sum(map(len, got.values())) < 36:
            opcode, payload = slow.receive()
            assert opcode != CLOSE, f"{payload!r} after {sum(map(len, got.values()))} entries"
            if opcode == TEXT:
                document = json.loads(payload)
                if document["type"] == "Chat" and document["conversation_id"] in names:
                    got[document["conversation_id"]].append(document["seq"])
            slow.send(frame(PONG, b"unasked"))
    assert all(seqs == [1, 2, 3] for seqs in got.values()), got


# Limits


def test_over_the_rate_a_client_is_slower_and_nothing_is_refused(tight):
    login = tight.login("user123")
    with tight.chat(login) as chat:
        start = time.monotonic()
        for number in range(250):
            chat.send(say(f"{number}", client_id=f"r{number}"))
        acks = [chat.expect("Ack", timeout=20) for _ in range(250)]
        elapsed = time.monotonic() - start
        assert [ack["client_id"] for ack in acks] == [f"r{number}" for number in range(250)]
        assert not [frame for frame in chat.seen if frame["type"] == "Error"]
        assert 1.8 < elapsed < 8, elapsed


def test_connection_limits_say_when_to_come_back():
    with stack_with({"gateway.connections_max": 5, "gateway.connections_per_address": 3}) as stack:
        login = stack.login("user123")
        port = stack.ports["gateway"]

        def connect(address):
            return RawSocket(port, login, headers=[f"X-Forwarded-For: {address}"])

        with contextlib.ExitStack() as open_ones:
            for address in ["192.0.2.1"] * 3 + ["192.0.2.2"] * 2:
                raw = open_ones.enter_context(connect(address))
                assert raw.status == 101
            for address, status in [("192.0.2.1", 503), ("192.0.2.3", 503)]:
                with connect(address) as refused:
                    assert refused.status == status
                    assert int(refused.header("Retry-After")) > 0
            raw.socket.close()

            def has_room():
                with connect("192.0.2.1") as refused:
                    assert refused.status == 429
                    assert int(refused.header("Retry-After")) > 0
                return True

            until(has_room, "the place of a connection that has gone is free")
        # All places come back, also those of refused handshakes.
        for _ in range(30):
            with RawSocket(port, {**login, "session_id": "x" * 22}) as refused:
                assert refused.status == 401

        # And those of clients that go away in the middle of theirs.
        for number in range(60):
            with socket.create_connection(("127.0.0.1", port)) as gone:
                gone.sendall(handshake(port, login, [f"X-Forwarded-For: 192.0.2.{number}"])[:None if number % 3 else -2])

        def all_free():
            with contextlib.ExitStack() as again:
                return all(again.enter_context(connect("192.0.2.9")).status == 101 for _ in range(3))

        until(all_free, "all places are free")

        def none_open():
            text = request(port, "GET", "/metrics").body.decode()
            return "\ngateway_connections 0\n" in text

        until(none_open, "no connection is counted")


# Sessions


def test_a_refreshed_session_keeps_its_sockets(stack):
    old = stack.login("test_user")
    with stack.chat(old) as chat:
        answer = stack.http("POST", "/auth/session/refresh", session=old["session_id"])
        assert answer.status == 200, answer
        new = answer.json["session_id"]
        stack.secrets.add(new)
        with stack.chat(old) as late:

            def old_has_ended():
                return stack.http("GET", "/auth/session", session=old["session_id"]).status == 401

            until(old_has_ended, "the old id has ended", timeout=15, interval=0.2)
            assert stack.http("GET", "/auth/session", session=new).status == 200
            chat.settle()
            late.settle()
            stack.http("POST", "/auth/logout", session=new)
            assert chat.expect_closed(timeout=1) == 4401
            # It was opened with the old id when that was replaced already, and belongs to the new one all the same.
            assert late.expect_closed(timeout=1) == 4401


# Devices and reconnecting


def test_every_device_of_both_gets_everything(stack, customer, agent):
    with contextlib.ExitStack() as open_ones:
        mine = [open_ones.enter_context(stack.chat(customer)) for _ in range(2)]
        theirs = [open_ones.enter_context(stack.chat(agent)) for _ in range(2)]
        for number in range(20):
            sender = mine[number % 2]
            sender.send(say(f"device {number}"))
            ack = sender.expect("Ack")
            for other in (mine[1 - number % 2], *theirs):
                assert other.expect("Chat", content=f"device {number}")["seq"] == ack["seq"]
        theirs[0].send({"type": "Chat", "to_user_id": "user123", "content": "and back"})
        for other in (*mine, theirs[1]):
            other.expect("Chat", content="and back")
        # Nobody got anything twice, and the senders' own entries came as acknowledgements only.
        for chat in (*mine, *theirs):
            chat.settle()
            assert not [frame for frame in chat.kept if frame["type"] in ("Chat", "Error")], chat.kept


def test_a_client_that_reconnects_gets_what_it_missed_in_order(stack, agent):
    login = stack.login("test")
    with stack.chat(login) as chat, stack.chat(agent) as support:
        support.send({"type": "Chat", "to_user_id": "test", "content": "before"})
        chat.expect("Chat", content="before")
        chat.close()
        for number in range(300):
            support.send({"type": "Chat", "to_user_id": "test", "content": f"missed {number}"})
        last = [support.expect("Ack") for _ in range(301)][-1]
    with stack.chat(login) as again:
        again.expect("Chat", seq=last["seq"])
        got = [frame for frame in again.seen if frame["type"] in ENTRY_TYPES]
        # The one before may come again: its delivery was perhaps not known yet.
        assert [frame["seq"] for frame in got] == list(range(got[0]["seq"], last["seq"] + 1))
        said = [frame["content"] for frame in got if frame["type"] == "Chat"]
        assert said[-300:] == [f"missed {number}" for number in range(300)]


def test_a_repeat_sent_with_the_handshake_is_acknowledged_though_another_device_has_taken_it(stack):
    login = stack.login("test")
    frame_once = say("once", client_id="sent-twice")
    with stack.chat(login) as first, stack.chat(login) as other:
        first.send(frame_once)
        ack = first.expect("Ack")
        other.expect("Chat", content="once")
        other.send({"type": "Delivered", "conversation_id": ack["conversation_id"], "seq": ack["seq"]})

    def is_taken():
        with stack.chat(login) as chat:
            chat.settle()
            return not [one for one in chat.seen if one["type"] == "Chat"]

    until(is_taken, "the entry counts as delivered")
    for _ in range(20):
        with RawSocket(stack.ports["gateway"], login, early=text(frame_once)) as again:
            assert again.expect("Ack", client_id="sent-twice")["seq"] == ack["seq"]


def test_many_connections_of_one_user_leave_presence_right(stack, agent):
    login = new_customer(stack)
    with stack.chat(agent) as support:
        with contextlib.ExitStack() as open_ones:
            for number in range(20):
                chat = stack.chat(login)
                if number % 2:
                    chat.close()
                else:
                    open_ones.callback(chat.close)
            support.expect("UserJoined", user_id=login["user_id"])

            def listed():
                answer = stack.http("GET", "/api/presence", session=agent["session_id"])
                return [user["status"] for user in answer.json["users"] if user["user_id"] == login["user_id"]]

            assert listed() == ["Online"]
        support.expect("UserLeft", user_id=login["user_id"], timeout=10)
        # Whatever came before the last news is here by the time that other news is.
        with stack.chat(new_customer(stack)) as other:
            support.expect("UserJoined", user_id=other.welcome["user_id"])
        news = [
            one["type"] for one in support.seen
            if one["type"] in ("UserJoined", "UserLeft") and one["user_id"] == login["user_id"]
        ]
        assert news == ["UserJoined", "UserLeft"]


# Drain


@pytest.mark.parametrize("loops", [1, 3])
def test_sigterm_acknowledges_what_was_read_and_closes_with_1001(loops):
    # Commits are slower than the closing, so that it has acknowledgements to wait for.
    settings = {"http.loop_threads": loops, "gateway.commit_interval_ms": 500, "gateway.drain_spread_ms": 200}
    with stack_with(settings) as stack:
        login, agent = stack.login("user123"), stack.login(AGENT)
        with contextlib.ExitStack() as open_ones:
            # Several loops: the limit of one user's connections holds over all of them.
            chats = [open_ones.enter_context(stack.chat(login)) for _ in range(11)]
            assert chats.pop(0).expect_closed() == 4409
            support = open_ones.enter_context(stack.chat(agent))
            deaf = open_ones.enter_context(RawSocket(stack.ports["gateway"], stack.login("test")))
            deaf.expect("Welcome")
            for chat in chats:
                for number in range(100):
                    chat.send(say(f"{number}", client_id=f"{id(chat)}-{number}"))
                chat.send({"type": "Heartbeat"})
            for chat in chats:
                chat.expect("Heartbeat", timeout=10)
            start = time.monotonic()
            stack.gateway.child.send_signal(signal.SIGTERM)
            for chat in chats:
                assert chat.expect_closed(timeout=10) == 1001
                acks = [frame["client_id"] for frame in chat.seen if frame["type"] == "Ack"]
                assert acks == [f"{id(chat)}-{number}" for number in range(100)]
            assert support.expect_closed(timeout=10) == 1001
            # Its turn came before the last commits, maybe: the rest follows when it connects again.
            got = [frame["seq"] for frame in support.seen if frame["type"] in ENTRY_TYPES]
            assert got == list(range(1, len(got) + 1))
            assert deaf.until_close()[1] == 1001
            assert stack.gateway.child.wait(timeout=10) == 0
            assert time.monotonic() - start < 10
            stack.gateway.child = None
            stack.gateway.start()
            with stack.chat(agent) as again:
                # Nothing is missed; what it had not confirmed comes again.
                # And one entry more than the messages: the agent was assigned.
                if len(got) < 1001:
                    # Which of them is the last one, presence decides.
                    again.expect_that(lambda frame: frame.get("seq") == 1001, "the last entry", timeout=10)
                else:
                    again.settle()
                rest = [frame["seq"] for frame in again.seen if frame["type"] in ENTRY_TYPES]
                assert rest == list(range(1002 - len(rest), 1002)) and len(got) + len(rest) >= 1001
            assert len(stack.history(login["session_id"], f"with={AGENT}")) == 1001


# Presence without room


def test_a_user_whom_presence_cannot_hold_is_told_to_come_back():
    with stack_with({"presence.users_max": 1}) as stack:
        agent = stack.login(AGENT)
        with stack.chat(agent) as support:
            until(
                lambda: stack.http("GET", "/api/presence", session=agent["session_id"]).json["users"],
                "presence knows the agent",
            )
            with stack.chat(stack.login("test")) as chat:
                assert chat.expect_closed() == 1013
            support.settle()
