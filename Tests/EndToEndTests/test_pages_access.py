"""The site's pages for everybody: axe, sizes, widths, languages, schemes, keys. With SCREENSHOTS, pictures of all."""

import contextlib
import itertools
import os
import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from browser import Site
from page_fixtures import accounts, nobody_else, visitor
from pages import chromium
from people import NARROW, WIDE
from routing import set_status
from stack import stack_with
from test_pages_widget import OPEN_SHADOWS
from test_pages import picture
from waiting import until

LANGUAGES, THEMES, WIDTHS = ("en-GB", "zh-CN"), ("light", "dark"), ("wide", "narrow")
# Every pair of two values is among four of the eight; SOAK=1 has all.
LOOKS = [
    (LANGUAGES[language], THEMES[theme], WIDTHS[width])
    for language, theme, width in itertools.product((0, 1), repeat=3)
    if os.environ.get("SOAK") == "1" or (language + theme + width) % 2 == 0
]
SHOP = "shop.test"
TALK = {
    "en-GB": ["Hello! My parcel says delivered, but it is not here.",
              "Order 10023, see https://shop.example/orders/10023",
              "I am sorry to hear that. I will ask the carrier at once.", "One moment, please."],
    "zh-CN": ["您好，我的包裹显示已签收，但我没有收到。", "订单号 10023，见 https://shop.example/orders/10023",
              "非常抱歉，我马上联系快递公司核实。", "请稍等片刻。"],
}
NAMES = {"en-GB": ("Emma Brown", "Anna Smith"), "zh-CN": ("赵敏", "李娜")}
REFUSED = {"en-GB": "This one is refused.", "zh-CN": "这一条会被拒绝。"}
# Buttons, links and fields whose smaller side is below 24 px (WCAG 2.5.8), links within a text apart.
SMALL = """() => [...document.querySelectorAll('button, a[href], input, select, textarea, summary, [role=button]')]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest('.text'))
    .map((one) => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0 && Math.min(box.width, box.height) < 23.9)
    .map(([html, box]) => `${html} ${box.width} x ${box.height}`)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def stack():
    with stack_with({"presence.leave_grace_ms": 100}, edge={"EDGE_FRAME_ANCESTORS": f"http://{SHOP}:*"}) as one:
        yield one


@pytest.fixture(scope="module")
def browser(stack):
    with chromium("--host-resolver-rules=MAP *.test 127.0.0.1") as one:
        yield one


class Look:
    """Looks at pages in one language, scheme and width."""

    def __init__(self, locale, scheme, width, visitor):
        self.locale, self.width, self.visitor = locale, width, visitor
        self.label = f"{locale[:2]}-{scheme}-{width}"
        self.options = {"locale": locale, "color_scheme": scheme, "viewport": WIDE if width == "wide" else NARROW}
        self.customer_name, self.agent_name = NAMES[locale]
        self.talk, self.refused = TALK[locale], REFUSED[locale]
        self.found = []

    def page(self, name):
        return self.visitor(f"{name} {self.label}", **self.options)

    def at(self, visitor, name, frame=None):
        """Checks what is shown now, in a frame of the page if one is given."""
        visitor.picture(f"{name}-{self.label}")
        page = frame or visitor.page
        results = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
        self.found += [
            f"{name}: {one['impact']} {one['id']}: {node['html'][:200]}"
            for one in results if one["impact"] in ("serious", "critical") for node in one["nodes"]
        ]
        self.found += [f"{name}: small: {one}" for one in page.evaluate(SMALL)]
        over = page.evaluate(OVERFLOW)
        if over > 0:
            self.found.append(f"{name}: scrolls sideways by {over} px")


@pytest.fixture(params=LOOKS, ids="-".join)
def look(request, visitor):
    one = Look(*request.param, visitor)
    yield one
    assert one.found == []


def begin(look):
    """A customer who has written, and nobody is there."""
    customer = look.page("customer")
    customer.refuse(look.refused)
    customer.open("/")
    customer.see("#guest button")
    look.at(customer, "start")
    customer.page.click("#other-way")
    look.at(customer, "login")
    customer.page.click("#other-way")
    customer.page.fill("#guest-name", look.customer_name)
    customer.page.click("#guest button")
    customer.see(".chat textarea")
    customer.write(look.talk[0])
    customer.see(".own .marks.sent")
    look.at(customer, "nobody")
    return customer


def agent_s_lists(look, stack, accounts):
    """An agent's console with a queue, and three who wait in it."""
    agent = look.page("agent").open("/agent/")
    agent.see("#login button")
    look.at(agent, "agent-login")
    login = accounts.person("Kefu", user_name=look.agent_name, capacity=5)
    set_status(stack, login, "Away")
    agent.agent(login)
    for name in ("Björn Ångström-Müller", "欧阳娜娜", "O'Neill"):
        with stack.chat(accounts.person("Kehu", user_name=name)) as chat:
            chat.send({"type": "Chat", "content": look.talk[1]})
            chat.expect("Ack")
    return agent


