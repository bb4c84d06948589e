"""Who serves a customer, and why: queue, capacity, taking, transferring, closing, and what each of them says."""

import pytest

from http_client import assert_problem
from routing import (
    FLOOR_SETTINGS, Floor, act, conversation_of, decisions, document, done, listed, routing_entries, served, set_status,
    write,
)
from stack import stack_with
from waiting import until

SETTINGS = FLOOR_SETTINGS



# The queue


def test_with_no_agent_at_all_the_customer_is_told_and_the_message_is_kept(stack, floor, connected):
    customer, agent = floor.customer(), floor.agent()
    chat = connected(customer)
    assert write(chat, "is anybody there?")["seq"] == 1
    news = chat.expect("NoAgentAvailable", conversation_id=conversation_of(customer))
    assert (news["position"], news["reason"]) == (1, "no_agent") and "seq" not in news and news["timestamp"]
    waiting = document(stack, floor.admin, conversation_of(customer))
    assert (waiting["state"], waiting["agent_id"], waiting["head"]) == ("queued", None, 1)

    support = connected(agent)
    entry = served(chat, customer, agent, reason="least_loaded")
    assert entry["seq"] == 2 and entry["from_user_id"] == "system" and entry["id"] and entry["timestamp"]
    assert support.expect("Chat", seq=1)["content"] == "is anybody there?"
    assert support.expect("AgentAssigned", seq=2) == entry
    # From here on a message without addressee is for the agent.
    assert write(chat, "there you are")["seq"] == 3
    assert support.expect("Chat", seq=3)["to_user_id"] == agent["user_id"]


def test_when_all_are_busy_customers_wait_in_the_order_in_which_they_came(stack, floor, connected):
    agent, customers = floor.agent(), [floor.customer() for _ in range(5)]
    connected(agent)
    chats = [connected(customer) for customer in customers]
    for index, (customer, chat) in enumerate(zip(customers, chats)):
        write(chat)
        if index < 2:
            served(chat, customer, agent)
        else:
            news = chat.expect("Queued", conversation_id=conversation_of(customer))
            assert (news["position"], news["reason"]) == (index - 1, "all_busy") and "seq" not in news

    # Three wait. As places become free, each moves up by one, and the first is served.
    for index in range(3):
        done(stack, agent, "close", conversation_of(customers[index]))
        served(chats[index + 2], customers[index + 2], agent)
        for position, chat in enumerate(chats[index + 3:], start=1):
            assert chat.expect("Queued")["position"] == position
    open_ones = listed(stack, agent, "state=open")
    assert {found["customer_id"] for found in open_ones} == {customer["user_id"] for customer in customers[3:]}


def test_an_account_has_its_own_capacity(stack, floor, connected):
    small, customers = floor.agent(capacity=1), [floor.customer() for _ in range(2)]
    connected(small)
    first, second = [connected(customer) for customer in customers]
    write(first)
    served(first, customers[0], small)
    write(second)
    assert second.expect("Queued")["reason"] == "all_busy"
    done(stack, small, "close", conversation_of(customers[0]))
    served(second, customers[1], small)


def test_the_least_loaded_agent_gets_the_next_customer(floor, connected):
    agents, customers = [floor.agent() for _ in range(2)], [floor.customer() for _ in range(4)]
    for agent in agents:
        connected(agent)
    got = []
    for customer in customers:
        chat = connected(customer)
        write(chat)
        got.append(chat.expect("AgentAssigned", reason="least_loaded")["agent_id"])
    names = [agent["user_id"] for agent in agents]
    assert sorted(got[:2]) == sorted(got[2:]) == sorted(names)


@pytest.mark.parametrize("status", ["Busy", "Away"])
def test_an_agent_who_is_busy_or_away_gets_nobody_until_they_are_online(stack, floor, connected, status):
    agent, customer = floor.agent(), floor.customer()
    connected(agent)
    set_status(stack, agent, status)
    chat = connected(customer)
    write(chat)
    assert chat.expect("Queued")["reason"] == "all_busy"
    set_status(stack, agent, "Online")
    served(chat, customer, agent)


def test_a_customer_who_comes_back_while_waiting_is_told_their_place(floor, connected):
    customer = floor.customer()
    with floor.stack.chat(customer) as chat:
        write(chat)
        chat.expect("NoAgentAvailable", position=1)
    connected(customer).expect("NoAgentAvailable", position=1)


