"""Two instances of presence on one Redis are one: who leads may be killed, stopped, or lose Redis, and nobody notices."""

import collections
import contextlib
import secrets
import threading
import time

import pytest

from presence_instances import HANDED_ON, PresenceInstances
from routing import (
    Floor, act, assigned_to, conversation_of, entries_and_decisions_agree, listed, served, set_status, write,
)
from waiting import until

CAPACITY = 2
# Graces are the defaults: nobody may be told to have left because of a takeover.
SETTINGS = {"presence.agent_capacity": CAPACITY, "auth.password_cost": 1}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with PresenceInstances(tmp_path_factory.mktemp("redis"), SETTINGS) as instances:
        yield instances


@pytest.fixture(scope="module")
def whole_floor(pair):
    return Floor(pair.stack)


@pytest.fixture
def floor(pair, whole_floor):
    pair.restore()
    yield whole_floor
    pair.restore()
    whole_floor.clear()


class Writer(threading.Thread):
    """A customer who writes one message after the other, each after the last one's `Ack`."""

    def __init__(self, stack, customer):
        super().__init__(daemon=True)
        self.customer, self.stopping = customer, threading.Event()
        self.chat = stack.chat(customer)
        self.written, self.error = [], None

    def say(self):
        content = secrets.token_hex(6)
        write(self.chat, content)
        self.written.append(content)

    def run(self):
        try:
            while not self.stopping.is_set():
                self.say()
                # People are not faster, and the log of a test is read by pages.
                self.stopping.wait(0.05)
        except Exception as error:
            self.error = error

    def stop(self):
        self.stopping.set()
        if self.ident is not None:
            self.join()


class Shift:
    """Agents at work and customers who write all the time; `check` says what must hold whatever was killed."""

    def __init__(self, floor, agents, customers):
        self.floor, self.stack = floor, floor.stack
        self.open_ones = contextlib.ExitStack()
        self.agents = [floor.agent() for _ in range(agents)]
        self.sockets = {
            agent["user_id"]: self.open_ones.enter_context(floor.arrive(agent)) for agent in self.agents
        }
        self.writers = []
        for _ in range(customers):
            writer = self.come()
            writer.say()
            assigned_to(floor, writer.customer)
            writer.start()

    def come(self):
        """A new customer, who has not written yet."""
        writer = Writer(self.stack, self.floor.customer())
        self.open_ones.enter_context(writer.chat)
        self.writers.append(writer)
        return writer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.open_ones.close()

    def stop(self):
        for writer in self.writers:
            writer.stop()

    def served(self):
        """How many each agent serves."""
        found = listed(self.stack, self.floor.admin, "scope=all&state=open")
        counts = collections.Counter(one["agent_id"] for one in found)
        assert max(counts.values(), default=0) <= CAPACITY, counts
        return counts

    def check(self):
        self.stop()
        self.served()
        for writer in self.writers:
            assert writer.error is None, writer.error
            login = writer.customer
            entries_and_decisions_agree(self.floor, login)
            entries = self.stack.history(login["session_id"], f"conversation_id={conversation_of(login)}")
            chats = [entry["content"] for entry in entries if entry["type"] == "Chat"]
            assert chats == writer.written, f"{login['user_id']}: what was acknowledged, once and in order"
            agents = [entry["agent_id"] for entry in entries if entry["type"] == "AgentAssigned"]
            assert len(agents) == 1, f"{login['user_id']} was assigned to {agents}"
            self.heard(agents[0], chats)
        # Those of the test before have left, and that may be told late.
        here = {*self.sockets, *(writer.customer["user_id"] for writer in self.writers)}
        for chat in (*self.sockets.values(), *(writer.chat for writer in self.writers)):
            left = [frame for frame in chat.seen if frame["type"] == "UserLeft" and frame["user_id"] in here]
            assert left == [], f"nobody of {here} has left"

    def heard(self, agent, chats):
        """The agent was sent every message, once."""
        socket = self.sockets[agent]

        def all_heard():
            socket.settle()
            counts = collections.Counter(frame["content"] for frame in socket.seen if frame["type"] == "Chat")
            return all(counts[content] == 1 for content in chats)

        until(all_heard, f"{agent} was sent everything", timeout=20)


