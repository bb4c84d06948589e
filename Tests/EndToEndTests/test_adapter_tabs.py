"""Two tabs of one user in one browser: one outbox, one sends, and both show the same; mistakes that this would find."""

import json

import pytest
from playwright.sync_api import Error

from adapter_pages import accounts, away, browser, customer, logged, note_sessions, second, tab, texts
from stack import ROOT
from waiting import Timeout, until

SETTINGS = {"auth.password_cost": 1}
TABS = (ROOT / "deploy/web/services/tabs.js").read_text()
LOCK = "    if (!globalThis.navigator?.locks) return work();\n"
NO_LOCK = "    return work();\n"
# One that a page which is killed does not give back.
NAIVE_LOCK = """
    const key = `${this.name}:${what}`;
    while (localStorage.getItem(key)) await new Promise((resolve) => setTimeout(resolve, 20));
    localStorage.setItem(key, 'taken');
    return work().finally(() => localStorage.removeItem(key));
"""
MANY = 400


@pytest.fixture
def pair(stack, browser, tab, accounts):
    """Makes two tabs of one user, whose `tabs.js` may have a mistake; `sent` has the texts of their Chat frames."""
    contexts, pages = [], []

    def make(mistake=None):
        context = browser.new_context()
        contexts.append(context)
        if mistake:
            assert LOCK in TABS
            wrong = TABS.replace(LOCK, mistake)
            context.route("**/services/tabs.js", lambda route: route.fulfill(
                body=wrong, content_type="text/javascript",
            ))
        person = accounts.create()
        for _ in range(2):
            page = tab(context)
            page.person, page.sent, page.crashes = person, [], []
            page.page.on("websocket", lambda socket, page=page: watch(socket, page))
            page.page.on("crash", lambda _, page=page: page.crashes.append(True))
            pages.append(page)
        pages[-2].login(person["user_id"], person["password"], "customer")
        pages[-1].run("await adapter.resume()")
        pages[-1].connected()
        note_sessions(stack, pages[-1])
        return pages[-2:]

    yield make
    for context in contexts:
        context.close()


def watch(socket, page):
    def sent(data):
        frame = json.loads(data)
        if frame["type"] == "Chat":
            page.sent.append(frame["content"])

    socket.on("framesent", sent)