def files_and_talk(look, customer, agent):
    agent.see("button.conversation", look.customer_name).click()
    agent.see(".pane .bubble", look.talk[0])
    customer.write(look.talk[1])
    for text in look.talk[2:]:
        agent.write(text)
    customer.see(".other .bubble", look.talk[3])
    customer.page.set_input_files("input[type=file]", [
        {"name": "front-door.png", "mimeType": "image/png", "buffer": picture()},
        {"name": "receipt-10023-with-a-rather-long-name.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 "},
    ])
    agent.see(".pane .file")
    agent.see(".pane .picture")
    agent.until("() => document.querySelector('.pane .picture').naturalWidth > 0")
    agent.page.locator(".pane textarea").type("…")
    customer.see(".typing:not(:empty)")
    customer.until("() => document.querySelector('.picture').naturalWidth > 0")


def test_conversations_are_fit_for_everybody(stack, accounts, look):
    customer = begin(look)
    agent = agent_s_lists(look, stack, accounts)
    agent.see("button.conversation", look.customer_name)
    agent.see("button.take")
    # Somebody is there now, and not free.
    customer.write(look.talk[0])
    customer.see("#situation", re.compile("next|下一位"))
    look.at(customer, "queue")
    look.at(agent, "agent-queue")
    agent.page.select_option(".status select", "Online")
    agent.gone("button.take")
    agent.see("button.conversation .badge")
    files_and_talk(look, customer, agent)
    look.at(customer, "conversation")
    if look.width == "wide":
        for name in ("Björn", "欧阳"):
            agent.see("button.conversation", name).click()
            agent.see(".pane.active .bubble")
    look.at(agent, "agent-conversations")
    agent.page.keyboard.press("Alt+KeyS")
    agent.page.keyboard.type("10023")
    agent.page.keyboard.press("Enter")
    agent.see(".search .results button")
    look.at(agent, "agent-search")
    agent.page.keyboard.press("Escape")
    for key, name in zip("IPCRH", ("routing", "transfer", "close", "replies", "help")):
        agent.page.keyboard.press(f"Alt+Key{key}")
        agent.see("dialog[open]")
        look.at(agent, f"agent-{name}")
        agent.page.keyboard.press("Escape")
        agent.gone("dialog")
    if look.width == "narrow":
        agent.page.click(".back")
        agent.see("button.conversation")
        look.at(agent, "agent-lists")
    customer.write(look.refused)
    customer.see(".own .why")
    look.at(customer, "retry")
    customer.see(".picture-button").click()
    customer.see("dialog .enlarged")
    look.at(customer, "picture")
    customer.page.keyboard.press("Escape")
    stack.nginx.stop()
    customer.write(look.talk[1])
    customer.see(".connection-bar button")
    look.at(customer, "offline")
    stack.nginx.start()
    customer.connected()
    customer.page.locator("#tools button").nth(1).click()
    customer.see("dialog[open]")
    look.at(customer, "leave")


