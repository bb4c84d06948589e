"""kill -9 of the gateway while messages stream through it."""

import threading

import pytest
from websockets.exceptions import ConnectionClosed

from chat_client import Chat
from waiting import until

MESSAGES = 10_000
SETTINGS = {"gateway.message_rate": 1_000_000, "gateway.message_burst": 1_000_000}


class Sender:
    """Sends numbered messages and notes every acknowledgement; resumes with what was not acknowledged."""

    def __init__(self, stack, login, to):
        self.stack, self.login, self.to = stack, login, to
        self.acks = {}
        self.seen = []
        self.progress = threading.Event()

    def send_all(self, kill_after=None):
        """One connection's worth. Returns whether everything has been acknowledged."""
        chat = Chat(
            self.stack.port, user_id=self.login["user_id"], session_id=self.login["session_id"],
            user_type=self.login["user_type"],
        )
        reader = threading.Thread(target=self._read, args=(chat, kill_after))
        reader.start()
        try:
            for number in range(MESSAGES):
                if f"m{number}" not in self.acks:
                    chat.send({
                        "type": "Chat", "to_user_id": self.to, "content": f"message {number}",
                        "client_id": f"m{number}",
                    })
        except ConnectionClosed:
            pass
        reader.join(timeout=90)
        assert not reader.is_alive(), f"{len(self.acks)} acknowledged, and then nothing"
        chat.close()
        return len(self.acks) == MESSAGES

    def _read(self, chat, kill_after):
        try:
            while len(self.acks) < MESSAGES:
                frame = chat.receive(timeout=30)
                assert frame["type"] != "Error", frame
                if frame["type"] == "Ack":
                    earlier = self.acks.setdefault(frame["client_id"], frame)
                    assert (earlier["seq"], earlier["id"]) == (frame["seq"], frame["id"])
                elif "seq" in frame:
                    self.seen.append(frame)
                if kill_after is not None and len(self.acks) >= kill_after:
                    self.progress.set()
        except (ConnectionClosed, TimeoutError):
            pass


class Listener(threading.Thread):
    """Reads one connection until it ends or `enough` says so."""

    def __init__(self, stack, login, enough):
        super().__init__()
        self.chat = Chat(
            stack.port, user_id=login["user_id"], session_id=login["session_id"], user_type=login["user_type"]
        )
        self.frames = []
        self.enough = enough
        self.start()

    def run(self):
        try:
            while not self.enough(self.frames):
                frame = self.chat.receive(timeout=60)
                if "seq" in frame and frame["type"] == "Chat":
                    self.frames.append(frame)
        except (ConnectionClosed, TimeoutError):
            pass
        finally:
            self.chat.close()


@pytest.fixture(scope="module")
def logins(stack):
    return stack.login("user123"), stack.login("support001")


def test_no_acknowledged_message_is_lost(stack, logins):
    customer, agent = logins
    sender = Sender(stack, customer, "support001")
    before = Listener(stack, agent, lambda _: False)

    def kill_in_the_middle():
        sender.progress.wait(timeout=60)
        stack.gateway.kill()

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    done = sender.send_all(kill_after=MESSAGES // 3)
    killer.join()
    before.join(timeout=30)
    assert not done, "the gateway was killed too late to matter"
    acknowledged_before = dict(sender.acks)
    assert len(acknowledged_before) >= MESSAGES // 3

    stack.gateway.start()
    last = f"m{MESSAGES - 1}"
    after = Listener(stack, agent, lambda frames: bool(frames) and frames[-1].get("client_id") == last)
    until(lambda: sender.send_all(), "everything is acknowledged", timeout=120)
    after.join(timeout=60)
    assert not after.is_alive(), "the agent did not get the last message"

    # The log: every message once, in the order sent, in one dense sequence.
    entries = stack.history(customer["session_id"], "with=support001")
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    chats = [entry for entry in entries if entry["type"] == "Chat"]
    assert [entry["content"] for entry in chats] == [f"message {number}" for number in range(MESSAGES)]
    by_seq = {entry["seq"]: entry for entry in chats}
    for client_id, ack in {**sender.acks, **acknowledged_before}.items():
        assert by_seq[ack["seq"]]["id"] == ack["id"], f"{client_id} was acknowledged and is gone"

    # The agent's two connections: each in order without holes, together each message once.
    for listener in (before, after):
        sequence = [frame["seq"] for frame in listener.frames]
        assert sequence == sorted(set(sequence)), "a connection saw an entry twice or out of order"
        positions = [seq for seq in by_seq if sequence and sequence[0] <= seq <= sequence[-1]]
        assert len(positions) == len(sequence), "a connection missed an entry in between"
    together = {}
    for frame in before.frames + after.frames:
        assert together.setdefault(frame["seq"], frame["id"]) == frame["id"]
    assert together == {seq: entry["id"] for seq, entry in by_seq.items()}

    # The sender's: what it was not told by an acknowledgement it was sent as an entry, with the same seq.
    for frame in sender.seen:
        if frame["type"] == "Chat":
            assert by_seq[frame["seq"]]["id"] == frame["id"]


def test_the_killed_gateway_left_presence_right(stack, logins):
    _, agent = logins
    with stack.chat(agent):
        def online():
            answer = stack.http("GET", "/api/presence", session=agent["session_id"])
            return answer.status == 200 and "support001" in {
                user["user_id"] for user in answer.json["users"] if user["status"] == "Online"
            }

        until(online, "presence knows the agent again", timeout=15)


@pytest.mark.parametrize("service", ["auth", "files", "presence"])
def test_any_other_service_may_be_killed_too(stack, logins, service):
    customer, agent = logins
    with stack.chat(agent) as support, stack.chat(customer) as chat:
        stack.processes[service].kill()
        # Chat between two who are connected goes on.
        chat.send({"type": "Chat", "to_user_id": "support001", "content": f"without {service}"})
        chat.expect("Ack")
        support.expect("Chat", content=f"without {service}")
        stack.processes[service].start()
        chat.send({"type": "Chat", "to_user_id": "support001", "content": f"with {service}"})
        chat.expect("Ack")
        support.expect("Chat", content=f"with {service}")
    until(lambda: stack.login("test_user"), "login works", timeout=15)
