"""The client that the delivery tests trust: it raises on every breach of a promise, and on nothing else.

A server that does what it is told stands in for the gateway.
"""

import asyncio
import contextlib
import json
import random
import time

import pytest
from websockets.asyncio.server import serve

from async_client import AsyncClient
from waiting import eventually

LOGIN = {"user_id": "anna", "session_id": "s", "user_type": "Kehu"}
MINE = "c:anna"
ASK, DROP, STOP = object(), object(), object()
# Of every client in a test.
OPTIONS = {}


@pytest.fixture(params=[False, True], ids=["websockets", "lean"], autouse=True)
def is_lean(request, monkeypatch):
    """Each test runs over both kinds of connections."""
    monkeypatch.setitem(OPTIONS, "is_lean", request.param)


def chat(seq, content=None, sender="support001", conversation=MINE, id=None):
    return {
        "type": "Chat", "seq": seq, "id": id or f"m{seq}", "conversation_id": conversation, "from_user_id": sender,
        "content": content or f"message {seq}",
    }


def assigned(seq, agent, conversation):
    return {
        "type": "AgentAssigned", "seq": seq, "id": f"m{seq}", "conversation_id": conversation, "agent_id": agent,
        "from_user_id": "system",
    }


def ack(seq, client_id, id=None):
    return {
        "type": "Ack", "seq": seq, "id": id or f"m{seq}", "conversation_id": MINE, "client_id": client_id,
        "timestamp": "t",
    }


def synced(**heads):
    return {"type": "Synced", "heads": {f"c:{user}": head for user, head in heads.items()}}


class Script:
    """What the server sends: a list for each connection. `ASK` waits for a message of the client's, `DROP` ends the
    connection without a word, `STOP` as a gateway that stops."""

    def __init__(self, *connections):
        self.connections = list(connections)
        self.syncs = []
        self.received = []
        self.is_over = False

    async def __call__(self, socket):
        sync = json.loads(await socket.recv())
        assert sync["type"] == "Sync", sync
        self.syncs.append(sync["cursors"])
        for step in self.connections.pop(0) if self.connections else []:
            if step is ASK:
                self.received.append(json.loads(await socket.recv()))
            elif step is DROP:
                socket.transport.abort()
                return
            elif step is STOP:
                await socket.ping()
                await socket.close(1001, "going away; reconnect in 0-20 ms")
                return
            else:
                await socket.send(json.dumps(step))
        if not self.connections:
            self.is_over = True
            await socket.send(json.dumps({"type": "System", "content": "over"}))
        with contextlib.suppress(Exception):
            await socket.wait_closed()


def play(*connections, say=(), login=LOGIN, process_request=None, **options):
    """Runs a client against the script; raises what the client raises."""

    async def main():
        script = Script(*connections)
        over = []
        async with serve(script, "127.0.0.1", 0, compression=None, process_request=process_request) as server:
            port = server.sockets[0].getsockname()[1]
            client = AsyncClient(
                port, login, random.Random(1), on_frame=lambda _, frame: over.append(frame), **OPTIONS, **options
            )
            for content in say:
                client.say(content, client_id=content)
            run = asyncio.create_task(client.run())
            await eventually(
                lambda: run.done() or any(frame.get("content") == "over" for frame in over), "the script is over"
            )
            await client.stop()
            await run
        return client, script

    return asyncio.run(main())


