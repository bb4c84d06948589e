"""Two gateways on one log in Redis: whichever a member is on, each entry comes once and in order."""

import pathlib
import random
import tempfile
import threading

import pytest
from websockets.exceptions import ConnectionClosed

from http_client import request
from redis_server import RedisServer
from stack import Stack
from waiting import until

FIRST, SECOND = "gateway", "gateway-1"
MESSAGES = 3000
SETTINGS = {"gateway.message_rate": 1_000_000, "gateway.message_burst": 1_000_000}


@pytest.fixture(scope="module")
def stack():
    with tempfile.TemporaryDirectory() as directory, RedisServer(pathlib.Path(directory)) as redis:
        one = Stack(SETTINGS, environment={"STORE": redis.url}, gateways=2)
        files = {"STORE": f"sqlite:{one.directory}/data"}
        one.processes["files"].environment = {**one.environment, **files}
        try:
            yield one.start()
            statuses = one.stop()
            assert set(statuses.values()) == {0}, statuses
            assert one.leaks() == []
        except BaseException:
            one.print_logs()
            raise
        finally:
            one.remove()


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


def restore(stack):
    """All run."""
    for process in stack.processes.values():
        if not process.running:
            process.child = None
            process.start()


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
    assert metric(stack, FIRST, "gateway_hints_sent_total") > 0
    assert metric(stack, SECOND, "gateway_hints_received_total") > 0


def test_receipts_typing_and_recall_cross(stack, people):
    customer, support = people.open(people.customer, FIRST), people.open(people.agent, SECOND)
    say(customer, 1, "support001", "recalled")
    entry = support.expect("Chat", content="recalled1")
    support.send({"type": "Read", "conversation_id": entry["conversation_id"], "seq": entry["seq"]})
    customer.expect("Read", seq=entry["seq"], user_id="support001")
    support.send({"type": "Typing", "to_user_id": "user123", "is_typing": True})
    customer.expect("Typing", user_id="support001")
    customer.send({"type": "Recall", "conversation_id": entry["conversation_id"], "target_seq": entry["seq"]})
    support.expect("Recall", target_seq=entry["seq"])


def test_logout_closes_sockets_everywhere(stack, people):
    chats = [people.open(people.customer, gateway) for gateway in (FIRST, SECOND)]
    assert stack.http("POST", "/auth/logout", session=people.customer["session_id"]).status == 200
    assert [chat.expect_closed(timeout=3) for chat in chats] == [4401, 4401]


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
    say(customer, 0, "support001", "without")
    support.expect("Chat", content="without0")
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
