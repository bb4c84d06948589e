"""What people write, call themselves or call their files is text, in every page that shows it, whatever it would be."""

import contextlib
import re

import pytest

from page_fixtures import accounts, browser, nobody_else, stack
from people import visitors
from test_pages import picture
from waiting import until

CORPUS = [
    "<script>alert(1)</script>", "<img src=probe onerror=alert(2)>", "<svg/onload=alert(3)>",
    "\"><script src=/probe></script>", "javascript:alert(5)", "<a href=\"javascript:alert(6)\">x</a>",
    "<iframe srcdoc='<script>alert(7)</script>'></iframe>", "{{constructor.constructor('alert(8)')()}}", "${alert(9)}",
    "<style>@import '/probe';*{display:none}</style>", "&lt;b&gt;&amp;amp;",
    "<math><mi xlink:href=\"data:x,<script>alert(10)</script>\">", "https://example.com/\"onmouseover=\"alert(11)",
    "<details open ontoggle=alert(12)>", "</p></li></ol><h1>out</h1>", "' onfocus=alert(13) autofocus='",
    "<link rel=stylesheet href=/probe>", "<meta http-equiv=refresh content='0;url=/probe'>", "<base href=/probe/>",
    "<object data=/probe></object><embed src=/probe>", "\u202e<b>turned</b>\u2066",
    "<template shadowrootmode=open><img src=/probe></template>",
]
# As names: not all that is good for a message is one.
NAMES = [text for text in CORPUS if len(text) <= 128 and not re.search(r"[\u202e\u2066]", text)]
FILES = [text for text in NAMES if not re.search(r"[/\\\\]", text)]
# Elements that the pages have none of where people's words stand, and attributes that they have nowhere.
STRANGE = """() => [...document.querySelectorAll(`body script, iframe, body style, body link, body meta, base, object,
    embed, math, template, body b, body h1 h1, details[ontoggle], [onerror], [onload], [onfocus], [onmouseover],
    [ontoggle], [autofocus], [srcdoc], img[src*=probe], a[href^=javascript], li h1, td h1, p h1`)]
    .map((one) => one.outerHTML)"""


@pytest.fixture
def visitor(stack, browser):
    """Visitors whose pages ask nobody for anything that the corpus would have them ask for. (Errors, dialogs and
    requests to others count for every visitor.)"""
    asked, opened = [], []

    def open_one(*given, **options):
        one = make(*given, **options)
        one.page.on("request", lambda request: "probe" in request.url and asked.append(request.url))
        opened.append(one)
        return one

    with visitors(stack, browser) as make:
        yield open_one
        for one in opened:
            assert one.page.evaluate(STRANGE) == [], one.name
        assert asked == []


def shown(page, selector):
    return page.page.locator(selector).all_inner_texts()


def test_messages_and_names_of_files(accounts, visitor):
    guest, agent = visitor("guest"), visitor("agent")
    agent.agent(accounts.create("Kefu", user_name=CORPUS[1]))
    guest.guest(CORPUS[0])
    for text in CORPUS:
        guest.write(text)
    for name in FILES:
        guest.page.set_input_files(
            ".chat input[type=file]", {"name": name, "mimeType": "text/html", "buffer": b"<script>alert(20)</script>"}
        )
    # In a frame the name of a picture is its alternative text.
    image = "\"onload=\"alert(21).png"
    guest.page.set_input_files(
        ".chat input[type=file]", {"name": image, "mimeType": "image/png", "buffer": picture((60, 40))}
    )
    agent.see("button.conversation", "<script>").click()
    agent.see(".pane h2", CORPUS[0])
    agent.see(".pane .picture")
    guest.see("#situation", CORPUS[1])
    for page in (guest, agent):
        until(lambda: len(shown(page, ".bubble .file .file-name")) == len(FILES), "the files have come", 30)
        assert [text for text in CORPUS if text not in shown(page, ".bubble .text")] == []
        assert sorted(shown(page, ".bubble .file .file-name")) == sorted(FILES)
        assert page.page.locator(".bubble img.picture").get_attribute("alt") == image
        assert page.page.evaluate(STRANGE) == []
        # No link that is not the web's.
        assert all(
            href.startswith(("https://", "http://"))
            for href in page.page.eval_on_selector_all(".bubble a", "(links) => links.map((link) => link.href)")
        )
    # What is found, and what is enlarged.
    agent.page.keyboard.press("Alt+KeyS")
    agent.page.keyboard.type("alert(")
    agent.page.keyboard.press("Enter")
    agent.see(".results button", "alert(13)")
    guest.see(".picture-button").click()
    guest.see("dialog h2", "alert(21)")