def test_the_administration_is_fit_for_everybody(stack, accounts, look):
    _, agent_name = NAMES[look.locale]
    agents = [accounts.person("Kefu", user_name=name, capacity=5) for name in (agent_name, "Björn Ångström-Müller")]
    customers = [accounts.person("Kehu", user_name=name) for name in ("O'Neill", "欧阳娜娜")]
    admin = look.page("admin").open("/admin/")
    admin.see("#login button")
    look.at(admin, "admin-login")
    with contextlib.ExitStack() as there:
        for login in (*agents, *customers):
            there.enter_context(stack.chat(login))
        admin.admin({"user_id": "support001", "password": "password123"})
        admin.see(".figure svg[aria-label]")
        until(lambda: admin.page.locator(".figure path.line[d]").count() == 5, "each figure has a line", 30)
        admin.see("tbody tr", agent_name)
        look.at(admin, "admin-live")
    admin.page.click("nav a[href='#accounts']")
    admin.see("tbody tr")
    look.at(admin, "admin-accounts")
    admin.page.click("form.filters .primary")
    admin.see("dialog[open]")
    look.at(admin, "admin-new")
    admin.page.keyboard.press("Escape")
    for number, name in enumerate(("edit", "reset", "sessions")):
        admin.page.locator(".row-actions button").nth(number).click()
        admin.see("dialog[open] tbody tr" if name == "sessions" else "dialog[open]")
        look.at(admin, f"admin-{name}")
        admin.page.keyboard.press("Escape")
        admin.gone("dialog")
    admin.page.click("nav a[href='#audit']")
    admin.see("tbody tr")
    look.at(admin, "admin-audit")


def test_the_widget_is_fit_for_everybody(stack, look):
    site = Site()
    script = f'<script src="http://localhost:{stack.port}/widget.js" async></script>'
    words = "<h1>Garden shop</h1><p>Spades, seeds and everything else for the garden, delivered tomorrow.</p>"
    style = "<style>body { font: 16px/1.5 Georgia, serif; margin: 3rem; color-scheme: light dark; }</style>"
    site.files["/"] = ("text/html", f'<!doctype html><html lang="en"><title>Garden shop</title>{style}<main>{words}'
                       f"</main>{script}".encode())
    try:
        page = look.visitor("shop", **look.options, around=site.origin(SHOP))
        page.page.add_init_script(OPEN_SHADOWS)
        page.page.goto(site.origin(SHOP))
        page.see("support-chat-widget button")
        look.at(page, "widget-closed")
        page.page.click("support-chat-widget button")
        page.page.frame_locator("iframe").locator("#guest button").wait_for()
        inside = next(one for one in page.page.frames if "/widget/" in one.url)
        look.at(page, "widget-open")
        look.at(page, "widget-start", inside)
        inside.locator("#guest button").click()
        inside.locator("textarea").fill(look.talk[0])
        inside.locator("textarea").press("Enter")
        inside.locator(".own .marks.sent").wait_for()
        look.at(page, "widget-conversation", inside)
    finally:
        site.close()


def test_all_of_a_conversation_by_keyboard(accounts, visitor):
    agent = visitor("agent")
    agent.agent(accounts.create("Kefu"))
    page = visitor("customer").open("/")
    page.see("#guest button")
    keyboard = page.page.keyboard
    # The name has the focus; the button is next.
    keyboard.type("Kim")
    keyboard.press("Enter")
    page.see(".chat textarea")
    page.until("() => document.activeElement.matches('textarea')")
    keyboard.type("first line")
    keyboard.press("Shift+Enter")
    keyboard.type("second line")
    keyboard.press("Enter")
    page.see(".own .bubble", "second line")
    page.see(".own .marks")
    agent.see("button.conversation .badge")
    agent.page.keyboard.press("Alt+KeyN")
    agent.see(".pane .bubble", "first line")
    agent.page.keyboard.type("hello Kim")
    agent.page.keyboard.press("Enter")
    page.see(".other .bubble", "hello Kim")
    # What came is said to those who do not see it.
    page.see(".unseen[role=status]", "hello Kim", state="attached")
    for _ in range(12):
        keyboard.press("Shift+Tab")
        if page.page.evaluate("() => document.activeElement.matches('.recall')"):
            break
    keyboard.press("Enter")
    page.see(".own.recalled")
    focus = page.page.evaluate(
        "() => [getComputedStyle(document.activeElement).outlineStyle, document.activeElement.tagName]"
    )
    assert focus[1] != "BODY", focus


def test_nothing_moves_for_those_who_want_that(visitor):
    page = visitor("still", reduced_motion="reduce").open("/")
    page.see("#guest button")
    moving = page.page.evaluate(
        """() => [...document.querySelectorAll('*')].filter((one) => {
            const style = getComputedStyle(one);
            return style.transitionDuration !== '0s' || style.animationName !== 'none';
        }).length"""
    )
    assert moving == 0
