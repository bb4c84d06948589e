"""The catalogue of close codes, as two foreign clients see them, and whether they may come back."""

import contextlib
import signal

import pytest
from websockets.exceptions import ConnectionClosed

from cast import CLIENTS, Cast, People, conversation, story
from chat_client import refused
from http_client import request
from raw_socket import TEXT, frame
from stack import stack_with
from waiting import until

SETTINGS = {"gateway.ping_interval_ms": 800, "gateway.connections_per_user": 2}
LONG = "长" * 9_990


@pytest.fixture(scope="module")
def people(stack):
    return People(stack, customers=60, agents=1)


@pytest.fixture(params=CLIENTS)
def cast(request, stack, people):
    with Cast(stack, people, CLIENTS[request.param]) as cast:
        yield cast


def comes_back(cast, login):
    """The same session opens a connection again, and it works."""
    cast.open(login).settle()


WRONG = {
    "binary": (1003, lambda chat: chat.send(b"\x00\x01")),
    "utf8": (1007, lambda chat: chat.raw(frame(TEXT, b"\xff\xfe"))),
    "reserved": (1002, lambda chat: chat.raw(bytes.fromhex("f18000000000"))),
    "unmasked": (1002, lambda chat: chat.raw(b"\x81\x01A")),
    "continuation": (1002, lambda chat: chat.raw(frame(0, b"of nothing"))),
    "large": (1009, lambda chat: chat.send("x" * (128 * 1024 + 1))),
    "refused": (1008, lambda chat: [chat.send("{}") for _ in range(21)]),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_a_client_does_wrong_has_its_code(cast, what):
    code, do = WRONG[what]
    login = cast.customer()
    with cast.open(login) as chat, cast.open(login) as untouched:
        with contextlib.suppress(ConnectionClosed):
            do(chat)
        assert chat.expect_closed() == code
        untouched.settle()
    comes_back(cast, login)


def test_4401_the_session_has_ended(cast):
    login = cast.customer()
    chat = cast.open(login)
    assert cast.stack.http("POST", "/auth/logout", session=login["session_id"]).status == 200
    assert chat.expect_closed(timeout=2) == 4401
    again = refused(
        cast.stack.port, cast.client, user_id=login["user_id"], session_id=login["session_id"], user_type="Kehu"
    )
    assert again.status_code == 401


def closed_so_far(cast, code):
    """How many connections the gateway has closed with a code."""
    text = request(cast.stack.ports["gateway"], "GET", "/metrics").body.decode()
    found = [line.split()[1] for line in text.splitlines() if line.startswith(f'gateway_closed_total{{code="{code}"}}')]
    return float(found[0]) if found else 0


def test_4408_nothing_was_heard(cast):
    login = cast.customer()
    silent, idle = (cast.open(login, port=cast.stack.ports["gateway"]) for _ in range(2))
    before = closed_so_far(cast, 4408)
    silent.pause()
    until(lambda: closed_so_far(cast, 4408) > before, "the silent one is closed", timeout=15)
    silent.resume()
    assert silent.expect_closed() == 4408
    # The other one did nothing but answer pings.
    idle.settle()
    comes_back(cast, login)


def test_4409_newer_connections_took_its_place(cast):
    login = cast.customer()
    chats = [cast.open(login) for _ in range(3)]
    assert chats[0].expect_closed() == 4409
    for chat in chats[1:]:
        chat.settle()


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_1013_a_slow_reader_comes_back_and_misses_nothing(client):
    # More than the kernel's buffers between the two can ever take.
    count = 900
    settings = {
        "gateway.outbound_bytes_max": 256 * 1024, "gateway.message_rate": 100_000, "gateway.message_burst": 100_000,
    }
    with stack_with(settings) as stack, Cast(stack, People(stack, customers=1, agents=1), client) as cast:
        _, support, login, _ = cast.served(sync={})
        name, direct = conversation(login), stack.ports["gateway"]
        # What is live is sent as it comes; what was missed, at the pace of the socket.
        slow = cast.open(login, sync={name: 0}, port=direct)
        slow.pause()
        for number in range(count):
            support.send({"type": "Chat", "to_user_id": login["user_id"], "content": LONG, "client_id": f"{number}"})
        support.expect("Ack", client_id=f"{count - 1}", timeout=30)
        slow.resume()
        assert slow.expect_closed(timeout=20) == 1013
        got = story(slow)
        assert got == list(range(1, len(got) + 1))
        head = len(cast.entries(login))
        assert len(got) < head
        again = cast.open(login, sync={name: len(got)}, port=direct)
        assert story(again) == list(range(len(got) + 1, head + 1))


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_1001_a_gateway_that_stops_is_come_back_to(client):
    with stack_with({"gateway.drain_spread_ms": 300, "gateway.commit_interval_ms": 200}) as stack:
        with Cast(stack, People(stack, customers=3, agents=1), client) as cast:
            chat, support, login, _ = cast.served(sync={})
            for number in range(20):
                chat.send({"type": "Chat", "content": f"{number}", "client_id": f"{number}"})
            chat.settle()
            stack.gateway.child.send_signal(signal.SIGTERM)
            assert chat.expect_closed(timeout=10) == 1001
            assert support.expect_closed(timeout=10) == 1001
            acks = [frame["client_id"] for frame in chat.seen if frame["type"] == "Ack"]
            assert acks == ["hello", *(f"{number}" for number in range(20))]
            assert stack.gateway.child.wait(timeout=10) == 0
            stack.gateway.child = None
            stack.gateway.start()
            seen = max(story(support))
            again = cast.open(cast.agent(), sync={conversation(login): seen})
            assert story(again) == list(range(seen + 1, 23))
            assert cast.open(login, sync={conversation(login): 22}).synced["heads"] == {conversation(login): 22}
