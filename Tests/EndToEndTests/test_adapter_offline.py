"""EnterpriseAdapter without a network, through crashes, reloads and sleep: once, in order, no flap."""

import pytest

from adapter_pages import BLANK, accounts, away, browser, customer, logged, note_sessions, tab, texts
from browser import Browser
from relay import Relay
from waiting import until

# Pings this often, so that seconds show what takes a minute else; and how long a user who answers none is still there.
PING_SECONDS = 2
GONE_SECONDS = 2.5 * PING_SECONDS + 5
SETTINGS = {"gateway.ping_interval_ms": PING_SECONDS * 1000, "auth.password_cost": 1}


def test_what_is_typed_without_a_network_is_sent_once_and_in_order(stack, customer, accounts):
    with away(stack.nginx, kill=False):
        until(lambda: customer.run("return adapter.state") != "connected", "the loss is noticed")
        customer.type(*texts("typed"))
        customer.wait("(await adapter.getUnsent()).length === 5")
        kept = customer.run("return await adapter.getUnsent()")
        assert [(one["content"], one["status"]) for one in kept] == [(text, "queued") for text in texts("typed")]
        until(lambda: customer.run("return adapter.state") == "waiting", "it will try again")
        (told,) = customer.told("disconnected")
        assert told["willReconnect"]
    customer.all_sent()
    assert logged(stack, accounts, customer) == texts("typed") == customer.shown()
    # The cache is as good as the server, and no message of one's own is news.
    assert customer.told("message") == []


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "drained"])
def test_a_gateway_that_goes_takes_nothing_along(stack, customer, accounts, kill):
    customer.run("""
        const say = async () => { for (let n = 0; n < 60; n += 1) await adapter.sendMessage(`text ${n}`); };
        window.said = say();
    """)
    customer.wait("(await adapter.getMessages()).head > 5")
    with away(stack.gateway, kill):
        customer.run("for (let n = 0; n < 5; n += 1) void adapter.sendMessage(`meanwhile ${n}`)")
    customer.run("await said")
    customer.all_sent()
    said = logged(stack, accounts, customer)
    assert [text for text in said if text.startswith("text")] == texts("text", 60)
    assert [text for text in said if text.startswith("meanwhile")] == texts("meanwhile")
    assert customer.run("return (await adapter.getMessages({ limit: 200 })).messages.map((one) => one.content)") == said
    reasons = {told["reason"] for told in customer.told("disconnected")}
    assert reasons <= ({"network"} if kill else {"drain", "network"}), reasons


@pytest.fixture
def behind(stack, tab, accounts):
    """Makes a page whose customer is connected through a relay."""
    def make(relay, **config):
        person = accounts.create()
        page = tab(origin=f"http://localhost:{relay.port}", **config)
        page.login(person["user_id"], person["password"], "customer")
        page.person = person
        note_sessions(stack, page)
        return page

    return make


@pytest.mark.parametrize("ways", [("up", "down"), ("down",)], ids=["nothing", "no answer"])
def test_a_network_that_falls_silent(stack, behind, accounts, ways):
    """Nobody says that the connection is gone: what stays unanswered shows it, and is sent again elsewhere."""
    with Relay(stack.port) as relay:
        page = behind(relay, heartbeatInterval=1000)
        page.run("await adapter.sendMessage('before')")
        relay.hold(*ways)
        page.type(*texts("typed"))
        page.wait("(await adapter.getUnsent()).length === 5")
        if "up" not in ways:
            # The first one has arrived, and only its answer is lost.
            until(lambda: logged(stack, accounts, page) == ["before", "typed 0"], "it arrives", timeout=30)
        until(lambda: page.run("return adapter.state") != "connected", "the loss is noticed", timeout=40)
        assert len(page.run("return await adapter.getUnsent()")) == 5
        (told,) = page.told("disconnected")
        assert (told["code"], told["reason"], told["willReconnect"]) == (1006, "network", True)
        relay.flow()
        page.all_sent(timeout=60)
        assert logged(stack, accounts, page) == ["before", *texts("typed")] == page.shown()
        assert page.told("message") == []


def test_unsent_messages_outlive_the_page(stack, customer, accounts):
    with away(stack.gateway):
        customer.type(*texts("unsent"))
        until(lambda: len(customer.run("return await adapter.getUnsent()")) == 5, "they are kept")
        customer.open()
        assert customer.run("return (await adapter.resume()).id") == customer.person["user_id"]
        assert customer.run("return (await adapter.getUnsent()).map((one) => one.content)") == texts("unsent")
        customer.type("after the reload")
    customer.all_sent()
    assert logged(stack, accounts, customer) == [*texts("unsent"), "after the reload"]


