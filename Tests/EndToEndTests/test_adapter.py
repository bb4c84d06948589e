"""EnterpriseAdapter in Chromium, against the stack: its calls as the guide has them, files, errors, ends."""

import json
import re

import pytest

from adapter_pages import accounts, browser, note_sessions, tab
from waiting import until

SETTINGS = {"gateway.connections_per_user": 3, "auth.password_cost": 1}


@pytest.fixture
def agent(stack, accounts):
    """Who answers: connected, and known to nobody else."""
    login = accounts.person("Kefu")
    with stack.chat(login) as chat:
        chat.login = login
        yield chat


@pytest.fixture
def customer(accounts, tab):
    """A page whose customer has logged in."""
    person = accounts.create()
    page = tab(heartbeatInterval=1000)
    page.login(person["user_id"], person["password"], "customer")
    page.person = person
    return page


def test_the_guide_s_calls(stack, tab, agent):
    page = tab()
    user = page.login("user123", "password123", "customer")
    assert user == {
        "id": "user123", "name": "张三", "role": "customer", "type": "Kehu", "isAdmin": False, "isGuest": False,
    }
    assert page.run("return adapter.ws.ws instanceof WebSocket && adapter.ws.ws.readyState") == 1
    to = agent.login["user_id"]
    sent = page.run("return await adapter.sendMessage('你好，需要帮助', given[0])", to)
    assert (sent["status"], sent["own"], sent["conversationId"]) == ("sent", True, "c:user123")
    got = agent.expect("Chat", content="你好，需要帮助")
    assert (got["seq"], got["id"], got["client_id"]) == (sent["seq"], sent["id"], sent["key"])
    agent.send({"type": "Chat", "to_user_id": "user123", "content": "how can I help?"})
    until(lambda: "how can I help?" in page.texts(), "the answer is told")
    # A listener that comes late is told how things stand.
    assert page.run("return await new Promise((resolve) => adapter.on('connected', ({ user }) => resolve(user.id)))")
    users = page.run("return await new Promise((resolve) => adapter.subscribeToOnlineUsers(resolve))")
    assert to in {one["id"] for one in users} and {one["role"] for one in users} == {"support"}
    (session,) = note_sessions(stack, page)
    page.run("await adapter.logout()")
    assert page.told("logout") == [{"reason": "logout"}] and page.run("return adapter.user") is None
    assert stack.http("GET", "/auth/session", session=session).status == 401
    assert page.run("return Object.keys(localStorage).filter((key) => !key.endsWith('users'))") == []
    names = page.run("return (await indexedDB.databases()).map(({ name }) => name)")
    assert all("password" not in name for name in names)


def test_the_socket_can_be_watched_and_beats(customer):
    seen = customer.run("""
        const seen = [];
        adapter.ws.ws.addEventListener('message', (event) => seen.push(JSON.parse(event.data).type));
        await new Promise((resolve) => adapter.ws.ws.addEventListener('message', () => seen.length > 1 && resolve()));
        return seen;
    """)
    assert seen[:2] == ["Heartbeat", "Heartbeat"]


def test_a_message_s_way_is_told(stack, customer, agent):
    page, to = customer, agent.login["user_id"]
    page.run("await adapter.sendMessage('one', given[0])", to)
    got = agent.expect("Chat", content="one")
    for kind in ("Delivered", "Read"):
        agent.send({"type": kind, "conversation_id": got["conversation_id"], "seq": got["seq"]})
    key = got["client_id"]

    def ways():
        return [message["status"] for message in page.told("messageUpdated") if message["key"] == key]

    until(lambda: ways()[-1] == "read", "it is read")
    assert [way for way in ways() if way != "delivered"] == ["queued", "sending", "sent", "read"]
    agent.send({"type": "Typing", "conversation_id": got["conversation_id"], "is_typing": True})
    until(lambda: page.told("typing"), "the agent types")
    agent.send({"type": "Chat", "to_user_id": page.person["user_id"], "content": "two", "client_id": "two"})
    until(lambda: "two" in page.texts(), "the answer comes")
    assert [typing["isTyping"] for typing in page.told("typing")] == [True, False]
    assert page.run("return adapter.getUnread()") == 1
    page.run("adapter.markRead(given[0])", got["conversation_id"])
    agent.expect("Read", user_id=page.person["user_id"])
    assert page.run("return adapter.getUnread()") == 0
    ack = agent.expect("Ack", client_id="two")
    agent.send({"type": "Recall", "conversation_id": got["conversation_id"], "target_seq": ack["seq"]})
    until(lambda: any(one["recalled"] for one in page.told("messageUpdated")), "it is taken back")
    page.run("await adapter.recall({ conversationId: given[0], seq: given[1] })", got["conversation_id"], got["seq"])
    agent.expect("Recall", target_seq=got["seq"])
    assert page.shown() == ["", ""]
    kinds = [message["kind"] for message in page.run("return (await adapter.getMessages()).messages")]
    assert sorted(kinds) == ["assigned", "chat", "chat"]


