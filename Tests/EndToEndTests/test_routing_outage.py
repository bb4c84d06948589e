"""Routing while presence or the gateway is down: assignments stay, requests are made good, decisions become entries."""

import contextlib
import threading

import pytest

from http_client import request
from routing import (
    Floor, act, assigned_to, conversation_of, document, done, entries_and_decisions_agree, listed, routing_entries, served,
    write,
)
from stack import stack_with
from waiting import until

# Times that tests can wait for: a gateway is missed after a second, an agent after five.
SETTINGS = {
    "presence.agent_capacity": 2, "presence.leave_grace_ms": 100, "presence.gateway_silence_ms": 1000,
    "presence.lease_ms": 500, "presence.agent_grace_ms": 5000,
}


@pytest.fixture
def floor():
    with stack_with(SETTINGS) as stack:
        yield Floor(stack, 30, 4)


def close(stack, agent, customer):
    """Closes, and asks again while presence has not heard that the last decision is in the log."""

    def is_closed():
        answer = act(stack, agent, "close", conversation_of(customer))
        return answer.status == 200 and answer.json["state"] == "closed"

    until(is_closed, f"{conversation_of(customer)} is closed", timeout=20)


def test_assignments_survive_the_death_of_presence(floor):
    stack = floor.stack
    agent, customers = floor.agent(), [floor.customer() for _ in range(4)]
    with floor.arrive(agent) as support, contextlib.ExitStack() as open_ones:
        chats = [open_ones.enter_context(stack.chat(customer)) for customer in customers]
        for customer, chat in zip(customers[:2], chats):
            write(chat)
            served(chat, customer, agent)
        write(chats[2])
        chats[2].expect("Queued", position=1)

        stack.presence.kill()
        # Between those who have each other, everything goes on.
        write(chats[0], "still there?")
        support.expect("Chat", content="still there?")
        write(support, "still here", to_user_id=customers[0]["user_id"])
        chats[0].expect("Chat", content="still here")
        # Somebody new is taken in, too.
        write(chats[3], "I am new")
        stack.presence.start()

        # Two are still open, so there is no room; both who wait are in line, in their order.
        def in_line():
            queued = listed(stack, floor.admin, "scope=all&state=queued")
            return {found["customer_id"] for found in queued} == {login["user_id"] for login in customers[2:]}

        until(in_line, "both wait", timeout=20)
        assert len(listed(stack, agent, "state=open")) == 2

        def closed():
            answer = act(stack, agent, "close", conversation_of(customers[0]))
            assert answer.status in (200, 503), answer
            return answer.status == 200

        # The gateway may not have found out yet that presence is back.
        until(closed, "presence answers again", timeout=20)
        served(chats[2], customers[2], agent)
        done(stack, agent, "close", conversation_of(customers[1]))
        served(chats[3], customers[3], agent)
        assert support.expect("Chat", content="I am new")["seq"] == 1
        for customer in customers:
            entries_and_decisions_agree(floor, customer)
        assert [entry["type"] for entry in routing_entries(stack, floor, customers[1])] == [
            "AgentAssigned", "ConversationClosed"
        ], "an agent who stayed connected loses nobody by it"


def test_what_customers_ask_for_while_presence_is_down_is_made_good(floor):
    stack = floor.stack
    agent, customers = floor.agent(), [floor.customer() for _ in range(2)]
    stack.presence.stop()
    for customer in customers:
        with stack.chat(customer) as chat:
            assert write(chat, f"from {customer['user_id']}")["seq"] == 1
        assert document(stack, floor.admin, conversation_of(customer))["state"] == "queued"
    # The gateway may die on top of it: what it has to ask is stored.
    stack.gateway.kill()
    stack.presence.start()
    stack.gateway.start()
    with floor.arrive(agent) as support:
        for customer in customers:
            assert assigned_to(floor, customer) == agent["user_id"]
            support.expect("Chat", content=f"from {customer['user_id']}")
            entries = entries_and_decisions_agree(floor, customer)
            assert [entry["type"] for entry in entries] == ["AgentAssigned"]


