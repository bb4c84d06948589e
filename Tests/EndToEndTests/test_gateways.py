"""Three gateways on one log in Redis: whichever a member is on, each entry comes once and in order."""

import asyncio
import contextlib
import random
import threading

import pytest
from websockets.exceptions import ConnectionClosed

from chat_client import refused
from cluster import cluster, restart, restore
from http_client import request
from test_delivery import LENGTH, SETTINGS, Flow, counts_for
from waiting import eventually, until

FIRST, SECOND, THIRD = GATEWAYS = ("gateway", "gateway-1", "gateway-2")
MESSAGES = 3000
# Of fifty customers and five agents who drop and come back while gateways are killed.
FLOW = 6000 * LENGTH


@pytest.fixture(scope="module")
def stack():
    with cluster(SETTINGS, gateway=len(GATEWAYS)) as (stack, _):
        yield stack


@pytest.fixture
def people(stack):
    """A customer and an agent with fresh sessions, and a way to open their devices at a gateway."""
    restore(stack)
    chats = []

    class People:
        customer = stack.login("user123")
        agent = stack.login("support001")

        @staticmethod
        def open(login, gateway, **options):
            chats.append(stack.chat(login, port=stack.ports[gateway], **options))
            return chats[-1]

    yield People()
    for chat in chats:
        chat.close()


def located(stack, *logins):
    """Waits until presence knows where they are: receipts and typing are told to those, and once."""

    def known():
        users = [login["user_id"] for login in logins]
        answer = request(
            stack.ports["presence"], "POST", "/internal/locate", json={"user_ids": users},
            headers={"X-Internal-Token": stack.token},
        )
        assert answer.status == 200, answer
        return all(answer.json["locations"].get(user) for user in users)

    until(known, "presence knows them")


def metric(stack, gateway, name):
    """A counter of a gateway's."""
    text = request(stack.ports[gateway], "GET", "/metrics").body.decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def say(chat, number, to, prefix="m"):
    chat.send({"type": "Chat", "to_user_id": to, "content": f"{prefix}{number}", "client_id": f"{prefix}{number}"})


def contents(chat, prefix):
    """What came of the messages so named, in its order."""
    return [frame["content"] for frame in chat.seen
            if frame.get("type") == "Chat" and frame["content"].startswith(prefix)]


def test_every_device_on_every_gateway(stack, people):
    customer, phone = people.open(people.customer, FIRST), people.open(people.customer, SECOND)
    support, tablet = people.open(people.agent, SECOND), people.open(people.agent, FIRST)
    for number in range(50):
        say(customer, number, "support001", "every")
        say(support, number, "user123", "answer")
    for prefix, sender, others in (("every", customer, (phone, support, tablet)),
                                   ("answer", support, (customer, phone, tablet))):
        for number in range(50):
            sender.expect("Ack", client_id=f"{prefix}{number}")
            for other in others:
                other.expect("Chat", content=f"{prefix}{number}")
        for other in others:
            other.settle()
            assert contents(other, prefix) == [f"{prefix}{number}" for number in range(50)]
        sender.settle()
        assert contents(sender, prefix) == []


def test_a_first_conversation_comes_to_devices_that_have_just_come(stack):
    """Another device has taken it before it is found here; that is no reason to leave it out."""
    (*_, visitor), _ = stack.sessions(60, 5)
    with contextlib.ExitStack() as everything:
        first, *others = [
            everything.enter_context(stack.chat(visitor, port=stack.ports[gateway])) for gateway in GATEWAYS
        ]
        say(first, 0, "support001", "first")
        first.expect("Ack", client_id="first0")
        for other in others:
            other.expect("Chat", content="first0", timeout=20)


def test_receipts_typing_and_recall_cross(stack, people):
    customer, support = people.open(people.customer, FIRST), people.open(people.agent, SECOND)
    say(customer, 1, "support001", "recalled")
    entry = support.expect("Chat", content="recalled1")
    located(stack, people.customer, people.agent)

    def typing_comes():
        """It is told once to where the other one is known to be; who has just come may be missed."""
        support.send({"type": "Typing", "to_user_id": "user123", "is_typing": True})
        return customer.expect("Typing", user_id="support001", timeout=0.5)

    until(typing_comes, "typing is told", timeout=20)
    support.send({"type": "Read", "conversation_id": entry["conversation_id"], "seq": entry["seq"]})
    customer.expect("Read", seq=entry["seq"], user_id="support001")
    customer.send({"type": "Recall", "conversation_id": entry["conversation_id"], "target_seq": entry["seq"]})
    support.expect("Recall", target_seq=entry["seq"])


