"""The frames of routing: who waits, who serves, and what of it is in the log."""

import secrets

import pytest

from cast import CLIENTS, Cast, People, conversation, has_only
from waiting import until

SETTINGS = {"presence.agent_capacity": 100}
ENTRY = ("seq", "id", "conversation_id", "timestamp", "from_user_id", "agent_id", "reason", "client_id")


@pytest.fixture(scope="module")
def people(stack):
    return People(stack, customers=60, agents=2)


@pytest.fixture(scope="module")
def narrow(stack):
    """An agent who serves one customer at a time."""
    password = secrets.token_urlsafe(12)
    stack.secrets.add(password)
    file = stack.directory / "password"
    file.write_text(password)
    stack.run(
        "auth", "create-user", "--user-id", "narrow", "--user-type", "Kefu", "--capacity", "1",
        "--password-file", str(file),
    )
    return stack.login("narrow", password, "Kefu")


@pytest.fixture(params=CLIENTS)
def cast(request, stack, people):
    with Cast(stack, people, CLIENTS[request.param]) as cast:
        yield cast


def ask(chat, content="anybody?"):
    chat.send({"type": "Chat", "content": content})
    return chat.expect("Ack")


def test_without_any_agent_the_customer_is_told_and_the_message_kept(cast):
    login = cast.customer()
    chat = cast.open(login)
    assert ask(chat)["seq"] == 1
    told = chat.expect("NoAgentAvailable")
    has_only(told, "conversation_id", "position", "reason", "timestamp")
    assert (told["conversation_id"], told["position"], told["reason"]) == (conversation(login), 1, "no_agent")
    assert cast.entries(login)[0]["to_user_id"] is None
    # Another device is told where the customer stands.
    assert cast.open(login).expect("NoAgentAvailable")["position"] == 1
    support = cast.open(cast.agent())
    entry = chat.expect("AgentAssigned", timeout=10)
    has_only(entry, *ENTRY)
    assert (entry["seq"], entry["from_user_id"], entry["agent_id"]) == (2, "system", cast.agent()["user_id"])
    assert entry["reason"] == "least_loaded"
    first = support.expect("Chat", conversation_id=conversation(login))
    assert (first["seq"], first["to_user_id"]) == (1, None)
    assert support.expect("AgentAssigned", conversation_id=conversation(login)) == entry
    assert cast.entries(login)[1] == entry


def test_the_queue_moves_up(cast, narrow):
    support = cast.open(narrow)
    logins = [cast.customer() for _ in range(3)]
    first, second, third = [cast.open(login) for login in logins]
    ask(first)
    first.expect("AgentAssigned", agent_id="narrow")
    for position, chat in ((1, second), (2, third)):
        ask(chat)
        told = chat.expect("Queued")
        has_only(told, "conversation_id", "position", "reason", "timestamp")
        assert (told["position"], told["reason"]) == (position, "all_busy")
    answer = cast.route("close", logins[0], narrow, reason="done")
    assert answer.status == 200 and answer.json["state"] == "closed", answer
    second.expect("AgentAssigned", agent_id="narrow")
    third.expect("Queued", position=1)
    support.expect("AgentAssigned", conversation_id=conversation(logins[1]))
    assert not [frame for frame in second.kept if frame["type"] == "Queued"]
    support.settle()
    assert not [frame for frame in support.seen if frame.get("conversation_id") == conversation(logins[2])]


def test_an_end_is_an_entry_and_a_message_opens_anew(cast):
    chat, support, login, _ = cast.served()
    answer = cast.route("close", login, cast.agent(), reason="solved \"it\"")
    assert answer.status == 200 and answer.json["state"] == "closed", answer
    entry = chat.expect("ConversationClosed")
    has_only(entry, *ENTRY, "former_agent_id", "requested_by")
    assert (entry["seq"], entry["agent_id"], entry["from_user_id"]) == (3, None, "system")
    assert entry["former_agent_id"] == entry["requested_by"] == cast.agent()["user_id"]
    assert entry["reason"] == "closed_by"
    assert support.expect("ConversationClosed", conversation_id=conversation(login)) == entry
    # Twice is once.
    again = cast.route("close", login, cast.agent())
    assert again.status == 200 and again.json["state"] == "closed" and again.json["head"] == 3, again
    ask(chat, "one more thing")
    anew = chat.expect("AgentAssigned", seq=5)
    assert (anew["agent_id"], anew["reason"]) == (cast.agent()["user_id"], "last_agent")
    # Who serves it again begins behind the end.
    said = support.expect("Chat", content="one more thing", seq=4, conversation_id=conversation(login))
    assert said["to_user_id"] is None
    support.expect("AgentAssigned", seq=5, conversation_id=conversation(login))


