"""The chat in the corner of other sites' pages: where its frame may keep something, and where it may not."""

import contextlib
import json
import pathlib
import shutil
import tempfile

import pytest

from accounts import Accounts
from browser import Site
from pages import ARGUMENTS, chromium
from people import EXPECTED, NARROW, POLICY, visitors
from routing import Floor
from stack import stack_with
from waiting import until

SHOP = "shop.test"
NAMES = "--host-resolver-rules=MAP *.test 127.0.0.1"
OPEN, CLOSE = "Open the support chat", "Close the support chat"
# The widget's inside is closed to its page; it is open to the test.
OPEN_SHADOWS = """
    const make = Element.prototype.attachShadow;
    Element.prototype.attachShadow = function () { return make.call(this, { mode: 'open' }); };
"""
# What the shop's own scripts can get hold of.
LISTENER = """
    window.heard = [];
    addEventListener('message', ({ data }) => heard.push(JSON.stringify(data)), true);
"""
KEPT = """async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href,
    (await indexedDB.databases()).map(({ name }) => name), heard])"""


@pytest.fixture(scope="module")
def stack():
    with stack_with({"presence.leave_grace_ms": 100}, edge={"EDGE_FRAME_ANCESTORS": f"http://{SHOP}:*"}) as one:
        yield one


@pytest.fixture(scope="module")
def accounts(stack):
    return Accounts(stack)


@pytest.fixture(autouse=True)
def nobody_else(stack):
    Floor(stack).clear()


@pytest.fixture(scope="module")
def browser(stack):
    with chromium(NAMES) as one:
        yield one


@pytest.fixture
def visitor(stack, browser):
    with visitors(stack, browser) as make:
        yield make


@pytest.fixture
def shop(stack):
    """A page of another site with the chat in its corner."""
    site = Site()
    script = f'<script src="http://localhost:{stack.port}/widget.js" data-lang="en" async></script>'
    site.files["/"] = ("text/html", f"<!doctype html><title>shop</title><body><h1>A shop</h1>{script}".encode())
    yield site
    site.close()


