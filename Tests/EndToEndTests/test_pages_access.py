"""The site's pages for everybody: axe, sizes, widths, languages, schemes, the keyboard. With SCREENSHOTS, pictures of all."""

import itertools
import os

import pytest
from axe_playwright_python.sync_playwright import Axe

from accounts import Accounts
from pages import chromium
from people import NARROW, WIDE, visitors
from routing import Floor
from stack import stack_with
from test_pages import picture
from waiting import until

LOOKS = [
    (locale, scheme, name)
    for locale, scheme, name in itertools.product(("en-GB", "zh-CN"), ("light", "dark"), ("wide", "narrow"))
    # Each of them once; the rest is for those who look at the pictures.
    if os.environ.get("SCREENSHOTS") or (locale, scheme, name) in (("en-GB", "light", "wide"), ("zh-CN", "dark", "narrow"))
]
TALK = {
    "en-GB": ["Hello! My parcel says delivered, but it is not here.", "Order 10023, see https://shop.example/orders/10023",
              "I am sorry to hear that. I will ask the carrier at once.", "One moment, please."],
    "zh-CN": ["您好，我的包裹显示已签收，但我没有收到。", "订单号 10023，见 https://shop.example/orders/10023",
              "非常抱歉，我马上联系快递公司核实。", "请稍等片刻。"],
}
NAMES = {"en-GB": ("Emma Brown", "Anna Smith"), "zh-CN": ("赵敏", "李娜")}
# Buttons, links and fields whose smaller side is below 24 px (WCAG 2.5.8), links within a text apart.
SMALL = """() => [...document.querySelectorAll('button, a[href], input, select, textarea, summary, [role=button]')]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest('.text'))
    .map((one) => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0 && Math.min(box.width, box.height) < 23.9)
    .map(([html, box]) => `${html} ${box.width} x ${box.height}`)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def stack():
    with stack_with({"presence.leave_grace_ms": 100}) as one:
        yield one


@pytest.fixture(scope="module")
def browser(stack):
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def accounts(stack):
    return Accounts(stack)


@pytest.fixture(autouse=True)
def nobody_else(stack):
    Floor(stack).clear()


@pytest.fixture
def visitor(stack, browser):
    with visitors(stack, browser) as make:
        yield make


class Look:
    """Looks at pages in one language, scheme and width."""

    def __init__(self, locale, scheme, width, visitor):
        self.locale, self.width, self.visitor = locale, width, visitor
        self.label = f"{locale[:2]}-{scheme}-{width}"
        # axe is put into the page, which its policy would refuse.
        self.options = {
            "locale": locale, "color_scheme": scheme, "viewport": WIDE if width == "wide" else NARROW, "bypass_csp": True,
        }
        self.found = []

    def page(self, name):
        return self.visitor(f"{name} {self.label}", **self.options)

    def at(self, visitor, name):
        """Checks what is shown now."""
        visitor.picture(f"{name}-{self.label}")
        page = visitor.page
        results = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
        self.found += [
            f"{name}: {one['impact']} {one['id']}: {node['html'][:200]}"
            for one in results if one["impact"] in ("serious", "critical") for node in one["nodes"]
        ]
        self.found += [f"{name}: small: {one}" for one in page.evaluate(SMALL)]
        over = page.evaluate(OVERFLOW)
        if over > 0:
            self.found.append(f"{name}: scrolls sideways by {over} px")


@pytest.mark.parametrize("locale,scheme,width", LOOKS)
def test_every_view_is_fit_for_everybody(stack, accounts, visitor, locale, scheme, width):
    look = Look(locale, scheme, width, visitor)
    customer_name, agent_name = NAMES[locale]
    customer = look.page("customer").open("/")
    customer.see("#guest button")
    look.at(customer, "start")
    customer.page.click("#other-way")
    look.at(customer, "login")
    customer.page.click("#other-way")
    customer.page.fill("#guest-name", customer_name)
    customer.page.click("#guest button")
    customer.see(".chat textarea")
    customer.write(TALK[locale][0])
    customer.see(".own .marks.sent")
    look.at(customer, "waiting")

    agent = look.page("agent").open("/agent/")
    agent.see("#login button")
    look.at(agent, "agent-login")
    agent.agent(accounts.create("Kefu", user_name=agent_name, capacity=5))
    others = [accounts.person("Kehu", user_name=name) for name in ("Björn Ångström-Müller", "欧阳娜娜", "O'Neill")]
    for login in others:
        with stack.chat(login) as chat:
            chat.send({"type": "Chat", "content": TALK[locale][1]})
            chat.expect("Ack")
    agent.see("button.conversation", "O'Neill")
    agent.see("button.conversation .badge")
    look.at(agent, "agent-lists")
    agent.see("button.conversation", customer_name).click()
    agent.see(".pane .bubble", TALK[locale][0])
    customer.write(TALK[locale][1])
    for text in TALK[locale][2:]:
        agent.write(text)
    customer.see(".other .bubble", TALK[locale][3])
    customer.page.set_input_files("input[type=file]", [
        {"name": "front-door.png", "mimeType": "image/png", "buffer": picture()},
        {"name": "receipt-10023-with-a-rather-long-name.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 receipt"},
    ])
    agent.see(".pane .file")
    agent.see(".pane .picture")
    agent.until("() => document.querySelector('.pane .picture').naturalWidth > 0")
    agent.page.locator(".pane textarea").type("…")
    customer.see(".typing:not(:empty)")
    customer.until("() => document.querySelector('.picture').naturalWidth > 0")
    look.at(customer, "conversation")
    if width == "wide":
        for name in ("Björn", "欧阳"):
            agent.see("button.conversation", name).click()
            agent.see(".pane.active .bubble")
    look.at(agent, "agent-conversations")
    for key, name in (("KeyI", "routing"), ("KeyP", "transfer"), ("KeyC", "close"), ("KeyR", "replies"), ("KeyH", "help")):
        agent.page.keyboard.press(f"Alt+{key}")
        agent.see("dialog[open]")
        look.at(agent, f"agent-{name}")
        agent.page.keyboard.press("Escape")
        agent.gone("dialog")
    stack.nginx.stop()
    customer.write("…")
    customer.see(".connection-bar .plain, .connection-bar")
    look.at(customer, "offline")
    stack.nginx.start()
    customer.connected()
    customer.page.locator("#tools button").nth(1).click()
    customer.see("dialog[open]")
    look.at(customer, "leave")

    admin = look.page("admin").open("/admin/")
    admin.see("#login button")
    look.at(admin, "admin-login")
    admin.admin({"user_id": "support001", "password": "password123"})
    admin.see(".figure svg[aria-label]")
    until(lambda: admin.page.locator(".figure path.line[d]").count() == 5, "each figure has a line")
    look.at(admin, "admin-live")
    admin.page.click("nav a[href='#accounts']")
    admin.see("tbody tr")
    look.at(admin, "admin-accounts")
    admin.page.locator(".row-actions button").first.click()
    admin.see("dialog[open]")
    look.at(admin, "admin-edit")
    admin.page.keyboard.press("Escape")
    admin.page.locator(".row-actions button").nth(2).click()
    admin.see("dialog tbody tr")
    look.at(admin, "admin-sessions")
    admin.page.keyboard.press("Escape")
    admin.page.click("nav a[href='#audit']")
    admin.see("tbody tr")
    look.at(admin, "admin-audit")
    assert look.found == []


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
        "() => { const style = getComputedStyle(document.activeElement); return [style.outlineStyle, document.activeElement.tagName]; }"
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