# A call, and the code, the field and the rule of its error.
WRONG = [
    ("sendMessage('')", "invalid_argument", "text", "must not be empty"),
    ("sendMessage('图'.repeat(10001))", "invalid_argument", "text", "must have at most 10000 characters"),
    ("sendMessage('a', 'a b')", "invalid_argument", "receiverId", "must be a user's id"),
    ("sendMessage('a', null, 'picture')", "invalid_argument", "type", "must be text, image, file, voice, video"),
    ("sendMessage('a', 'nobody-here')", "recipient_unknown", "to_user_id", None),
    ("sendMessage('a.png', null, 'file')", "file_not_uploaded", "text", None),
    ("uploadFile(new File(['a'], 'a/b.png'))", "invalid_argument", "file.name", None),
    ("uploadFile('a.png')", "invalid_argument", "file", "must be a File"),
    ("getMessages({ limit: 201 })", "invalid_argument", "limit", "must be a whole number from 1 to 200"),
    ("login('nobody', 'wrong', 'customer')", "invalid_credentials", None, None),
    ("login('nobody', '', 'customer')", "invalid_argument", "password", "must not be empty"),
    ("login('nobody', 'wrong', 'agent')", "invalid_argument", "role", "must be customer or support"),
    ("request('GET', '/api/users')", "forbidden", None, None),
    ("request('PATCH', '/api/users/me', { user_name: '' })", "invalid_field", "user_name", None),
    ("resend('nothing')", "invalid_argument", "key", None),
]


def test_an_error_names_the_field_and_the_rule(customer):
    for call, code, field, rule in WRONG:
        failed = customer.run(f"return await adapter.{call}")["failed"]
        assert (failed["code"], failed["field"]) == (code, field), (call, failed)
        assert rule is None or failed["rule"] == rule, (call, failed)


def test_a_refused_message_stays_until_it_is_discarded(customer):
    failed = customer.run("return await adapter.sendMessage('to nobody', 'nobody-here')")["failed"]
    assert failed["code"] == "recipient_unknown"
    (kept,) = customer.run("return await adapter.getUnsent()")
    assert (kept["status"], kept["error"]["code"]) == ("failed", "recipient_unknown")
    assert customer.run("return await adapter.resend(given[0])", kept["key"])["failed"]["code"] == "recipient_unknown"
    # The next one is not held up by it.
    assert customer.run("return await adapter.sendMessage('to anybody')")["status"] == "sent"
    customer.run("await adapter.discard(given[0])", kept["key"])
    assert customer.run("return await adapter.getUnsent()") == []
    assert customer.told("outbox")[-1] == {"unsent": 0, "failed": 0}


# Files


def test_a_file_goes_by_its_name(stack, customer, agent):
    to = agent.login["user_id"]
    shown = customer.run("""
        const file = new File([new Uint8Array(300000)], '图 1.bin', { type: 'application/octet-stream' });
        const percents = [];
        const attachment = await adapter.uploadFile(file, (percent) => percents.push(percent));
        await adapter.sendMessage(attachment.name, given[0], 'file');
        return { attachment, percents };
    """, to)
    attachment, percents = shown["attachment"], shown["percents"]
    assert (attachment["name"], attachment["size"], attachment["type"]) == ("图 1.bin", 300_000, "file")
    assert percents == sorted(set(percents)) and percents[0] == 0 and percents[-1] == 100
    got = agent.expect("Chat", content="图 1.bin", content_type="File")
    assert got["file"]["file_id"] == attachment["id"]
    # It was sent: the name alone finds nothing any more.
    again = customer.run("return await adapter.sendMessage('图 1.bin', given[0], 'file')", to)
    assert again["failed"]["code"] == "file_not_uploaded"
    bytes_read = customer.run("""
        const answer = await fetch(await adapter.fileUrl(given[0]), { credentials: 'omit' });
        return (await answer.arrayBuffer()).byteLength;
    """, attachment["id"])
    assert bytes_read == 300_000