def test_a_decision_made_while_no_gateway_was_up_is_logged_when_one_is(floor):
    stack = floor.stack
    agent, customer = floor.agent(), floor.customer()

    def pending():
        """What presence has decided and not heard to be in the log."""
        answer = request(
            stack.ports["presence"], "GET", f"/internal/assignments/{conversation_of(customer)}?limit=10",
            headers={"X-Internal-Token": stack.token},
        )
        assert answer.status == 200, answer
        return answer.json["answer"].get("decision")

    with floor.arrive(agent), stack.chat(customer) as chat:
        write(chat)
        served(chat, customer, agent)
        until(lambda: pending() is None, "presence knows of the entry")
        stack.gateway.kill()

    # Presence finds by itself that the agent is gone, and has nobody to tell.
    assert until(pending, "the agent is lost", timeout=20)["kind"] == "transferred"
    # A restart of presence does not forget it either.
    stack.presence.kill()
    stack.presence.start()
    stack.gateway.start()
    with stack.chat(customer) as chat:
        entry = chat.expect("Transferred", timeout=15)
        assert (entry["seq"], entry["agent_id"], entry["reason"]) == (3, None, "agent_lost")
        with floor.arrive(agent) as support:
            served(chat, customer, agent)
            support.expect("AgentAssigned", seq=4)
        entries = entries_and_decisions_agree(floor, customer)
    assert [entry["type"] for entry in entries][:3] == ["AgentAssigned", "Transferred", "AgentAssigned"]


@pytest.mark.parametrize("victim", ["gateway", "presence"])
def test_killed_right_after_the_ack_each_customer_gets_one_agent(floor, victim):
    """The kill falls before, into, or after the decision and its entry, as it happens."""
    stack = floor.stack
    agent = floor.agent()
    customers = [floor.customer() for _ in range(8)]
    with contextlib.ExitStack() as open_ones:
        support = open_ones.enter_context(floor.arrive(agent))
        for index, customer in enumerate(customers):
            with stack.chat(customer) as chat:
                write(chat, f"message of {customer['user_id']}")
                # A little later each time: a frame or two of ours is answered in between.
                for _ in range(index):
                    chat.settle()
                stack.processes[victim].kill()
            stack.processes[victim].start()
            if victim == "gateway":
                support = open_ones.enter_context(floor.arrive(agent))
            assert assigned_to(floor, customer) == agent["user_id"]
            entries = entries_and_decisions_agree(floor, customer)
            kinds = [entry["type"] for entry in entries]
            assert kinds == ["AgentAssigned"], f"{customer['user_id']}, kill {index}: {kinds}"
            support.expect("Chat", content=f"message of {customer['user_id']}", timeout=10)
            support.expect("AgentAssigned", conversation_id=conversation_of(customer), timeout=10)
            close(stack, agent, customer)
    for customer in customers:
        kinds = [entry["type"] for entry in entries_and_decisions_agree(floor, customer)]
        assert kinds == ["AgentAssigned", "ConversationClosed"]


def test_closing_while_the_gateway_dies_frees_the_place_once(floor):
    stack = floor.stack
    agent, customers = floor.agent(capacity=1), [floor.customer() for _ in range(5)]

    def current():
        found = [one["customer_id"] for one in listed(stack, agent, "state=open")]
        assert len(found) <= 1, f"there is one place, and {found} have it"
        return found

    support = floor.arrive(agent)
    for customer in customers:
        with stack.chat(customer) as chat:
            write(chat)
    for index, customer in enumerate(customers):
        assert until(current, "one is served", timeout=20) == [customer["user_id"]]

        def close_once():
            with contextlib.suppress(OSError):
                act(stack, agent, "close", conversation_of(customer))

        closing = threading.Thread(target=close_once)
        closing.start()
        if index % 2 == 0:
            closing.join()
        # While it is being answered, or just after it.
        stack.gateway.kill()
        closing.join()
        support.close()
        stack.gateway.start()
        support = floor.arrive(agent)
        # It had been closed, or is now.
        close(stack, agent, customer)
    support.close()
    assert current() == []
    for customer in customers:
        entries = entries_and_decisions_agree(floor, customer)
        assert [entry["type"] for entry in entries] == ["AgentAssigned", "ConversationClosed"]