def test_a_named_agent_is_preferred(floor, connected):
    idle, named, customers = floor.agent(), floor.agent(), [floor.customer() for _ in range(2)]
    connected(idle)
    support = connected(named)
    # The named one has more to do than the other, and room.
    first, second = [connected(customer) for customer in customers]
    write(first, to_user_id=named["user_id"])
    served(first, customers[0], named, reason="named_agent")
    write(second, to_user_id=named["user_id"])
    served(second, customers[1], named, reason="named_agent")
    support.expect("Chat", conversation_id=conversation_of(customers[1]), to_user_id=named["user_id"])


def test_a_named_agent_without_room_is_only_a_preference(stack, floor, connected):
    full, other = floor.agent(capacity=1), floor.agent()
    customers = [floor.customer() for _ in range(2)]
    support = connected(full)
    first, second = [connected(customer) for customer in customers]
    write(first)
    served(first, customers[0], full)
    write(second, "to you", to_user_id=full["user_id"])
    assert second.expect("Queued")["reason"] == "all_busy"
    # Who was addressed gets the message all the same.
    support.expect("Chat", content="to you")
    connected(other)
    served(second, customers[1], other, reason="least_loaded")


# What agents do by hand


def test_any_agent_takes_a_waiting_customer(stack, waiting):
    agent, support, customer, chat = waiting
    taken = done(stack, agent, "assign", conversation_of(customer))
    assert (taken["state"], taken["agent_id"], taken["head"]) == ("open", agent["user_id"], 2)
    assert taken["customer_id"] == customer["user_id"] and taken["updated_at"]
    entry = served(chat, customer, agent, reason="agent_took", requested_by=agent["user_id"])
    assert support.expect("AgentAssigned") == entry
    # Again: it is theirs already, and nothing is added.
    assert done(stack, agent, "assign", conversation_of(customer))["head"] == 2


def test_taking_and_writing_go_beyond_the_capacity_and_nothing_else_does(stack, floor, connected):
    agent, customers = floor.agent(), [floor.customer() for _ in range(5)]
    support = connected(agent)
    chats = [connected(customer) for customer in customers]
    for chat, customer in zip(chats[:2], customers):
        write(chat)
        served(chat, customer, agent)
    for chat in chats[2:]:
        write(chat)
        chat.expect("Queued")
    done(stack, agent, "assign", conversation_of(customers[2]))
    served(chats[2], customers[2], agent, reason="agent_took")
    write(support, "I see you", to_user_id=customers[3]["user_id"])
    served(chats[3], customers[3], agent, reason="agent_wrote")
    # Four of two: two have to go before the next one comes by themself.
    for customer in customers[:2]:
        done(stack, agent, "close", conversation_of(customer))
    chats[4].settle()
    assert document(stack, agent, conversation_of(customers[4]))["state"] == "queued"
    done(stack, agent, "close", conversation_of(customers[2]))
    served(chats[4], customers[4], agent, reason="least_loaded")


def test_an_agent_who_writes_to_a_waiting_customer_takes_them(waiting):
    agent, support, customer, chat = waiting
    assert write(support, "I am here", to_user_id=customer["user_id"])["seq"] == 2
    assert chat.expect("Chat")["content"] == "I am here"
    assert served(chat, customer, agent, reason="agent_wrote")["seq"] == 3
    # They see what was said before they came.
    assert support.expect("Chat", seq=1)["from_user_id"] == customer["user_id"]


def test_an_agent_may_be_the_first_to_write(stack, floor, connected):
    agent, customer = floor.agent(), floor.customer()
    support = connected(agent)
    assert write(support, "good morning", to_user_id=customer["user_id"])["seq"] == 1
    support.expect("AgentAssigned", agent_id=agent["user_id"], reason="agent_wrote")
    chat = connected(customer)
    assert [chat.expect("Chat")["seq"], chat.expect("AgentAssigned")["seq"]] == [1, 2]


def test_an_administrator_gives_a_customer_to_somebody_else(stack, floor, assigned):
    _, _, other, theirs, customer, _ = assigned
    given = done(stack, floor.admin, "assign", conversation_of(customer), agent_id=other["user_id"])
    assert (given["state"], given["agent_id"], given["head"]) == ("open", other["user_id"], 3)
    entry = routing_entries(stack, floor, customer)[-1]
    assert (entry["agent_id"], entry["requested_by"]) == (other["user_id"], floor.admin["user_id"])
    theirs.expect(entry["type"], id=entry["id"])
    # Already theirs: nothing is added.
    assert done(stack, floor.admin, "transfer", conversation_of(customer), agent_id=other["user_id"])["head"] == 3