def test_a_repeat_at_another_gateway_is_answered_as_the_first_time(stack, people):
    support = people.open(people.agent, THIRD)
    acks = []
    for gateway in GATEWAYS:
        customer = people.open(people.customer, gateway)
        say(customer, 0, "support001", "again")
        acks.append(customer.expect("Ack", client_id="again0"))
    assert acks[0] == acks[1] == acks[2]
    support.expect("Chat", content="again0")
    support.settle()
    assert contents(support, "again") == ["again0"]


def test_history_is_the_same_at_every_gateway(stack, people):
    with_gateway = [people.open(people.customer, gateway) for gateway in GATEWAYS]
    for number in range(30):
        chat = with_gateway[number % 3]
        say(chat, number, "support001", "history")
        chat.expect("Ack", client_id=f"history{number}")
    path = "/api/messages?with=user123&limit=200"
    session = people.agent["session_id"]
    pages = [request(stack.ports[gateway], "GET", path, session=session).json for gateway in GATEWAYS]
    assert pages[0] == pages[1] == pages[2]
    seqs = [entry["seq"] for entry in pages[0]["messages"]]
    assert seqs == list(range(seqs[0], pages[0]["head"] + 1))
    written = [entry["content"] for entry in pages[0]["messages"] if entry.get("content", "").startswith("history")]
    assert written == [f"history{number}" for number in range(30)]
    for chat in with_gateway:
        chat.send({"type": "HistoryRequest", "with": "support001", "limit": 200})
        assert chat.expect("History")["messages"] == pages[0]["messages"]


def test_presence_is_the_same_at_every_gateway(stack, people):
    """Who is where is no matter: agents are told, and whoever asks gets one answer, through the edge too."""
    support = [people.open(people.agent, gateway) for gateway in GATEWAYS]
    visitor = stack.login("test")
    chat = people.open(visitor, FIRST)
    for one in support:
        one.expect("UserJoined", user_id="test")
        one.send({"type": "OnlineUsers"})
    for one in support:
        users = one.expect("OnlineUsers")["users"]
        assert {"test", "support001"} <= {user["user_id"] for user in users}
    answers = [
        request(port, "GET", "/api/presence", session=people.agent["session_id"]).json
        for port in (stack.port, stack.ports["presence"])
    ]
    shown = [{(user["user_id"], user["status"]) for user in answer["users"]} for answer in answers]
    assert shown[0] == shown[1] and ("test", "Online") in shown[0]
    chat.close()
    for one in support:
        one.expect("UserLeft", user_id="test", timeout=15)


def test_logout_closes_sockets_everywhere(stack, people):
    chats = [people.open(people.customer, gateway) for gateway in GATEWAYS]
    assert stack.http("POST", "/auth/logout", session=people.customer["session_id"]).status == 200
    assert [chat.expect_closed(timeout=3) for chat in chats] == [4401] * 3
    for gateway in GATEWAYS:
        answer = refused(stack.ports[gateway], **{name: people.customer[name] for name in ("user_id", "session_id")})
        assert answer.status_code == 401


def test_an_administrator_ends_sessions_on_every_gateway(stack, people):
    visitor = stack.login("test_user")
    chats = [people.open(visitor, gateway) for gateway in GATEWAYS]
    answer = stack.http("DELETE", "/api/users/test_user/sessions", session=people.agent["session_id"])
    assert answer.status in (200, 204), answer
    assert [chat.expect_closed(timeout=3) for chat in chats] == [4401] * 3