def test_unsent_messages_outlive_what_the_browser_kept(stack, customer, accounts):
    with away(stack.gateway):
        customer.type(*texts("unsent"))
        until(lambda: len(customer.run("return await adapter.getUnsent()")) == 5, "they are kept")
        browser = customer.page.context.new_cdp_session(customer.page)
        browser.send("Storage.clearDataForOrigin", {"origin": customer.origin, "storageTypes": "indexeddb"})
        customer.type("afterwards")
        until(lambda: len(customer.run("return await adapter.getUnsent()")) == 6, "the next one waits behind them")
        # They are stored again, too.
        customer.open()
        assert customer.run("return (await adapter.resume()).id") == customer.person["user_id"]
        kept = [*texts("unsent"), "afterwards"]
        assert customer.run("return (await adapter.getUnsent()).map((one) => one.content)") == kept
    customer.all_sent()
    assert logged(stack, accounts, customer) == kept
    assert customer.told("error") == []


def test_half_a_character_holds_nothing_up(stack, customer, accounts):
    customer.run("await adapter.sendMessage('half of \\ud83d it')")
    customer.run("await adapter.sendMessage('all of it')")
    assert logged(stack, accounts, customer) == ["half of \ufffd it", "all of it"] == customer.shown()


def test_what_was_missed_comes_once(stack, customer, accounts):
    agent = accounts.person("Kefu")
    customer.run("await adapter.sendMessage('hello', given[0])", agent["user_id"])
    with stack.chat(agent) as chat:
        def say(*what):
            for text in what:
                chat.send({"type": "Chat", "to_user_id": customer.person["user_id"], "content": text})
            for _ in what:
                chat.expect("Ack")

        say("before")
        until(lambda: customer.texts() == ["before"], "the first one comes")
        customer.run("adapter.disconnect()")
        say(*texts("missed", 20))
        customer.run("adapter.connect()")
        until(lambda: len(customer.texts()) == 21, "the others come")
        assert customer.texts() == ["before", *texts("missed", 20)]
        # What was stored before a reload is not news after it; what comes between is.
        # The page says so when it has stored it.
        chat.expect("Delivered", seq=23, timeout=30)
        customer.open()
        say("while it loads")
        customer.run("await adapter.resume()")
        until(lambda: customer.texts() == ["while it loads"], "what was missed comes", timeout=30)
        assert customer.shown()[-3:] == ["missed 18", "missed 19", "while it loads"]


def test_more_than_comes_by_itself_is_a_page_away(stack, customer, accounts):
    agent = accounts.person("Kefu")
    customer.run("await adapter.sendMessage('hello', given[0])", agent["user_id"])
    customer.run("adapter.disconnect()")
    with stack.chat(agent) as chat:
        for text in texts("flood", 1100):
            chat.send({"type": "Chat", "to_user_id": customer.person["user_id"], "content": text})
        for _ in range(1100):
            chat.expect("Ack")
    customer.run("adapter.connect()")
    customer.connected()
    assert customer.told("historyChanged") == [{"conversationId": f"c:{customer.person['user_id']}"}]
    # (An entry of the thousand is the agent's assignment.)
    assert len(customer.told("message")) == 1000
    assert customer.texts() == texts("flood", 1100)[-len(customer.texts()):]
    seen = customer.run("""
        let page = await adapter.getMessages({ limit: 200 });
        const seen = page.messages;
        while (page.hasMore) {
            page = await adapter.getMessages({ before: seen[0].seq, limit: 200 });
            seen.unshift(...page.messages);
        }
        return seen.filter(({ kind }) => kind === 'chat').map(({ content }) => content);
    """)
    assert seen == ["hello", *texts("flood", 1100)]
    stored = customer.run("""
        const [{ name }] = await indexedDB.databases();
        const open = indexedDB.open(name);
        await new Promise((resolve) => { open.onsuccess = resolve; });
        const count = open.result.transaction('entries').objectStore('entries').count();
        await new Promise((resolve) => { count.onsuccess = resolve; });
        open.result.close();
        return count.result;
    """)
    assert 0 < stored <= 200


# A tab that sleeps


def test_a_tab_that_sleeps_stays_and_hears_all(stack, customer, accounts):
    """Its script stands still for many pings, as a browser does it to tabs in the background."""
    agent = accounts.person("Kefu")
    customer.run("await adapter.sendMessage('hello', given[0])", agent["user_id"])
    devtools = customer.page.context.new_cdp_session(customer.page)
    with stack.chat(agent) as chat:
        chat.expect("Chat", content="hello")
        devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
        chat.send({"type": "Chat", "to_user_id": customer.person["user_id"], "content": "are you asleep?"})
        with pytest.raises(AssertionError, match="no UserLeft"):
            chat.expect("UserLeft", user_id=customer.person["user_id"], timeout=GONE_SECONDS + 1)
        devtools.send("Page.setWebLifecycleState", {"state": "active"})
        until(lambda: customer.texts() == ["are you asleep?"], "it has heard")
        assert customer.told("disconnected") == []
        assert customer.run("return (await adapter.sendMessage('no')).status") == "sent"