def test_a_transfer_changes_who_is_told(stack, floor, assigned):
    agent, support, other, theirs, customer, chat = assigned
    conversation = conversation_of(customer)
    moved = done(
        stack, agent, "transfer", conversation, agent_id=other["user_id"], reason="speaks French"
    )
    assert (moved["state"], moved["agent_id"], moved["head"]) == ("open", other["user_id"], 3)
    entry = chat.expect("Transferred")
    assert (entry["agent_id"], entry["former_agent_id"]) == (other["user_id"], agent["user_id"])
    assert (entry["reason"], entry["requested_by"]) == ("transferred_by", agent["user_id"])
    assert entry["seq"] == 3 and entry["from_user_id"] == "system"
    # What agents note for each other is not for the customer, who reads the log.
    assert "note" not in entry
    assert decisions(stack, other, conversation)[-1]["note"] == "speaks French"
    # The former agent gets the entry that ends it, and nothing after it; the new one gets it all.
    assert support.expect("Transferred") == entry
    write(chat, "and now?")
    assert [theirs.expect("Chat")["seq"], theirs.expect("Transferred")["seq"]] == [1, 3]
    assert theirs.expect("Chat", content="and now?")["to_user_id"] == other["user_id"]
    support.settle()
    assert not [frame for frame in support.seen if frame.get("content") == "and now?"]
    # Reading stays allowed; acting does not.
    assert len(stack.history(agent["session_id"], f"conversation_id={conversation}")) == 4
    assert_problem(act(stack, agent, "close", conversation), 403, "forbidden")


def test_back_to_the_queue(stack, assigned):
    agent, support, other, theirs, customer, chat = assigned
    conversation = conversation_of(customer)
    for login in (agent, other):
        set_status(stack, login, "Busy")
    moved = done(stack, agent, "transfer", conversation, queue=True)
    assert (moved["state"], moved["agent_id"]) == ("queued", None)
    entry = chat.expect("Transferred")
    assert entry["agent_id"] is None and entry["reason"] == "returned_to_queue"
    assert entry["former_agent_id"] == agent["user_id"]
    assert chat.expect("Queued")["position"] == 1
    support.expect("Transferred", agent_id=None)
    set_status(stack, other, "Online")
    served(chat, customer, other)
    theirs.expect("Chat", seq=1)
    theirs.expect("AgentAssigned", seq=4, agent_id=other["user_id"])


def test_who_was_requeued_goes_before_those_who_wait(stack, floor, connected):
    agent, customers = floor.agent(), [floor.customer() for _ in range(3)]
    connected(agent)
    chats = [connected(customer) for customer in customers]
    write(chats[0])
    served(chats[0], customers[0], agent)
    set_status(stack, agent, "Busy")
    for position, chat in enumerate(chats[1:], start=1):
        write(chat)
        assert chat.expect("Queued")["position"] == position
    done(stack, agent, "transfer", conversation_of(customers[0]), queue=True)
    assert chats[0].expect("Queued")["position"] == 1
    assert [chat.expect("Queued")["position"] for chat in chats[1:]] == [2, 3]


def test_closing_ends_it_and_a_new_message_opens_it_again_with_the_same_agent(stack, floor, assigned):
    agent, support, other, theirs, customer, chat = assigned
    conversation = conversation_of(customer)
    closed = done(stack, agent, "close", conversation, reason="solved")
    assert (closed["state"], closed["agent_id"], closed["head"]) == ("closed", None, 3)
    entry = chat.expect("ConversationClosed")
    assert (entry["seq"], entry["agent_id"], entry["former_agent_id"]) == (3, None, agent["user_id"])
    assert (entry["reason"], entry["requested_by"]) == ("closed_by", agent["user_id"])
    assert "note" not in entry
    assert support.expect("ConversationClosed") == entry
    # Closing twice answers as the first time, whoever asks and may.
    assert done(stack, agent, "close", conversation)["head"] == 3
    assert done(stack, floor.admin, "close", conversation)["head"] == 3

    # The other one has less to do; who has served the customer last is preferred.
    write(chat, "one more thing")
    entry = served(chat, customer, agent, reason="last_agent")
    assert entry["seq"] == 5
    assert support.expect("Chat", seq=4)["content"] == "one more thing"
    theirs.settle()
    assert not [frame for frame in theirs.seen if frame.get("conversation_id") == conversation]
    assert [entry["type"] for entry in routing_entries(stack, floor, customer)] == [
        "AgentAssigned", "ConversationClosed", "AgentAssigned"
    ]