def test_killed_gateway_loses_and_doubles_nothing(stack, people):
    """A customer streams through a gateway that is killed, and goes on at the other one under the same client_ids."""
    support = people.open(people.agent, SECOND)
    prefix = f"killed{random.randrange(10 ** 9)}-"
    acks = set()

    def send_all(gateway, kill_after=None):
        chat = people.open(people.customer, gateway)
        left = [number for number in range(MESSAGES) if f"{prefix}{number}" not in acks]

        def read():
            try:
                while len(acks) < MESSAGES:
                    frame = chat.receive(timeout=30)
                    assert frame["type"] != "Error", frame
                    if frame["type"] == "Ack":
                        acks.add(frame["client_id"])
                    if kill_after is not None and len(acks) >= kill_after and stack.processes[gateway].running:
                        stack.processes[gateway].kill()
            except (ConnectionClosed, TimeoutError):
                pass

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for number in left:
                say(chat, number, "support001", prefix)
        except ConnectionClosed:
            pass
        reader.join(timeout=60)
        assert not reader.is_alive()

    send_all(FIRST, kill_after=MESSAGES // 3)
    assert 0 < len(acks) < MESSAGES
    send_all(SECOND)
    assert len(acks) == MESSAGES
    until(lambda: support.settle() or len(set(contents(support, prefix))) == MESSAGES, "all came", timeout=30)
    came = contents(support, prefix)
    assert len(came) == len(set(came)), "something came twice"
    sequences = [frame["seq"] for frame in support.seen if frame.get("content", "").startswith(prefix)]
    assert sequences == sorted(sequences)


def test_chat_goes_on_without_presence(stack, people):
    customer, support = people.open(people.customer, FIRST), people.open(people.agent, SECOND)
    located(stack, people.customer, people.agent)
    say(customer, 0, "support001", "without")
    support.expect("Chat", content="without0")
    hints = metric(stack, FIRST, "gateway_hints_sent_total")

    def is_hinted():
        """Only those go on at once whose places are known; "nowhere" may be held for a lease."""
        say(customer, random.randrange(10 ** 9), "support001", "located")
        customer.settle()
        return metric(stack, FIRST, "gateway_hints_sent_total") > hints

    until(is_hinted, "the agent's place is known", timeout=20, interval=0.2)
    stack.presence.kill()
    try:
        for number in range(1, 20):
            say(customer, number, "support001", "without")
            support.expect("Chat", content=f"without{number}", timeout=10)
    finally:
        stack.presence.start()
    say(customer, 20, "support001", "without")
    support.expect("Chat", content="without20", timeout=10)
    support.settle()
    assert contents(support, "without") == [f"without{number}" for number in range(21)]


def test_stopped_gateway_hands_over(stack, people):
    """SIGTERM while messages are on their way: they arrive elsewhere, sockets are told, the exit is clean."""
    customer, support = people.open(people.customer, FIRST), people.open(people.agent, SECOND)
    for number in range(200):
        say(customer, number, "support001", "stopped")
    customer.expect("Ack", client_id="stopped0")
    assert stack.processes[FIRST].stop(timeout=10) == 0
    assert customer.expect_closed() == 1001
    acknowledged = [frame["client_id"] for frame in customer.seen if frame.get("type") == "Ack"]
    for name in acknowledged:
        support.expect("Chat", content=name, timeout=10)
    again = people.open(people.customer, SECOND)
    for number in range(200):
        say(again, number, "support001", "stopped")
        again.expect("Ack", client_id=f"stopped{number}")
    support.settle()
    assert contents(support, "stopped") == [f"stopped{number}" for number in range(200)]


def test_nothing_is_lost_while_gateways_are_killed_under_load(seed):
    """Everybody comes by the edge, drops and comes back, and finds another gateway when one is killed."""
    rng = random.Random(seed)
    kills = 6 * LENGTH
    with cluster(SETTINGS, gateway=len(GATEWAYS)) as (stack, _):
        flow = Flow(stack, seed, counts_for(FLOW))

        async def kill(flow):
            for number in range(1, kills + 1):
                await eventually(lambda: flow.acknowledged >= flow.total * number // (kills + 1), flow.state, 120)
                await asyncio.to_thread(restart, stack.processes[rng.choice(GATEWAYS)])

        asyncio.run(flow.run(180 * LENGTH, kill))
        flow.check()
        assert sum(device.resent for device in flow.devices) > 0, "no kill has cost an Ack"
        hints = [metric(stack, gateway, "gateway_hints_received_total") for gateway in GATEWAYS]
        assert sum(hints) > 0, "no gateway was told of anything"