def test_a_laptop_that_sleeps_finds_everything_when_it_wakes(stack, behind, accounts):
    """Its connection is dead meanwhile, the gateway another one; it wakes slowly, as laptops do."""
    agent = accounts.person("Kefu")
    with Relay(stack.port) as relay, stack.chat(agent) as chat:
        page = behind(relay)
        user = page.person["user_id"]
        page.run("await adapter.sendMessage('hello', given[0])", agent["user_id"])
        devtools = page.page.context.new_cdp_session(page.page)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": 10})
        relay.hold()
        page.type(*texts("last words"))
        page.wait("(await adapter.getUnsent()).length === 5")
        devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
        # Who answers no ping has left.
        chat.expect("UserLeft", user_id=user, timeout=30)
        for text in texts("while you slept", 20):
            chat.send({"type": "Chat", "to_user_id": user, "content": text})
        for _ in range(20):
            chat.expect("Ack")
        with away(stack.gateway):
            relay.cut()
        relay.flow()
        devtools.send("Page.setWebLifecycleState", {"state": "active"})
        until(lambda: len(page.texts()) == 20, "what was missed comes", timeout=60)
        page.all_sent(timeout=60)
        assert page.texts() == texts("while you slept", 20)
        said = ["hello", *texts("while you slept", 20), *texts("last words")]
        assert logged(stack, accounts, page) == said == page.shown()


def test_a_hidden_tab_whose_timers_hardly_run_stays(stack, accounts):
    """By the browser's own rules for tabs that nobody looks at: a timer a minute, soon after it was hidden."""
    agent, person = accounts.person("Kefu"), accounts.create()
    hidden = Browser(
        f"http://localhost:{stack.port}",
        arguments=["--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1"],
        excluded=[
            "disable-background-timer-throttling", "disable-backgrounding-occluded-windows",
            "disable-renderer-backgrounding",
        ],
    )
    try:
        with stack.chat(agent) as chat:
            (stack.directory / "web/blank.html").write_text(BLANK)
            hidden.open(f"http://localhost:{stack.port}/blank.html")
            window = hidden.driver.current_window_handle
            kept = hidden.run("""
                const { EnterpriseAdapter } = await import('/services/enterprise-adapter.js');
                window.adapter = EnterpriseAdapter.getInstance({ heartbeatInterval: 1000 });
                window.told = [];
                for (const event of ['disconnected', 'message']) adapter.on(event, (data) => told.push([event, data]));
                await adapter.login(given[0], given[1], 'customer');
                await adapter.sendMessage('hello', given[2]);
                window.seen = { states: [], ticks: 0 };
                document.onvisibilitychange = () => seen.states.push([document.visibilityState, seen.ticks]);
                setInterval(() => { seen.ticks += 1; }, 100);
                return Object.entries(localStorage).flatMap(([, value]) => JSON.parse(value).id ?? []);
            """, person["user_id"], person["password"], agent["user_id"])
            assert len(kept) == 1
            stack.secrets.update(kept)
            chat.expect("Chat", content="hello")
            hidden.driver.switch_to.new_window("tab")
            chat.send({"type": "Chat", "to_user_id": person["user_id"], "content": "still there?"})
            with pytest.raises(AssertionError, match="no UserLeft"):
                chat.expect("UserLeft", user_id=person["user_id"], timeout=GONE_SECONDS + 3)
            hidden.driver.switch_to.window(window)
            (left, before), (back, after) = hidden.run("return seen.states")
            assert (left, back) == ("hidden", "visible")
            # (A hundred and more, if it were not for the browser.)
            assert after - before < 40
            told = hidden.run("return JSON.parse(JSON.stringify(told))")
            assert [(event, one["content"]) for event, one in told if one.get("kind") != "assigned"] == [
                ("message", "still there?"),
            ]
            assert hidden.run("return (await adapter.sendMessage('yes')).status") == "sent"
    finally:
        hidden.close()


# Uploads


def test_an_upload_survives_cut_connections_and_a_reload(stack, tab, accounts):
    person = accounts.create()
    size = 40 << 20
    cuts = [(count << 20, Relay.cut) for count in (5, 13, 26)]
    with Relay(stack.port, cuts) as relay:
        page = tab(origin=f"http://localhost:{relay.port}", chunkThreshold=1 << 20)
        page.login(person["user_id"], person["password"], "customer")
        upload = """
            const bytes = new Uint8Array(given[0]).map((_, index) => index * 7 + (index >> 8));
            const file = new File([bytes], 'film.bin', { lastModified: 1, type: 'application/octet-stream' });
            window.percents = [];
            const upload = adapter.uploadFile(file, (percent) => percents.push(percent));
        """
        page.run(upload + "void upload.catch(() => {})", size)
        page.wait("percents.at(-1) > 50", timeout=60)
        page.open()
        page.run("await adapter.resume()")
        before = relay.sent
        attachment = page.run(upload + "return await upload", size)
        assert attachment["size"] == size
        # It went on, and did not begin again: at most a part was sent twice.
        assert relay.sent - before < size * 0.6
        percents = page.run("return percents")
        assert percents == sorted(set(percents)) and percents[-1] == 100
        digest = page.run("""
            const answer = await fetch(await adapter.fileUrl(given[0]), { credentials: 'omit' });
            const bytes = new Uint8Array(await answer.arrayBuffer());
            return bytes.every((byte, index) => byte === ((index * 7 + (index >> 8)) & 255)) ? bytes.length : 'wrong';
        """, attachment["id"])
        assert digest == size