def test_another_agent_gets_nothing_from_before_the_closing(stack, floor, assigned):
    agent, support, other, theirs, customer, chat = assigned
    conversation = conversation_of(customer)
    write(chat, "my secret of old")
    done(stack, agent, "close", conversation)
    set_status(stack, agent, "Busy")
    write(chat, "a new question")
    served(chat, customer, other, reason="least_loaded")
    assert [theirs.expect("Chat")["content"], theirs.expect("AgentAssigned")["seq"]] == ["a new question", 6]
    theirs.settle()
    assert {frame["seq"] for frame in theirs.seen if frame.get("conversation_id") == conversation} == {5, 6}
    # They may read it.
    assert len(stack.history(other["session_id"], f"conversation_id={conversation}")) == 6


def test_a_queued_conversation_is_closed_by_any_agent(stack, floor, waiting):
    agent, _, customer, chat = waiting
    assert done(stack, agent, "close", conversation_of(customer))["state"] == "closed"
    chat.expect("ConversationClosed")
    assert listed(stack, floor.admin, "scope=all&state=queued") == []


# The first response


def test_an_agent_who_does_not_answer_loses_the_customer_to_one_who_can():
    settings = {**SETTINGS, "presence.first_response_ms": 1500}
    with stack_with(settings) as stack:
        floor = Floor(stack, 4, 3)
        silent, other = floor.agent(), floor.agent()
        first, second = floor.customer(), floor.customer()
        with floor.arrive(silent) as support, stack.chat(first) as chat, stack.chat(second) as another:
            write(chat)
            served(chat, first, silent)
            # Who answers keeps them.
            write(another)
            served(another, second, silent)
            write(support, "yes?", to_user_id=second["user_id"])
            # With nobody else there, being late changes nothing; with somebody it does.
            with floor.arrive(other) as theirs:
                entry = chat.expect("Transferred", timeout=15)
                assert entry["agent_id"] is None and entry["former_agent_id"] == silent["user_id"]
                assert entry["reason"] == "no_response"
                served(chat, first, other)
                write(theirs, "here I am", to_user_id=first["user_id"])
                chat.expect("Chat", content="here I am")
                # A third one's wait is over later than these two's would have been.
                third = floor.customer()
                with stack.chat(third) as last:
                    write(last, to_user_id=other["user_id"])
                    served(last, third, other)
                    last.expect("Transferred", timeout=15, reason="no_response")
                kinds = {
                    login["user_id"]: [entry["type"] for entry in routing_entries(stack, floor, login)]
                    for login in (first, second)
                }
                assert kinds == {
                    first["user_id"]: ["AgentAssigned", "Transferred", "AgentAssigned"],
                    second["user_id"]: ["AgentAssigned"],
                }


# Agents who are gone, and queues that are full


def test_a_customer_whose_agent_is_lost_is_told_their_place():
    with stack_with({**SETTINGS, "presence.agent_grace_ms": 1000}) as stack:
        floor = Floor(stack, 1, 1)
        agent, customer = floor.agent(), floor.customer()
        with stack.chat(customer) as chat:
            with floor.arrive(agent):
                write(chat)
                served(chat, customer, agent)
            chat.expect("Transferred", timeout=15, reason="agent_lost")
            # Nothing else happens to the queue: it is by this that they know.
            chat.expect("NoAgentAvailable", position=1, reason="agent_lost")


def test_a_full_queue_holds_up_nobody_who_has_a_place():
    with stack_with({**SETTINGS, "presence.agent_capacity": 1, "presence.queue_max": 2}) as stack:
        floor = Floor(stack, 400, 1)
        agent = floor.agent()
        with floor.arrive(agent):
            for _ in range(400):
                with stack.chat(floor.customer()) as chat:
                    write(chat)

            def current():
                return [found["conversation_id"] for found in listed(stack, agent, "state=open")]

            for _ in range(5):
                # Whose place is free is filled, and who has an agent is served, as if nobody was outside.
                found = until(current, "one is served", timeout=4)
                done(stack, agent, "close", found[0])