KEPT = {
    "entries in order": [[chat(1), chat(2), synced(anna=2), chat(3)]],
    "nothing": [[synced()]],
    "two conversations, mixed": [[chat(1), chat(1, conversation="d:a:b", id="x"), chat(2), synced(anna=2)]],
    "a new connection goes on after the cursor": [[chat(1), chat(2), DROP], [chat(3), synced(anna=3)]],
    "and misses nothing that has come meanwhile": [[chat(1), DROP], [chat(2), chat(3), synced(anna=3)]],
    "long frames": [[chat(1, "x" * 200), chat(2, "é" * 70_000), chat(3), synced(anna=3)]],
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_promised_passes(name):
    play(*KEPT[name])


def test_who_is_told_that_the_server_stops_comes_again_and_knows_for_how_long_it_was_away():
    client, _ = play([chat(1), synced(anna=1), STOP], [chat(2), STOP], [synced(anna=2)])
    (code, seconds), = client.outages
    assert code == 1001 and seconds > 0


def test_who_is_refused_comes_again_when_told_to():
    asked = []

    def refuse_once(connection, request):
        asked.append(time.monotonic())
        if len(asked) == 1:
            answer = connection.respond(503, "")
            answer.headers["Retry-After"] = "1"
            return answer
        return None

    client, _ = play([synced()], process_request=refuse_once)
    assert client.refusals == 1
    assert asked[1] - asked[0] >= 1


BROKEN = {
    "a hole": ([[chat(1), chat(3)]], "after 1 came the entry 3"),
    "a beginning that is left out": ([[chat(2)]], "after None came the entry 2"),
    "an entry twice": ([[chat(1), chat(2), chat(2)]], "after 2 came the entry 2"),
    "an order": ([[chat(1), chat(2), chat(3), chat(2)]], "after 3 came the entry 2"),
    "an entry before the cursor": ([[chat(1), chat(2), DROP], [chat(2)]], "after 2 came the entry 2"),
    "a hole at the cursor": ([[chat(1), DROP], [chat(3)]], "after 1 came the entry 3"),
    "Synced too early": ([[chat(1), synced(anna=2)]], "Synced at 1, its head is 2"),
    "Synced before anything": ([[synced(anna=1)]], "Synced at None, its head is 1"),
    "Synced twice": ([[synced(), synced()]], "Synced twice"),
    "a gap elsewhere": ([[{"type": "Gap", "conversation_id": MINE, "from": 2, "to": 9}]], "after None"),
    "a late gap": ([[synced(), {"type": "Gap", "conversation_id": MINE, "from": 1, "to": 9}]], "after Synced"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_promise_is_raised(name):
    script, message = BROKEN[name]
    with pytest.raises(AssertionError, match=message):
        play(*script)


def test_an_ack_stands_in_the_place_of_its_entry_and_gives_no_cursor():
    client, script = play(
        [ASK, ack(1, "a"), DROP], [chat(1, "a", sender="anna"), synced(anna=1), chat(2)], say=["a"]
    )
    assert script.syncs == [{}, {}]
    assert {seq: entry.content for seq, entry in client.seen[MINE].items()} == {1: "a", 2: "message 2"}
    assert not client.outbox


def test_the_cursor_passes_an_ack_with_the_next_entry():
    _, script = play([ASK, ack(1, "a"), chat(2), DROP], [synced(anna=2)], say=["a"])
    assert script.syncs == [{}, {MINE: 2}]


def test_what_was_not_acknowledged_is_sent_again_in_order():
    client, script = play(
        [ASK, ASK, ASK, ack(1, "a"), DROP],
        [chat(1, "a", sender="anna"), chat(2, "b", sender="anna"), synced(anna=2), ASK, ack(2, "b"), ASK, ack(3, "c")],
        say=["a", "b", "c"],
    )
    assert [frame["client_id"] for frame in script.received] == ["a", "b", "c", "b", "c"]
    assert client.resent == 2
    client.check_order_of_own()


LIES = {
    "an Ack before its place": ([[ASK, ack(2, "a")]], "after None came the Ack of 2"),
    "an Ack past a hole": ([[chat(1), ASK, ack(3, "a")]], "after 1 came the Ack of 3"),
    "an Ack twice": ([[ASK, ack(1, "a"), ack(1, "a")]], "nothing on this connection asked for"),
    "an Ack of somebody else": ([[ASK, ack(1, "b")]], "nothing on this connection asked for"),
    "the Ack and then the entry": (
        [[ASK, ack(1, "a"), chat(1, "a", sender="anna")]], "after 1 came the entry 1"
    ),
    "another Ack for the same message": (
        [[ASK, chat(1), ack(1, "a")]], "was .* and is"
    ),
    "another content": ([[ASK, ack(1, "a"), DROP], [chat(1, "b", sender="anna")]], "was .* and is"),
    "another id": ([[ASK, ack(1, "a"), DROP], [chat(1, "a", sender="anna", id="x")]], "was .* and is"),
    "a message that was acknowledged and is gone": (
        [[ASK, ack(1, "a"), DROP], [chat(1, "the one after it")]], "was .* and is"
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_an_own_message_is_raised(name):
    script, message = LIES[name]
    with pytest.raises(AssertionError, match=message):
        play(*script, say=["a"])


def test_own_messages_out_of_order_are_found():
    client, _ = play(
        [ASK, ASK, chat(1, "b", sender="anna"), ack(2, "a"), ack(1, "b")], say=["a", "b"],
    )
    with pytest.raises(AssertionError, match="b got seq 1 after 2"):
        client.check_order_of_own()


def test_a_code_that_says_not_to_come_again_is_raised():
    async def main():
        async with serve(lambda socket: socket.close(1008, "policy"), "127.0.0.1", 0) as server:
            client = AsyncClient(server.sockets[0].getsockname()[1], LOGIN, random.Random(1), **OPTIONS)
            with pytest.raises(AssertionError, match="closed with 1008"):
                await client.run()

    asyncio.run(main())


def test_an_agent_may_find_a_conversation_further_on_only_after_having_been_taken_off():
    agent = {"user_id": "support001", "session_id": "s", "user_type": "Kefu"}
    closed = {**assigned(3, None, MINE), "type": "ConversationClosed"}
    play([chat(1, sender="anna"), assigned(2, "support001", MINE), closed, chat(9, sender="anna")], login=agent)
    play([chat(1, sender="anna"), assigned(2, "other", MINE), DROP], [chat(9, sender="anna")], login=agent)
    with pytest.raises(AssertionError, match="after 2 came the entry 9"):
        play([chat(1, sender="anna"), assigned(2, "support001", MINE), chat(9, sender="anna")], login=agent)
    with pytest.raises(AssertionError, match="after 3 came the entry 9"):
        play([chat(1), assigned(2, "support001", MINE), {**closed}, chat(9)])