def both_send(pair):
    """Both tabs come back at once to what was typed in either; the texts that went out, of both."""
    for page in pair:
        page.run("adapter.disconnect()")
    typed = []
    for page, name in zip(pair, ("first", "second")):
        page.type(*texts(name, MANY // 2))
        typed += texts(name, MANY // 2)
        for one in pair:
            one.wait(f"(await adapter.getUnsent()).length === {len(typed)}", timeout=60)
    for page in pair:
        page.run("adapter.connect()")
    for page in pair:
        page.all_sent(timeout=60)
    return typed, [text for page in pair for text in page.sent]


def test_one_tab_sends_for_both(stack, pair, accounts):
    pages = pair()
    typed, sent = both_send(pages)
    assert logged(stack, accounts, pages[0]) == typed
    assert sorted(sent) == sorted(typed)


def test_a_lock_that_is_not_taken_is_noticed(stack, pair, accounts):
    pages = pair(NO_LOCK)
    typed, sent = both_send(pages)
    # The server knows each by its `client_id`, so that nobody sees them twice; but both tabs have sent them.
    assert logged(stack, accounts, pages[0]) == typed
    assert len(sent) > len(typed) and set(sent) == set(typed)


def killed_while_it_sends(stack, pages, accounts, timeout):
    """The tab that sends is killed in the middle; the other goes on."""
    typed = texts("text", MANY)
    with away(stack.gateway):
        pages[0].type(*typed)
        pages[1].wait(f"(await adapter.getUnsent()).length === {MANY}", timeout=60)

    def sender():
        for page in pages:
            page.run("return 0")
        return next((page for page in pages if len(page.sent) > 20), None)

    killed = until(sender, "one of them sends", timeout=60)
    (other,) = (page for page in pages if page is not killed)
    with pytest.raises(Error):
        killed.page.goto("chrome://crash")
    until(lambda: other.run("return 1") and killed.crashes, "its process is gone")
    assert not other.crashes
    assert 20 < len(killed.sent) < MANY
    # (Its process is gone, but its socket's last frames may be on their way.)
    until(lambda: other.run("return (await adapter.getUnsent()).length") == 0, "the other goes on", timeout, 0.1)
    assert logged(stack, accounts, other) == typed
    return killed.sent, other.sent


def test_a_tab_that_is_killed_while_it_sends_is_replaced(stack, pair, accounts):
    by_killed, by_other = killed_while_it_sends(stack, pair(), accounts, timeout=60)
    # At most what was on its way went out a second time.
    assert len(by_killed) + len(by_other) <= MANY + 1


def test_a_lock_that_is_not_given_back_is_noticed(stack, pair, accounts):
    with pytest.raises(Timeout, match="the other goes on"):
        killed_while_it_sends(stack, pair(NAIVE_LOCK), accounts, timeout=8)


SHOWN = """
    const { messages, head } = await adapter.getMessages({ limit: 200 });
    return {
        messages: messages.map(({ key, id, seq, kind, content, own, status, recalled }) => (
            { key, id, seq, kind, content, own, status, recalled })),
        head, unread: adapter.getUnread(), unsent: await adapter.getUnsent(),
    };
"""


def test_both_tabs_show_the_same(stack, pair, tab, accounts):
    agent = accounts.person("Kefu")
    pages = pair()
    user, to = pages[0].person["user_id"], agent["user_id"]
    with stack.chat(agent) as chat:
        pages[0].run("await adapter.sendMessage('from the first', given[0])", to)
        pages[1].run("await adapter.sendMessage('from the second', given[0])", to)
        pages[1].run("await adapter.sendMessage('taken back', given[0])", to)
        last = chat.expect("Chat", content="taken back")
        for text in ("answer", "slip", "unread"):
            chat.send({"type": "Chat", "to_user_id": user, "content": text, "client_id": text})
        seqs = {text: chat.expect("Ack", client_id=text)["seq"] for text in ("answer", "slip", "unread")}
        name = last["conversation_id"]
        chat.send({"type": "Read", "conversation_id": name, "seq": last["seq"] - 1})
        chat.send({"type": "Delivered", "conversation_id": name, "seq": last["seq"]})
        chat.send({"type": "Recall", "conversation_id": name, "target_seq": seqs["slip"]})
        pages[0].run("await adapter.recall({ conversationId: given[0], seq: given[1] })", name, last["seq"])
        pages[0].wait(f"(await adapter.getMessages()).head >= {seqs['unread']}")
        # Read in one, read in the other too.
        pages[0].run("adapter.markRead(given[0], given[1])", name, seqs["answer"])
        chat.expect("Read", user_id=user)

        def same():
            first, other = (page.run(SHOWN) for page in pages)
            chats = {one["content"]: one for one in first["messages"] if one["kind"] == "chat" and not one["recalled"]}
            assert first == other
            assert [chats[text]["status"] for text in ("from the first", "from the second")] == ["read", "read"]
            assert [one["recalled"] for one in first["messages"]].count(True) == 2
            assert (first["unread"], first["unsent"]) == (1, [])
            return first

        shown = until(same, "both show the same", timeout=30)
        # And a page that is opened now.
        third = tab(pages[0].page.context)
        third.run("await adapter.resume()")
        third.connected()
        until(lambda: third.run(SHOWN) == shown, "a third one shows it too", timeout=30)
        for page in pages:
            told = {one["key"]: one["status"] for one in page.told("messageUpdated")}
            own = {one["key"]: one["status"] for one in shown["messages"] if one["own"] and not one["recalled"]}
            assert own.items() <= told.items()
            assert page.texts() == ["answer", "slip", "unread"]
            assert page.told("unread")[-1]["total"] == 1


def test_two_tabs_are_one_user(stack, customer, second, accounts):
    both = (customer, second)
    for one, name in zip(both, ("first", "second")):
        one.type(*texts(name, 10))
    for one in both:
        one.all_sent()
    said = logged(stack, accounts, customer)
    for name in ("first", "second"):
        assert [text for text in said if text.startswith(name)] == texts(name, 10)
    assert len(said) == 20
    for one in both:
        until(lambda: one.shown() == said, "both show the same")
        statuses = {}
        for message in one.told("messageUpdated"):
            statuses[message["key"]] = message["status"]
        assert list(statuses.values()) == ["sent"] * 20
        assert one.told("message") == []
    second.run("await adapter.logout()")
    until(lambda: customer.told("logout") == [{"reason": "logout"}], "the other tab is told")


def test_a_closed_tab_s_messages_are_sent_by_another(stack, customer, second, accounts):
    with away(stack.gateway):
        customer.type(*texts("from the closed one"))
        until(lambda: len(second.run("return await adapter.getUnsent()")) == 5, "the other tab knows")
        customer.close()
        second.type("from the other")
    second.all_sent()
    second.person = customer.person
    assert logged(stack, accounts, second) == [*texts("from the closed one"), "from the other"]


def test_a_session_refreshed_in_one_tab_serves_both(stack, customer, second):
    before = customer.run("return adapter.ws.ws.url")
    told = second.run("""
        // What the server says some minutes before a session ends.
        const expires_at = '2000-01-01T00:00:00.000Z';
        const data = JSON.stringify({ type: 'System', code: 'session_expiring', message: '', expires_at });
        adapter.ws.ws.dispatchEvent(new MessageEvent('message', { data }));
        const key = Object.keys(localStorage).find((one) => !one.endsWith('users'));
        const id = JSON.parse(localStorage[key]).id;
        while (JSON.parse(localStorage[key]).id === id) await new Promise((resolve) => setTimeout(resolve, 20));
        return [id, JSON.parse(localStorage[key]).id];
    """)
    stack.secrets.update(told)
    for one in (customer, second):
        assert one.run("return (await adapter.request('GET', '/auth/session')).user_id") == customer.person["user_id"]
        assert one.told("sessionExpiring") == [] and one.told("disconnected") == []
    customer.run("adapter.disconnect(); adapter.connect()")
    customer.connected()
    assert customer.run("return adapter.ws.ws.url") != before


@pytest.mark.parametrize("is_new", [False, True], ids=["in a tab of theirs", "in a new tab"])
def test_another_user_takes_the_browser_over(stack, customer, second, tab, accounts, is_new):
    (former,) = note_sessions(stack, customer)
    other = accounts.create()
    with away(stack.gateway):
        customer.type("not sent yet")
        second.wait("(await adapter.getUnsent()).length === 1")
        taker = tab(customer.page.context) if is_new else second
        taker.run("await adapter.login(...given)", other["user_id"], other["password"], "customer")
        note_sessions(stack, taker)
        for page in (customer, second):
            page.wait(f"adapter.user?.id === {json.dumps(other['user_id'])}")
            assert page.told("logout") == [{"reason": "replaced_login"}]
            assert [user["id"] for user in page.told("login")] == [customer.person["user_id"], other["user_id"]]
            # Nothing of the one is shown to the other.
            assert page.run("return await adapter.getUnsent()") == []
    for page in (customer, second):
        page.connected(timeout=30)
        assert page.shown() == []
    assert stack.http("GET", "/auth/session", session=former).status == 401
    customer.login(customer.person["user_id"], customer.person["password"], "customer")
    customer.all_sent()
    assert logged(stack, accounts, customer) == ["not sent yet"]
    until(lambda: second.shown() == ["not sent yet"], "the other tab has gone along")
