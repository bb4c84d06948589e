"""`Sync`, `Synced`, `Gap`, positions, and retries over lost connections, as two foreign clients see them."""

import pytest

from cast import CLIENTS, Cast, People, conversation, has_only, story
from stack import stack_with
from waiting import until

SETTINGS = {"presence.agent_capacity": 100}


@pytest.fixture(scope="module")
def people(stack):
    return People(stack, customers=60, agents=2)


@pytest.fixture(params=CLIENTS)
def cast(request, stack, people):
    with Cast(stack, people, CLIENTS[request.param]) as cast:
        yield cast


def waiting(cast, login, **options):
    """A connection that has said it will send `Sync`, and has not."""
    return cast.open(login, query={"sync": "1"}, **options)


def sync(chat, **cursors):
    chat.send({"type": "Sync", "cursors": cursors.pop("cursors", cursors)})


def written(support, login, count, first=1):
    """An agent's messages to a customer; the last one's seq."""
    for number in range(first, first + count):
        support.send({"type": "Chat", "to_user_id": login["user_id"], "content": f"{number}", "client_id": f"n{number}"})
    return support.expect("Ack", client_id=f"n{first + count - 1}", timeout=30)["seq"]


def test_a_cursor_says_where_the_connection_goes_on(cast):
    chat, support, login, _ = cast.served()
    head = written(support, login, 5)
    name = conversation(login)
    for cursor in (0, 3, head):
        again = waiting(cast, login)
        assert again.welcome["heads"] == {name: head}
        sync(again, cursors={name: cursor})
        synced = again.expect("Synced")
        has_only(synced, "heads")
        assert synced["heads"] == {name: head}
        assert story(again) == list(range(cursor + 1, head + 1))
    # And what comes after it comes live.
    head = written(support, login, 1, first=6)
    again.expect("Chat", seq=head)


def test_until_sync_nothing_with_a_seq_is_sent(cast):
    chat, support, login, _ = cast.served()
    head = written(support, login, 3)
    early = waiting(cast, login)
    early.send({"type": "Chat", "content": "mine", "client_id": "mine"})
    own = support.expect("Chat", content="mine", conversation_id=conversation(login))["seq"]
    assert own == head + 1
    last = written(support, login, 1, first=4)
    # Frames that store nothing go on meanwhile.
    support.send({"type": "Typing", "conversation_id": conversation(login), "is_typing": True})
    early.expect("Typing")
    early.settle()
    assert story(early) == []
    sync(early, cursors={conversation(login): 2})
    early.expect("Synced")
    # The own message is acknowledged in its place, and not sent.
    assert story(early) == [*range(3, own), -own, *range(own + 1, last + 1)]
    assert early.expect("Ack")["client_id"] == "mine"


def test_without_a_cursor_it_goes_on_from_what_was_delivered(cast):
    chat, support, login, _ = cast.served(sync={})
    head = written(support, login, 3)
    first = cast.open(login, sync={})
    assert story(first) == list(range(1, head + 1))
    first.close()
    # Nothing was confirmed: pongs do not count for a client that syncs.
    second = cast.open(login, sync={})
    assert story(second) == list(range(1, head + 1))
    second.send({"type": "Delivered", "conversation_id": conversation(login), "seq": 4})

    def goes_on_behind_it():
        return story(cast.open(login, sync={})) == list(range(5, head + 1))

    until(goes_on_behind_it, "the delivered position has moved", interval=0.1)


def test_a_client_without_sync_confirms_by_its_pongs(cast):
    chat, support, login, _ = cast.served()
    head = written(support, login, 3)
    chat.expect("Chat", seq=head)
    chat.settle()

    def is_taken():
        one = cast.open(login)
        one.settle()
        return story(one) == []

    until(is_taken, "what was answered with a pong counts as delivered", interval=0.5)


def test_cursors_that_are_refused_count_as_not_given(cast):
    chat, support, login, _ = cast.served()
    head = written(support, login, 2)
    name, foreign = conversation(login), conversation(cast.customer())
    for cursors, code in (
        ({name: head + 1}, "cursor_out_of_range"), ({name: -1}, "cursor_out_of_range"),
        ({name: 10**30}, "cursor_out_of_range"), ({foreign: 0}, "conversation_unknown"),
        ({"nonsense": 1}, "conversation_unknown"),
    ):
        one = waiting(cast, login)
        sync(one, cursors=cursors)
        error = one.expect("Error")
        has_only(error, "code", "message", "conversation_id", "timestamp")
        assert (error["code"], error["conversation_id"]) == (code, next(iter(cursors)))
        # The rest goes on.
        assert one.expect("Synced")["heads"] == {name: head}
        one.close()
    both = waiting(cast, login)
    sync(both, cursors={foreign: 3, name: head})
    both.expect("Error", conversation_id=foreign)
    both.expect("Synced")
    assert story(both) == []


