"""The site's pages in Chromium, through nginx: customers, agents and an administrator at work."""

import io
import re

from PIL import Image

from page_fixtures import accounts, browser, nobody_else, stack, visitor
from people import NARROW
from waiting import until


def picture(size=(640, 480), noise=False):
    out = io.BytesIO()
    image = Image.effect_noise(size, 90) if noise else Image.effect_mandelbrot(size, (-2, -1.2, 1, 1.2), 40)
    image.convert("RGB").save(out, "PNG")
    return out.getvalue()


def test_a_guest_is_served_from_the_queue_to_the_end(accounts, visitor):
    guest = visitor("guest", viewport=NARROW)
    name = guest.guest("Mia")
    guest.write("Where is my order?")
    guest.see("#situation", "Nobody is here just now")
    first = visitor("first")
    first.agent(accounts.create("Kefu", user_name="Anna"))
    guest.see("#situation", "You are talking to Anna (online)")
    first.see("button.conversation", "Mia").click()
    first.see(".pane .bubble", "Where is my order?")
    first.see(".pane .event", "Anna serves this customer (has the most room)")
    guest.see(".own .marks.read")
    first.page.locator(".pane textarea").type("Let me see")
    guest.see(".typing", "Anna is typing")
    first.page.keyboard.press("Enter")
    guest.see(".other .bubble", "Let me see")

    # A picture, with its progress, and room for it before it has come.
    guest.page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                for (const bar of document.querySelectorAll('.tray progress')) seen.push(bar.value);
            }).observe(document.querySelector('.tray'), { subtree: true, childList: true, attributes: true });
        }"""
    )
    # So that there is something to be seen on the way.
    slow = guest.context.new_cdp_session(guest.page)
    slow.send("Network.enable")
    slow.send("Network.emulateNetworkConditions", {
        "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 600_000,
    })
    guest.page.set_input_files(
        "input[type=file]", {"name": "box.png", "mimeType": "image/png", "buffer": picture((800, 600), noise=True)}
    )
    guest.see(".tray img")
    guest.see(".own img.picture")
    slow.send("Network.emulateNetworkConditions", {
        "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
    })
    seen = guest.page.evaluate("() => seen")
    assert seen == sorted(seen) and any(0 < one < 99 for one in seen), seen
    shown = first.see(".pane img.picture")
    first.until("() => document.querySelector('.pane img.picture').naturalWidth === 800")
    assert (shown.get_attribute("width"), shown.get_attribute("height")) == ("280", "210")
    guest.see(".own .picture-button").click()
    guest.see("dialog .enlarged")
    guest.page.keyboard.press("Escape")
    guest.gone("dialog")
    # The same is there after a reload.
    before = [text for text in guest.bubbles()]
    guest.page.reload()
    guest.see(".own img.picture")
    assert guest.bubbles() == before and guest.user() == name
    guest.see("#situation", "You are talking to Anna")

    second = visitor("second")
    second.agent(accounts.create("Kefu", user_name="Bert"))
    first.page.keyboard.press("Alt+KeyP")
    first.see("dialog select").select_option(label="Bert (online)")
    first.page.fill("dialog input", "parcels are his")
    first.page.click("dialog .primary")
    guest.see(".event", "Passed on to Bert")
    guest.see("#situation", "You are talking to Bert")
    second.see("button.conversation", "Mia").click()
    second.page.keyboard.press("Alt+KeyI")
    second.see("dialog .decisions", "parcels are his")
    second.see("dialog .decisions", "Passed on to Bert")
    second.page.keyboard.press("Escape")
    second.write("It comes tomorrow.")
    guest.see(".other .bubble", "It comes tomorrow.")
    second.page.keyboard.press("Alt+KeyC")
    second.see("dialog", "Close the conversation with Mia?")
    second.page.click("dialog .primary")
    guest.see(".event", "The conversation was closed")
    guest.see("#situation", "The conversation was closed")
    for one, page in (("guest", guest), ("first", first), ("second", second)):
        page.picture(f"served-{one}")


def test_what_is_written_without_a_network_waits_and_is_sent_once(stack, accounts, visitor):
    guest, agent = visitor("guest"), visitor("agent")
    agent.agent(accounts.create("Kefu"))
    guest.guest("Offline")
    guest.write("before")
    guest.see(".marks.delivered, .marks.read")
    stack.nginx.stop()
    guest.see(".connection-bar", "No connection")
    guest.write("one")
    guest.write("two")
    guest.see(".own .footer", "Waiting to be sent")
    guest.see(".connection-bar", "2 unsent")
    guest.picture("offline")
    stack.nginx.start()
    guest.connected()
    guest.gone(".own .footer", "Waiting to be sent")
    agent.see("button.conversation", "Offline").click()
    agent.see(".pane .bubble", "two")
    assert [text for text in agent.bubbles() if text in ("before", "one", "two")] == ["before", "one", "two"]


def test_taken_back_in_both_pages(accounts, visitor):
    guest, agent = visitor("guest"), visitor("agent")
    agent.agent(accounts.create("Kefu"))
    guest.guest("Recall")
    guest.write("my secret number")
    agent.see("button.conversation", "Recall").click()
    agent.see(".pane .bubble", "my secret number")
    guest.see("button.recall").click()
    guest.see(".own.recalled", "You took a message back")
    agent.see(".pane .recalled", "This message was taken back")
    agent.gone(".pane .bubble", "my secret number")


def test_the_unread_are_counted_until_they_are_seen(accounts, visitor):
    agent, first, second = visitor("agent"), visitor("one"), visitor("two")
    agent.agent(accounts.create("Kefu"))
    first.guest("One")
    second.guest("Two")
    first.write("hello from one")
    second.write("hello from two")
    agent.see("button.conversation .badge")
    agent.until("() => document.title.startsWith('(2)')")
    agent.page.keyboard.press("Alt+KeyN")
    agent.see(".pane .bubble")
    agent.until("() => document.title.startsWith('(1)')")
    agent.page.keyboard.press("Alt+KeyN")
    # Both are open beside each other.
    agent.see(".pane:nth-of-type(2) .bubble")
    agent.until("() => !document.title.startsWith('(')")
    agent.see(".pane .bubble", "hello from one")
    agent.see(".pane .bubble", "hello from two")


def test_history_comes_as_one_scrolls_and_is_searched(stack, accounts, visitor):
    customer = accounts.person("Kehu", user_name="Long Story")
    with stack.chat(customer) as chat, stack.chat(customer) as other:
        for number in range(130):
            chat.send({"type": "Chat", "content": f"line {number}"})
        for _ in range(130):
            last = chat.expect("Ack", timeout=30)
        # Else the page would be sent all of it, as what this user's devices have missed.
        chat.send({"type": "Delivered", "conversation_id": last["conversation_id"], "seq": last["seq"]})
        other.expect("Delivered", seq=last["seq"], timeout=30)
    page = visitor("customer")
    page.customer(customer)
    page.see(".bubble", "line 129")
    shown = page.page.locator(".bubble").count()
    assert shown < 130
    for _ in range(4):
        page.page.locator(".scroller").evaluate("(scroller) => { scroller.scrollTop = 0; }")
        page.until(
            "(count) => document.querySelectorAll('.bubble').length > count || document.querySelector('.more').hidden",
            shown,
        )
        shown = page.page.locator(".bubble").count()
    assert [text for text in page.bubbles()] == [f"line {number}" for number in range(130)]
    agent = visitor("agent")
    agent.agent(accounts.create("Kefu"))
    agent.see("button.conversation", "Long Story").click()
    agent.see(".pane .bubble", "line 129")
    agent.page.keyboard.press("Alt+KeyS")
    agent.page.keyboard.type("line 7")
    agent.page.keyboard.press("Enter")
    agent.see(".search", "11 found")
    agent.see(".results button", "line 7").click()
    until(lambda: agent.page.locator(".results button").count() == 11, "all are listed")
    agent.page.locator(".results button").last.click()
    agent.see(".entry.found", "line 7")


def transferred(visitor, path, act):
    """The bytes of the bodies that came until `act` is done, as they came, which is compressed; by address."""
    page = visitor(f"load {path}")
    devtools = page.context.new_cdp_session(page.page)
    devtools.send("Network.enable")
    sizes, urls = {}, {}
    devtools.on("Network.responseReceived", lambda event: urls.update({event["requestId"]: event["response"]["url"]}))
    devtools.on("Network.dataReceived", lambda event: sizes.update({
        event["requestId"]: sizes.get(event["requestId"], 0) + event["encodedDataLength"],
    }))
    page.open(path)
    act(page)
    page.page.wait_for_load_state("networkidle")
    return {urls[one]: size for one, size in sizes.items() if one in urls}


def test_the_first_load_is_small_and_all_our_own(visitor):
    shown = transferred(visitor, "/", lambda page: page.see("#guest button"))
    assert len(shown) >= 5 and sum(shown.values()) < 12 * 1024, shown

    # All of the conversation, the adapter included, when one is begun.
    def begin(page):
        page.page.click("#guest button")
        page.see(".chat textarea")
        page.write("hello")
        page.see(".own .marks")

    begun = transferred(visitor, "/", begin)
    site = {url: size for url, size in begun.items() if not re.search(r"/(api|auth|ws)(/|\?|$)", url)}
    kinds = {re.sub(r".*[/.]", "", url) for url in site}
    # The page itself, its styles, its scripts, its drawings: everything but what the services answer.
    assert kinds == {"", "css", "js", "svg"} and len(site) > 30, kinds
    print(f"first load {sum(shown.values())} bytes, with the conversation {sum(site.values())}")
    assert sum(site.values()) < 60 * 1024, sorted(site.items(), key=lambda one: one[1])


def test_an_administrator_keeps_the_accounts(stack, accounts, visitor):
    root = accounts.create("Kefu", is_admin=True, user_name="Root")
    page = visitor("admin")
    page.admin(root)
    # Watching makes no agent of them.
    presence = stack.http("GET", f"/api/presence/{root['user_id']}", session=accounts.admin["session_id"]).json
    assert presence["users"][0]["status"] == "Offline"
    page.see(".figure svg[aria-label^='Queue: now']")
    page.picture("admin-live")
    page.page.click("nav a[href='#accounts']")
    page.page.click("text=New account")
    page.page.fill("dialog input >> nth=0", "new.agent")
    page.page.fill("dialog input >> nth=1", "a long password")
    page.page.fill("dialog input >> nth=2", "New Agent")
    page.page.select_option("dialog select", "Kefu")
    page.page.fill("dialog input[type=number]", "3")
    page.page.click("dialog .primary")
    page.see(".toast", "Account new.agent was created")
    page.page.fill("input[type=search]", "new.agent")
    page.page.keyboard.press("Enter")
    until(lambda: page.page.locator("tbody tr").count() == 1, "it alone is listed")
    login = stack.login("new.agent", "a long password")
    assert accounts.done("GET", "/api/users/new.agent")["capacity"] == 3
    page.page.click("[aria-label='Sessions: new.agent']")
    page.see("dialog tbody tr")
    page.page.click("dialog td button")
    page.see("dialog .table-box", "None.")
    assert stack.http("GET", "/auth/session", session=login["session_id"]).status == 401
    page.page.keyboard.press("Escape")
    page.page.click("[aria-label='Edit: new.agent']")
    page.page.check("dialog label:has-text('Disabled') input")
    page.page.select_option("dialog select", "Kehu")
    page.page.click("dialog .primary")
    page.see(".tag.bad", "Disabled")
    after = accounts.done("GET", "/api/users/new.agent")
    assert (after["disabled"], after["user_type"]) == (True, "Kehu")
    page.page.click("[aria-label='Edit: new.agent']")
    page.page.uncheck("dialog label:has-text('Disabled') input")
    page.page.click("dialog .primary")
    page.see(".tag:not(.bad)", "Active")
    page.page.click("[aria-label='Reset password: new.agent']")
    page.page.fill("dialog input", "password")
    page.page.click("dialog .primary")
    page.see("dialog .problem", "new_password")
    page.page.fill("dialog input", "another long password")
    page.page.click("dialog .primary")
    page.gone("dialog")
    assert stack.login("new.agent", "another long password")
    page.page.click("nav a[href='#audit']")
    page.see("tbody tr")
    page.page.select_option("#section select", "password_reset")
    page.page.fill("#section label:has-text('User') input", "new.agent")
    page.page.click("#section .primary")
    until(lambda: page.page.locator("tbody tr").count() == 1, "the one entry is found")
    assert root["user_id"] in page.page.locator("tbody tr").inner_text()


def test_others_do_not_get_into_the_admin_page(accounts, visitor):
    page = visitor("agent")
    page.open("/admin/")
    login = accounts.create("Kefu")
    page.page.fill("#user-name", login["user_id"])
    page.page.fill("#password", login["password"])
    page.page.click("#login button")
    page.see("#login-problem", "for administrators")


def test_agents_have_their_status_and_canned_replies(stack, accounts, visitor):
    agent, guest = visitor("agent"), visitor("guest")
    login = accounts.create("Kefu", capacity=4)
    agent.agent(login)
    agent.see(".me", "0 of 4 conversations")
    agent.page.select_option(".status select", "Away")
    path = f"/api/presence/{login['user_id']}"

    def status():
        return stack.http("GET", path, session=accounts.admin["session_id"]).json["users"][0]["status"]

    until(lambda: status() == "Away", "the status is set")
    guest.guest("Zoe")
    guest.write("anybody?")
    guest.see("#situation", "busy")
    agent.see("button.take").click()
    guest.see("#situation", "(away)")
    agent.page.keyboard.press("Alt+KeyR")
    agent.page.fill("dialog textarea", "Hello {name}, one moment please.")
    agent.page.click("dialog form button")
    agent.page.click("dialog .reply")
    agent.page.keyboard.press("Enter")
    guest.see(".other .bubble", "Hello Zoe, one moment please.")
    agent.see(".me", "1 of 4 conversations")
    agent.page.keyboard.press("Alt+KeyH")
    agent.see("dialog .keys")
    agent.page.reload()
    agent.see("button.conversation", "Zoe").click()
    agent.page.keyboard.press("Alt+KeyR")
    agent.see("dialog .reply", "Hello {name}")


def test_files_are_dropped_and_pasted(accounts, visitor):
    guest = visitor("guest")
    guest.guest("Files")
    give = """([kind, name]) => {
        const data = new DataTransfer();
        data.items.add(new File(['what is in it'], name, { type: 'text/plain' }));
        const rest = { bubbles: true, cancelable: true };
        const [target, event] = kind === 'paste'
            ? [document.querySelector('textarea'), new ClipboardEvent('paste', { clipboardData: data, ...rest })]
            : [document.querySelector('.chat'), new DragEvent('drop', { dataTransfer: data, ...rest })];
        target.dispatchEvent(event);
        return event.defaultPrevented;
    }"""
    for kind in ("paste", "drop"):
        assert guest.page.evaluate(give, [kind, f"{kind}.txt"])
        guest.see(".own .file", f"{kind}.txt")
    with guest.page.expect_download() as saved:
        guest.see(".own .file", "drop.txt").click()
    assert open(saved.value.path()).read() == "what is in it"


def test_a_text_that_is_too_long_comes_back_to_its_writer(visitor):
    guest = visitor("guest")
    guest.guest("Refused")
    guest.page.fill(".composer textarea", "x" * 10_001)
    guest.see(".composer", "1 characters too many")
    guest.page.keyboard.press("Enter")
    guest.see(".composer .problem", "too long")
    assert guest.page.locator(".bubble").count() == 0


def test_the_session_s_end_leads_to_the_beginning(accounts, visitor):
    customer = accounts.create("Kehu")
    page = visitor("customer")
    page.customer(customer)
    page.write("hello")
    page.see(".own .marks")
    accounts.done("DELETE", f"/api/users/{customer['user_id']}/sessions")
    page.see("#start-problem", "Your session has ended")
    page.see("#login button")
    assert page.page.evaluate("() => JSON.stringify(localStorage)").count(customer["password"]) == 0