@contextlib.contextmanager
def everyday_browser(browser):
    """A browser as most people have it: a frame of another site keeps what it likes, apart for each site around it.
    (Debian's refuses such a frame all storage unless its profile says otherwise, and so does a private window.)"""
    directory = tempfile.mkdtemp(prefix="support-chat-profile-")
    preferences = pathlib.Path(directory) / "Default" / "Preferences"
    preferences.parent.mkdir()
    preferences.write_text(json.dumps({"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}))
    try:
        context = browser.browser_type.launch_persistent_context(
            directory, executable_path=shutil.which("chromium"), headless=True, args=[*ARGUMENTS, NAMES],
        )
        try:
            yield context
        finally:
            context.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Shopper:
    """Somebody at the shop's page, and what is in it that should not be."""

    def __init__(self, context, origin):
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.problems, self.sessions = [], set()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.sessions.add(request.headers.get("x-session-id")))
        self.page.add_init_script(OPEN_SHADOWS + LISTENER + POLICY)
        self.page.goto(origin)

    def _console(self, message):
        if message.type in ("error", "warning") and not EXPECTED.search(message.text):
            self.problems.append(message.text)

    @property
    def frame(self):
        return self.page.frame_locator("iframe")

    @property
    def inside(self):
        return next(one for one in self.page.frames if "/widget/" in one.url)

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def see(self, name):
        self.page.get_by_role("button", name=name, exact=True).wait_for()

    def begin(self, name, text):
        self.press(OPEN)
        self.frame.locator("#guest-name").fill(name)
        self.frame.locator("#guest button").click()
        self.write(text)

    def write(self, text):
        self.frame.locator("textarea").fill(text)
        self.frame.locator("textarea").press("Enter")
        self.frame.locator(".own .bubble", has_text=text).wait_for()

    def keeps_nothing_of_it(self, *secret):
        """Neither the session nor whose it is has come to the page around."""
        kept = self.page.evaluate(KEPT)
        sessions = self.sessions - {None}
        assert sessions and "unread" in kept, (sessions, kept)
        assert [one for one in (*sessions, *secret) if one in kept] == []


def test_where_its_frame_may_keep_something(accounts, browser, visitor, shop):
    agent = visitor("agent")
    agent.agent(accounts.create("Kefu"))
    with everyday_browser(browser) as context:
        shopper = Shopper(context, shop.origin(SHOP))
        shopper.begin("Paula", "from the shop")
        agent.see("button.conversation", "Paula").click()
        agent.see(".pane .bubble", "from the shop")
        shopper.frame.get_by_role("button", name="Minimise").click()
        shopper.see(OPEN)
        agent.write("are you there?")
        shopper.see(f"{OPEN} (1 unread)")
        # The site's next page takes the conversation up again, and says so before it is opened.
        shopper.page.reload()
        shopper.press(f"{OPEN} (1 unread)")
        shopper.frame.locator(".bubble", has_text="are you there?").wait_for()
        shopper.see(CLOSE)
        shopper.keeps_nothing_of_it("guest-", "Paula", "from the shop")
        # Escape, in the frame too, puts it away, and the focus back.
        shopper.frame.locator("textarea").press("Escape")
        shopper.see(OPEN)
        until(lambda: shopper.page.evaluate("() => document.activeElement.localName") == "support-chat-widget", "focus")
        assert shopper.problems == []


def test_where_its_frame_is_refused_all_storage(accounts, browser, visitor, shop):
    agent = visitor("agent")
    agent.agent(accounts.create("Kefu"))
    context = browser.new_context()
    try:
        shopper = Shopper(context, shop.origin(SHOP))
        shopper.begin("Quinn", "nothing is kept")
        refused = shopper.inside.evaluate(
            """async () => {
                const tried = { localStorage: () => localStorage, sessionStorage: () => sessionStorage,
                    indexedDB: () => new Promise((resolve, reject) => {
                        const opening = indexedDB.open('tried');
                        opening.onsuccess = resolve;
                        opening.onerror = () => reject(opening.error);
                    }) };
                const refused = [];
                for (const [name, work] of Object.entries(tried)) {
                    try { await work(); } catch { refused.push(name); }
                }
                return refused;
            }"""
        )
        assert refused == ["localStorage", "sessionStorage", "indexedDB"]
        agent.see("button.conversation", "Quinn").click()
        agent.see(".pane .bubble", "nothing is kept")
        agent.write("I see it")
        shopper.frame.locator(".other .bubble", has_text="I see it").wait_for()
        shopper.frame.locator("input[type=file]").set_input_files(
            {"name": "list.txt", "mimeType": "text/plain", "buffer": b"what I want"}
        )
        agent.see(".pane .file", "list.txt")
        # As long as the page is there, so is the conversation: put away, told of what comes, and taken out again.
        shopper.frame.get_by_role("button", name="Minimise").click()
        agent.write("anything else?")
        shopper.press(f"{OPEN} (1 unread)")
        shopper.frame.locator(".other .bubble", has_text="anything else?").wait_for()
        shopper.write("no, thanks")
        agent.see(".pane .bubble", "no, thanks")
        shopper.keeps_nothing_of_it("guest-", "Quinn", "nothing is kept")
        # The next page begins anew.
        shopper.page.reload()
        shopper.press(OPEN)
        shopper.frame.locator("#guest button").wait_for()
        assert "Quinn" not in shopper.inside.evaluate("() => document.body.innerText")
        assert shopper.problems == []
    finally:
        context.close()


def test_it_can_be_closed_where_it_covers_all_and_does_not_load(browser, shop):
    context = browser.new_context(viewport=NARROW)
    try:
        context.route("**/widget/**", lambda route: route.abort())
        shopper = Shopper(context, shop.origin(SHOP))
        shopper.press(OPEN)
        shopper.press(CLOSE)
        shopper.see(OPEN)
        # Once it is there, it has a button of its own, and all of the screen.
        context.unroute_all()
        shopper.page.reload()
        shopper.press(OPEN)
        shopper.frame.locator("#guest button").wait_for()
        shopper.page.get_by_role("button", name=CLOSE, exact=True).wait_for(state="hidden")
        shopper.frame.get_by_role("button", name="Minimise").click()
        shopper.see(OPEN)
    finally:
        context.close()


def test_it_is_not_for_everybody_s_pages(browser, shop):
    context = browser.new_context()
    try:
        shopper = Shopper(context, shop.origin("evil.test"))
        shopper.press(OPEN)
        until(
            lambda: (shopper.page.title(), any("frame-ancestors" in one for one in shopper.problems))[1],
            "the frame is refused", 30,
        )
    finally:
        context.close()