def test_sync_goes_once_and_first_and_only_where_it_was_announced(cast):
    login = cast.customer()
    chat = cast.open(login, sync={})
    chat.send({"type": "Sync", "cursors": {}})
    assert chat.expect("Error")["code"] == "sync_unexpected"
    chat.settle()


def test_a_malformed_sync_does_not_count(cast):
    chat, support, login, _ = cast.served()
    one = waiting(cast, login)
    for cursors in (None, [], {conversation(login): "1"}, {conversation(login): 1.5}):
        one.send({"type": "Sync", "cursors": cursors})
        error = one.expect("Error")
        assert error["code"] == "invalid_field" and error["message"].startswith("cursors: "), error
    sync(one, cursors={conversation(login): 1})
    one.expect("Synced")
    assert story(one) == [2]


def test_a_gap_names_exactly_what_is_left_out(cast):
    login = cast.customer()
    support = cast.open(cast.agent())
    head = written(support, login, 1004)
    name = conversation(login)
    # The assignment is an entry too.
    until(lambda: len(cast.entries(login)) == 1005, "the agent has taken the conversation")
    head = 1005
    one = waiting(cast, login)
    sync(one, cursors={name: 2})
    gap = one.expect("Gap")
    has_only(gap, "conversation_id", "from", "to")
    assert gap == {"type": "Gap", "conversation_id": name, "from": 3, "to": 5}
    one.expect("Synced", timeout=20)
    assert story(one) == list(range(6, head + 1))
    page = cast.stack.http(
        "GET", f"/api/messages?conversation_id={name}&after={gap['from'] - 1}&limit=3", session=login["session_id"]
    )
    assert [entry["seq"] for entry in page.json["messages"]] == [3, 4, 5]
    # A thousand behind is not too much.
    near = cast.open(login, sync={name: 5})
    assert story(near) == list(range(6, head + 1)) and "Gap" not in {frame["type"] for frame in near.seen}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_a_sync_that_does_not_come_counts_as_empty(client):
    with stack_with({"gateway.sync_timeout_ms": 700}) as stack:
        with Cast(stack, People(stack, customers=2, agents=1), client) as cast:
            # Its pongs would confirm what the other one is to get.
            chat, support, login, _ = cast.served(sync={})
            one = waiting(cast, login)
            one.settle()
            assert story(one) == []
            one.expect("Synced")
            assert story(one) == [1, 2]
            sync(one)
            assert one.expect("Error")["code"] == "sync_unexpected"


# Retries


@pytest.mark.parametrize("way", ["without sync", "before sync", "after sync"])
def test_a_retry_on_a_new_connection_gets_the_same_ack(cast, way):
    chat, support, login, _ = cast.served()
    frame = {"type": "Chat", "content": "once", "client_id": "retried"}
    chat.send(frame)
    ack = chat.expect("Ack", client_id="retried")
    chat.drop()
    name = conversation(login)
    if way == "without sync":
        again = cast.open(login)
        again.send(frame)
    elif way == "before sync":
        again = waiting(cast, login)
        again.send(frame)
        again.settle()
        assert "Ack" not in {frame["type"] for frame in again.seen}
        # Its place comes with the entries that follow the cursor.
        sync(again, cursors={name: ack["seq"] - 2})
        again.expect("Synced")
        assert story(again) == [ack["seq"] - 1, -ack["seq"]]
    else:
        again = cast.open(login, sync={name: ack["seq"]})
        again.send(frame)
    assert again.expect("Ack", client_id="retried") == ack
    again.settle()
    assert [entry.get("client_id") for entry in cast.entries(login)].count("retried") == 1
    support.settle()
    got = [frame for frame in support.seen if frame.get("content") == "once" and frame["conversation_id"] == name]
    assert len(got) == 1


def test_messages_of_connections_that_are_lost_before_the_ack_are_stored_once(cast):
    chat, support, login, _ = cast.served()
    for number in range(10):
        frame = {"type": "Chat", "content": f"lost {number}", "client_id": f"lost{number}"}
        chat.send(frame)
        chat.drop()
        chat = cast.open(login)
        chat.send(frame)
        chat.expect("Ack", client_id=f"lost{number}")
    stored = [entry["content"] for entry in cast.entries(login) if entry.get("content", "").startswith("lost")]
    assert stored == [f"lost {number}" for number in range(10)]
    for number in range(10):
        support.expect("Chat", content=f"lost {number}", conversation_id=conversation(login))


def test_a_sync_of_nothing_but_foreign_conversations_does_not_end_the_connection(cast):
    """As a client has them whose server was set up anew."""
    _, _, login, _ = cast.served()
    for user in (login, cast.agent()):
        chat = waiting(cast, user)
        chat.send('{"type":"Sync","cursors":{' + ",".join(f'"c:x{number}":1' for number in range(9000)) + "}}")
        chat.expect("Synced", timeout=20)
        refused = [frame for frame in chat.seen if frame["type"] == "Error"]
        assert 0 < len(refused) <= 1000
        assert {frame["code"] for frame in refused} == {"conversation_unknown"}
        chat.settle()
