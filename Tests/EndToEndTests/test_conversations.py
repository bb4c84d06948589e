"""`/api/conversations`: what it answers and refuses, the lists, and the explanations."""

import pytest

from http_client import assert_problem
from routing import (
    FLOOR_SETTINGS, act, conversation_of, decisions, document, done, explanation, listed, routing_entries, served,
    set_status, write,
)
from waiting import until

SETTINGS = FLOOR_SETTINGS


# Refusals


def test_who_may_not_act_gets_403(stack, floor, assigned):
    agent, _, other, _, customer, _ = assigned
    conversation = conversation_of(customer)
    for operation, body in (
        ("assign", {}), ("assign", {"agent_id": other["user_id"]}), ("close", {}),
        ("transfer", {"agent_id": other["user_id"]}), ("transfer", {"queue": True}),
    ):
        assert_problem(act(stack, other, operation, conversation, **body), 403, "forbidden")
    for operation in ("assign", "transfer", "close"):
        answer = act(stack, customer, operation, conversation, queue=True)
        assert_problem(answer, 403, "forbidden")
    assert document(stack, agent, conversation)["agent_id"] == agent["user_id"]
    assert len(routing_entries(stack, floor, customer)) == 1
    # An administrator may.
    done(stack, floor.admin, "transfer", conversation, agent_id=other["user_id"])


def test_another_agent_must_be_able_to_take_it(stack, floor, connected, assigned):
    agent, _, other, _, customer, _ = assigned
    conversation = conversation_of(customer)

    def refused(code, agent_id, operation="transfer"):
        assert_problem(act(stack, agent, operation, conversation, agent_id=agent_id), 409, code)

    full, occupant, away = floor.agent(capacity=1), floor.customer(), floor.agent()
    connected(full)
    write(connected(occupant), to_user_id=full["user_id"])
    until(lambda: listed(stack, full, "state=open"), "the small one has one")
    for operation in ("transfer", "assign"):
        refused("agent_at_capacity", full["user_id"], operation)
        refused("agent_unavailable", away["user_id"], operation)
        for status in ("Busy", "Away"):
            set_status(stack, other, status)
            refused("agent_unavailable", other["user_id"], operation)
    assert document(stack, agent, conversation)["agent_id"] == agent["user_id"]
    assert len(routing_entries(stack, floor, customer)) == 1


@pytest.mark.parametrize("operation,body,field", [
    ("assign", {"agent_id": "nobody-here"}, "agent_id"), ("assign", {"agent_id": "test"}, "agent_id"),
    ("transfer", {"agent_id": "nobody-here"}, "agent_id"), ("transfer", {"agent_id": "test"}, "agent_id"),
    ("assign", {"agent_id": 7}, "agent_id"), ("assign", {"agent_id": "a b"}, "agent_id"),
    ("transfer", {}, "agent_id"), ("transfer", {"agent_id": "support001", "queue": True}, "agent_id"),
    ("transfer", {"queue": "yes"}, "queue"), ("close", {"reason": "x" * 501}, "reason"),
    ("close", {"reason": 7}, "reason"),
])
def test_each_bad_field_is_named(stack, floor, assigned, operation, body, field):
    agent, _, _, _, customer, _ = assigned
    assert_problem(act(stack, agent, operation, conversation_of(customer), **body), 422, "invalid_field", detail=field)
    assert len(routing_entries(stack, floor, customer)) == 1


@pytest.mark.parametrize("operation", ["assign", "transfer", "close", "routing"])
def test_conversations_that_do_not_exist(stack, floor, operation):
    silent = floor.customer()
    for conversation in ("c:nobody-here", conversation_of(silent), "d:a:b", "nonsense", "c:"):
        if operation == "routing":
            path = f"/api/conversations/{conversation}/routing"
            answer = stack.http("GET", path, session=floor.admin["session_id"])
        else:
            answer = act(stack, floor.admin, operation, conversation, queue=True if operation == "transfer" else None)
        assert_problem(answer, 404, ("conversation_unknown", "not_found"))