def test_the_newest_unsent_upload_of_a_name_is_meant(customer, agent):
    ids = customer.run("""
        const upload = (text) => adapter.uploadFile(new File([text], 'a.txt', { type: 'text/plain' }));
        const ids = [(await upload('first')).id, (await upload('second')).id];
        for (const _ of ids) await adapter.sendMessage('a.txt', given[0], 'file');
        return ids;
    """, agent.login["user_id"])
    sent = [agent.expect("Chat", content="a.txt")["file"]["file_id"] for _ in ids]
    assert sent == ids[::-1]


def test_an_upload_can_be_ended(stack, tab, accounts):
    person = accounts.create()
    page = tab(chunkThreshold=1000)
    page.login(person["user_id"], person["password"], "customer")
    failed = page.run("""
        const controller = new AbortController();
        const file = new File([new Uint8Array(20 << 20)], 'a.bin');
        const upload = adapter.uploadFile(file, (percent) => percent > 20 && controller.abort(), controller);
        return await upload;
    """)["failed"]
    assert failed["code"] == "aborted"
    log = (stack.directory / "nginx/logs/access.log").read_text()
    assert re.search(r'"method":"DELETE","path":"/api/files/uploads/[^"]+","status":204', log)


# Ends


def test_the_session_ends_elsewhere(stack, customer, accounts):
    customer.run("await adapter.sendMessage('still here')")
    accounts.done("DELETE", f"/api/users/{customer.person['user_id']}/sessions")
    until(lambda: customer.told("logout") == [{"reason": "session_ended"}], "the page is told")
    (told,) = customer.told("disconnected")
    assert (told["code"], told["reason"], told["willReconnect"]) == (4401, "session_ended", False)
    assert customer.run("return await adapter.sendMessage('a')")["failed"]["code"] == "not_logged_in"
    # The same user comes back, and goes on.
    customer.login(customer.person["user_id"], customer.person["password"], "customer")
    assert customer.run("return (await adapter.sendMessage('again')).status") == "sent"
    assert customer.shown() == ["still here", "again"]


def test_newer_connections_take_the_place_of_the_oldest(stack, customer, accounts):
    login = accounts.login(customer.person)
    others = [stack.chat(login) for _ in range(3)]
    until(lambda: customer.told("disconnected"), "the page is told")
    (told,) = customer.told("disconnected")
    assert (told["code"], told["reason"], told["willReconnect"]) == (4409, "replaced", False)
    assert customer.run("return adapter.state") == "stopped"
    for chat in others:
        chat.close()
    customer.run("adapter.connect()")
    customer.connected()


def test_bad_frames_end_it(customer):
    customer.run("for (let count = 0; count < 21; count += 1) adapter.ws.ws.send('{}')")
    until(lambda: customer.told("disconnected"), "the page is told")
    (told,) = customer.told("disconnected")
    assert (told["code"], told["reason"], told["willReconnect"]) == (1008, "policy", False)
    assert customer.told("error")[0]["code"] == "invalid_field"


def test_guests_come_back_after_a_reload(stack, tab):
    page = tab()
    user = page.run("return await adapter.loginAsGuest('安')")
    assert user["isGuest"] and user["name"] == "安"
    page.run("await adapter.sendMessage('hello from a guest')")
    note_sessions(stack, page)
    page.open()
    assert page.run("return await adapter.resume()") == user
    page.connected()
    assert page.shown() == ["hello from a guest"]
    assert page.told("message") == []