def test_a_transfer_hands_the_conversation_over(cast):
    chat, support, login, _ = cast.served()
    colleague = cast.open(cast.agent(1))
    to = cast.agent(1)["user_id"]
    answer = cast.route("transfer", login, cast.agent(), agent_id=to, reason="speaks French")
    assert answer.status == 200 and answer.json["agent_id"] == to, answer
    entry = chat.expect("Transferred")
    has_only(entry, *ENTRY, "former_agent_id", "requested_by")
    assert (entry["agent_id"], entry["former_agent_id"]) == (to, cast.agent()["user_id"])
    assert entry["reason"] == "transferred_by"
    for one in (support, colleague):
        assert one.expect("Transferred", conversation_id=conversation(login)) == entry
    ask(chat, "bonjour")
    assert colleague.expect("Chat", content="bonjour", conversation_id=conversation(login))["to_user_id"] == to
    # The new one was sent what was said since it was opened; the former one nothing more.
    assert colleague.expect("Chat", content="hello", conversation_id=conversation(login))["seq"] == 1
    support.settle()
    assert max(frame["seq"] for frame in support.seen if frame.get("conversation_id") == conversation(login)) == 3


def be(support, login, status):
    support.send({"type": "Status", "status": status})
    support.expect("Status", status=status, user_id=login["user_id"])


def test_back_to_the_queue_until_somebody_is_available(cast):
    chat, support, login, _ = cast.served()
    colleague = cast.open(cast.agent(1))
    be(support, cast.agent(), "Away")
    be(colleague, cast.agent(1), "Busy")
    answer = cast.route("transfer", login, cast.agent(), queue=True)
    assert answer.status == 200 and answer.json["state"] == "queued", answer
    entry = chat.expect("Transferred")
    has_only(entry, *ENTRY, "former_agent_id", "requested_by")
    assert (entry["agent_id"], entry["reason"]) == (None, "returned_to_queue")
    told = chat.expect("Queued")
    assert (told["position"], told["reason"]) == (1, "returned_to_queue")
    be(colleague, cast.agent(1), "Online")
    assert chat.expect("AgentAssigned")["agent_id"] == cast.agent(1)["user_id"]
    be(support, cast.agent(), "Online")


def test_an_agent_takes_by_writing_and_by_asking(cast):
    login, other = cast.customer(), cast.customer()
    chat, waiting = cast.open(login), cast.open(other)
    support = cast.open(cast.agent())
    support.send({"type": "Chat", "to_user_id": login["user_id"], "content": "hello there"})
    chat.expect("Chat", content="hello there", seq=1)
    entry = chat.expect("AgentAssigned", seq=2)
    assert (entry["agent_id"], entry["reason"]) == (cast.agent()["user_id"], "agent_wrote")
    be(support, cast.agent(), "Away")
    ask(waiting)
    waiting.expect("Queued", reason="all_busy")
    answer = cast.route("assign", other, cast.agent())
    assert answer.status == 200 and answer.json["agent_id"] == cast.agent()["user_id"], answer
    assert waiting.expect("AgentAssigned")["reason"] == "agent_took"
    be(support, cast.agent(), "Online")


def test_the_decisions_are_explained(cast):
    _, _, login, entry = cast.served()
    answer = cast.stack.http(
        "GET", f"/api/conversations/{conversation(login)}/routing", session=cast.agent()["session_id"]
    )
    assert answer.status == 200, answer
    assert answer.json["state"] == "open" and answer.json["agent_id"] == cast.agent()["user_id"]
    decided = {decision["decision_id"]: decision for decision in answer.json["decisions"]}
    assert decided[entry["client_id"]]["reason"] == entry["reason"]

    def listed():
        page = cast.stack.http("GET", "/api/conversations?state=open", session=cast.agent()["session_id"])
        assert page.status == 200, page
        return conversation(login) in [one["conversation_id"] for one in page.json["conversations"]]

    until(listed, "the agent's list has it")