@pytest.mark.parametrize("query", [
    "state=lost", "scope=mine", "limit=0", "limit=201", "limit=x", "cursor=-1", "cursor=x",
])
def test_bad_queries_of_the_list(stack, floor, query):
    answer = stack.http("GET", f"/api/conversations?{query}", session=floor.admin["session_id"])
    assert_problem(answer, 400, "bad_request")


# Reading


def test_the_list_shows_an_agent_their_own_and_all(stack, floor, connected):
    agents, customers = [floor.agent() for _ in range(2)], [floor.customer() for _ in range(4)]
    supports = [connected(agent) for agent in agents]
    chats = [connected(customer) for customer in customers]
    for customer, chat, name in zip(customers, chats, [0, 1, 0, 1]):
        write(chat, f"from {customer['user_id']}", to_user_id=agents[name]["user_id"])
        served(chat, customer, agents[name])
    write(chats[0], "a second one")
    supports[0].expect("Chat", content="a second one")

    mine = {found["conversation_id"]: found for found in listed(stack, agents[0], "state=open")}
    assert set(mine) == {conversation_of(customers[0]), conversation_of(customers[2])}
    first = mine[conversation_of(customers[0])]
    assert (first["customer_id"], first["agent_id"]) == (customers[0]["user_id"], agents[0]["user_id"])
    assert first["state"] == "open" and first["head"] == 3 and first["unread"] == 2
    assert first["last_message"]["content"] == "a second one" and first["last_message"]["seq"] == 3
    assert first["updated_at"] >= first["last_message"]["timestamp"]

    all_ids = {conversation_of(customer) for customer in customers}
    assert {found["conversation_id"] for found in listed(stack, agents[0], "scope=all&state=open")} == all_ids
    paged = [found["conversation_id"] for found in listed(stack, agents[0], "scope=all&state=open", limit=1)]
    assert len(paged) == 4 and set(paged) == all_ids
    # A customer's own, and nothing else.
    assert [found["conversation_id"] for found in listed(stack, customers[0])] == [conversation_of(customers[0])]
    assert listed(stack, customers[0], "state=closed") == []

    # Read by one agent; the customer has read nothing of the agent's.
    supports[0].send({"type": "Read", "conversation_id": conversation_of(customers[0]), "seq": 3})
    until(lambda: document(stack, agents[0], conversation_of(customers[0]))["unread"] == 0, "it is read")
    done(stack, agents[0], "close", conversation_of(customers[0]))
    assert {found["conversation_id"] for found in listed(stack, agents[0], "state=closed")} == {
        conversation_of(customers[0])
    }


def test_routing_is_explained(stack, floor, connected, assigned):
    agent, _, other, _, customer, chat = assigned
    conversation = conversation_of(customer)
    done(stack, agent, "transfer", conversation, agent_id=other["user_id"], reason="knows it")
    set_status(stack, agent, "Busy")
    set_status(stack, other, "Busy")
    done(stack, other, "close", conversation)
    write(chat, "again")
    chat.expect("Queued")
    told = explanation(stack, agent, conversation)
    assert (told["conversation_id"], told["state"], told["position"]) == (conversation, "queued", 1)
    assert told["reason"] == "all_busy" and told.get("agent_id") is None
    done(stack, agent, "assign", conversation)
    assert (told := explanation(stack, agent, conversation))["state"] == "open"
    assert told["agent_id"] == agent["user_id"]

    made = decisions(stack, agent, conversation)
    assert [(decision["kind"], decision["reason"]) for decision in made] == [
        ("assigned", "least_loaded"), ("transferred", "transferred_by"), ("closed", "closed_by"),
        ("queued", "all_busy"), ("assigned", "agent_took"),
    ]
    assert [decision.get("agent_id") for decision in made] == [
        agent["user_id"], other["user_id"], None, None, agent["user_id"]
    ]
    assert made[1]["note"] == "knows it" and made[1]["requested_by"] == agent["user_id"]
    times = [decision["at"] for decision in made]
    assert times == sorted(times)
    # Each entry of the log carries the id of its decision.
    assert [entry["client_id"] for entry in routing_entries(stack, floor, customer)] == [
        decision["decision_id"] for decision in made if decision["kind"] != "queued"
    ]