def test_names_of_customers_and_of_agents(stack, accounts, visitor):
    agent = visitor("agent")
    agent.agent(accounts.create("Kefu", user_name=NAMES[0], capacity=100))
    customers = [accounts.person("Kehu", user_name=name) for name in NAMES]
    agents = [accounts.person("Kefu", user_name=name) for name in NAMES]
    with contextlib.ExitStack() as there:
        for login, text in zip(customers, NAMES):
            chat = there.enter_context(stack.chat(login))
            chat.send({"type": "Chat", "content": text})
            chat.expect("Ack")
        for name in NAMES:
            agent.see("button.conversation .who", name)
            agent.see("button.conversation .preview", name)
        for login in agents:
            there.enter_context(stack.chat(login))
        agent.see("button.conversation").click()
        agent.see(".pane .bubble")
        agent.page.keyboard.press("Alt+KeyP")
        agent.see("dialog select")
        # The dialog lists who is there when it is opened.
        listed = set(shown(agent, "dialog option"))
        assert {one for one in listed if one.startswith("<")}, listed
        note = CORPUS[5]
        agent.page.select_option("dialog select", agents[1]["user_id"])
        agent.page.fill("dialog input", note)
        agent.page.click("dialog .primary")
        agent.see(".event", NAMES[1])
        agent.page.keyboard.press("Alt+KeyI")
        agent.see("dialog .decisions .note", note)
        agent.see("dialog .decisions", NAMES[1])

        admin = visitor("admin")
        admin.admin(accounts.create("Kefu", is_admin=True, user_name=NAMES[1]))
        admin.see("#who", NAMES[1])
        for name in NAMES:
            admin.see("tbody td", name)
        assert admin.page.evaluate(STRANGE) == []
        admin.page.click("nav a[href='#accounts']")
        for name in NAMES:
            admin.see("tbody td", name)
        admin.page.click(f"[aria-label='Edit: {agents[1]['user_id']}']")
        admin.until("(name) => document.querySelector('dialog form input').value === name", NAMES[1])
        admin.page.keyboard.press("Escape")
        assert admin.page.evaluate(STRANGE) == []
        # A failed login names whoever it likes; the browser of a session says what it likes.
        stack.http("POST", "/auth/login", json={"username": CORPUS[0], "password": "x", "user_type": "Kehu"})
        admin.page.click("nav a[href='#audit']")
        admin.see("tbody tr")


def test_canned_replies_and_what_is_said_in_passing(accounts, visitor):
    guest, agent = visitor("guest"), visitor("agent")
    agent.agent(accounts.create("Kefu", user_name=NAMES[1]))
    guest.guest(NAMES[0])
    guest.write("hello")
    # In passing.
    agent.see(".toast", NAMES[0])
    agent.see("button.conversation").click()
    agent.see(".pane .bubble", "hello")
    agent.page.keyboard.press("Alt+KeyR")
    for text in CORPUS:
        agent.page.fill("dialog textarea", f"{text} {{name}}")
        agent.page.click("dialog form button")
        agent.see("dialog .reply", text)
    assert shown(agent, "dialog .reply") == [f"{text} {{name}}" for text in CORPUS]
    assert agent.page.evaluate(STRANGE) == []
    agent.page.locator("dialog .reply").first.click()
    agent.page.keyboard.press("Enter")
    guest.see(".other .bubble", f"{CORPUS[0]} {NAMES[0]}")
    agent.page.reload()
    agent.see("button.conversation").click()
    agent.page.keyboard.press("Alt+KeyR")
    assert shown(agent, "dialog .reply") == [f"{text} {{name}}" for text in CORPUS]
    agent.page.keyboard.press("Escape")
    agent.page.keyboard.press("Alt+KeyC")
    agent.see("dialog", NAMES[0])