def test_where_the_session_is_kept(stack, tab):
    kept = """
        await adapter.login('test', 'test', 'customer');
        return [Object.keys(localStorage).filter((key) => !key.endsWith('users')).length, sessionStorage.length];
    """
    for place, expected in (("browser", [1, 0]), ("tab", [0, 1]), ("memory", [0, 0])):
        page = tab(sessionStorage=place)
        assert page.run(kept) == expected, place
        page.open()
        back = page.run("return (await adapter.resume())?.id ?? null")
        assert back == (None if place == "memory" else "test"), place
        assert page.page.context.cookies() == []


def test_another_configuration_reconfigures(stack, customer):
    told = customer.run("""
        const { EnterpriseAdapter } = await import('/services/enterprise-adapter.js');
        const same = EnterpriseAdapter.getInstance({ heartbeatInterval: 2000 });
        const kept = [same === adapter, same.isConnected, same.config.heartbeatInterval];
        EnterpriseAdapter.getInstance({ profile: 'other' });
        const left = [adapter.user, adapter.state];
        EnterpriseAdapter.getInstance({ profile: 'default' });
        return [kept, left, (await adapter.resume()).id];
    """)
    assert told == [[True, True, 2000], [None, "idle"], customer.person["user_id"]]


# What agents do


def test_an_agent_s_calls(stack, tab, accounts):
    agent, other, customer = accounts.create("Kefu"), accounts.create("Kefu"), accounts.person()
    page = tab()
    user = page.login(agent["user_id"], agent["password"], "support")
    assert (user["role"], user["isAdmin"]) == ("support", False)
    with stack.chat(customer) as chat, stack.chat(accounts.login(other)):
        chat.send({"type": "Chat", "content": "anybody?", "to_user_id": agent["user_id"]})
        until(lambda: "anybody?" in page.texts(), "the message comes")
        name = f"c:{customer['user_id']}"
        until(lambda: name in {one["conversationId"] for one in page.told("conversation")}, "the assignment comes")
        assert {one["agentId"] for one in page.told("conversation")} == {agent["user_id"]}
        # (Those who wrote to nobody before are given to whoever comes.)
        listed = page.run("return (await adapter.getConversations({ state: 'open' })).conversations")
        (listed,) = [one for one in listed if one["id"] == name]
        assert (listed["id"], listed["unread"], listed["lastMessage"]["content"]) == (name, 1, "anybody?")
        sent = page.run("return await adapter.sendMessage('here', given[0])", customer["user_id"])
        assert sent["conversationId"] == name
        chat.expect("Chat", content="here")
        assert page.run("return (await adapter.getRouting(given[0])).agent_id", name) == agent["user_id"]
        page.run("await adapter.setStatus('Busy')")
        to = other["user_id"]
        moved = page.run("return await adapter.transferConversation(given[0], { agentId: given[1] })", name, to)
        assert moved["agentId"] == to
        chat.expect("Transferred", agent_id=to)
        taken = page.run("return await adapter.assignConversation(given[0])", name)["failed"]
        assert taken["status"] == 403
    users = page.run("return await adapter.getOnlineUsers('support')")
    assert {"id": agent["user_id"], "status": "Busy"}.items() <= next(
        one for one in users if one["id"] == agent["user_id"]
    ).items()


def test_errors_and_timings_reach_the_operator(stack, customer):
    customer.run("""
        adapter.report({ kind: 'timing', message: 'paint', value: 12.4 });
        adapter.report({ kind: 'error', message: 'broke at http://a/b?session_id=secret', source: '/c?d' });
        dispatchEvent(new Event('pagehide'));
    """)

    def lines():
        return [
            json.loads(line) for line in stack.gateway.log_text().splitlines() if '"event":"client_event"' in line
        ]

    until(lambda: any(line["message"] == "paint" for line in lines()), "the report is logged")
    paint = next(line for line in lines() if line["message"] == "paint")
    assert (paint["kind"], paint["value_ms"], paint["level"]) == ("timing", 12, "info")
    broke = next(line for line in lines() if line["message"].startswith("broke"))
    assert (broke["message"], broke["source"]) == ("broke at http://a/b", "/c")
    assert {"login", "connected"} <= {line["message"] for line in lines()}