@pytest.mark.parametrize("number", [1, 2])
def test_another_one_leads_when_the_leader_is_killed(pair, floor, number):
    stack = floor.stack
    with Shift(floor, agents=3, customers=4) as shift:
        before = shift.served()
        set_status(stack, shift.agents[0], "Busy")
        set_status(stack, shift.agents[0], "Online")
        first = pair.leader()
        assert pair.ask(1 - first).json["epoch"] == pair.ask(first).json["epoch"]

        pair.processes[first].kill()
        killed = time.monotonic()
        # Two find a free place, the third one waits.
        newcomers = [shift.come() for _ in range(3)]
        for writer in newcomers:
            writer.say()
        until(lambda: shift.served().total() == 6, "both newcomers are served", timeout=10)
        assert time.monotonic() - killed < 10
        assert pair.leader() == 1 - first
        users = stack.http("GET", "/api/presence?user_type=Kefu", session=floor.admin["session_id"]).json["users"]
        assert {user["user_id"] for user in users} == {agent["user_id"] for agent in shift.agents}
        assert time.monotonic() - killed < 10, "presence and routing go on within ten seconds"
        set_status(stack, shift.agents[0], "Away")
        set_status(stack, shift.agents[0], "Online")

        counts = shift.served()
        assert all(counts[agent] >= count for agent, count in before.items()), (before, counts)
        gone = shift.writers.pop(0)
        gone.stop()
        until(
            lambda: act(stack, floor.admin, "close", conversation_of(gone.customer)).status == 200,
            "a conversation is closed", timeout=20,
        )
        gone.chat.expect("ConversationClosed")
        until(lambda: "queued" not in states(shift), "whoever waits is served", timeout=20)
        shift.check()


def states(shift):
    return {one["state"] for one in listed(shift.stack, shift.floor.admin, "scope=all&state=queued")}


def test_a_leader_that_stops_hands_over_at_once(pair, floor):
    with Shift(floor, agents=2, customers=3) as shift:
        before = shift.served()
        first = pair.leader()
        statuses = []
        stopping = threading.Thread(target=lambda: statuses.append(pair.processes[first].stop()))
        began = time.monotonic()
        stopping.start()
        # An instance that was only silent would be missed after three seconds.
        until(lambda: pair.answers(1 - first), "the other one leads", timeout=2.5, interval=0.005)
        print(f"handed over within {time.monotonic() - began:.3f} s")
        stopping.join()
        assert statuses == [0]
        writer = shift.come()
        writer.say()
        assigned_to(floor, writer.customer)
        counts = shift.served()
        assert counts.total() == before.total() + 1
        shift.check()


def test_a_leader_that_stood_still_answers_as_one_no_more(pair, floor):
    first = pair.leader()
    answers = []
    with pair.processes[first].standing_still():
        # The kernel takes it; it is read when the process goes on, by one that believes that no time has passed.
        asking = threading.Thread(target=lambda: answers.append(pair.ask(first, headers=HANDED_ON, timeout=30).status))
        asking.start()
        until(lambda: pair.answers(1 - first), "the other one leads", timeout=15)
    asking.join()
    assert answers == [503]
    until(lambda: pair.ask(first).status == 200, "it hands on", timeout=10)
    assert pair.ask(first).json["epoch"] == pair.ask(1 - first).json["epoch"]
    assert pair.leader() == 1 - first
    # What a customer is told by one is what they are told by the other.
    agent = floor.agent()
    with floor.arrive(agent):
        lists = [
            pair.ask(index, "/api/presence", session=floor.admin["session_id"]).json["users"] for index in (0, 1)
        ]
        shown = [[(user["user_id"], user["status"]) for user in users] for users in lists]
        assert shown == [[(agent["user_id"], "Online")]] * 2


def test_without_redis_nobody_leads_and_afterwards_one_goes_on(pair, floor):
    with Shift(floor, agents=2, customers=2) as shift:
        first = pair.leader()
        pair.redis.kill()
        try:
            until(lambda: pair.ask(first).status == 503, "the leader does not answer any more", timeout=5)
            assert pair.ask(1 - first).status == 503
            count = len(shift.writers[0].written)
            until(lambda: len(shift.writers[0].written) > count + 5, "those who know each other go on")
        finally:
            pair.redis.start()
        pair.leader()
        # Its customers' handshakes wait for auth, which has Redis too.
        writer = until(lambda: arrived(shift), "a new customer comes in", timeout=30)
        writer.say()
        assigned_to(floor, writer.customer)
        shift.check()


def arrived(shift):
    try:
        return shift.come()
    except Exception as error:
        raise AssertionError("not yet") from error


def test_it_starts_in_any_order_and_both_may_die(pair, floor):
    with Shift(floor, agents=1, customers=1) as shift:
        for process in pair.processes:
            process.kill()
        for process in pair.processes:
            process.start(wait=False)
        for process in pair.processes:
            process.wait_ready()
        writer = shift.come()
        writer.say()
        served(writer.chat, writer.customer, shift.agents[0])
        shift.check()
