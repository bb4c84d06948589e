"""Pages of a real browser that use the adapter: Chromium, driven by Playwright."""

import contextlib
import os
import shutil

from playwright.sync_api import sync_playwright

from waiting import until

# As root Chromium does not start with its sandbox; the stack runs on this machine.
ARGUMENTS = [
    "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server", *(["--no-sandbox"] if os.geteuid() == 0 else []),
]


@contextlib.contextmanager
def chromium(*arguments):
    """Debian's Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=[*ARGUMENTS, *arguments],
        )
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page with an adapter, and what the adapter has told it, in `window.told`."""

    EVENTS = (
        "message", "messageUpdated", "messageRemoved", "historyChanged", "connected", "disconnected", "state", "login",
        "logout", "sessionExpiring", "outbox", "typing", "presence", "queue", "conversation", "receipt", "unread",
        "notice", "error",
    )

    def __init__(self, context, origin, **config):
        self.page = context.new_page()
        self.problems = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.origin, self.config = origin, config
        self.open()

    def open(self):
        """(Re)loads the page and makes its adapter, without a session."""
        self.page.goto(f"{self.origin}/blank.html")
        self.page.evaluate(
            """async ([config, events]) => {
                const { EnterpriseAdapter } = await import('/services/enterprise-adapter.js');
                window.adapter = EnterpriseAdapter.getInstance(config);
                window.told = [];
                const plain = (data) => JSON.parse(JSON.stringify(data));
                for (const event of events) adapter.on(event, (data) => told.push([event, plain(data)]));
            }""",
            [self.config, self.EVENTS],
        )

    def run(self, script, *given):
        """Calls the body of an async function in the page; an `AdapterError` comes back as its members."""
        return self.page.evaluate(
            """async (given) => {
                try {
                    const result = await (async () => { %s })();
                    return result === undefined ? null : JSON.parse(JSON.stringify(result));
                } catch (error) {
                    if (error.name !== 'AdapterError') throw error;
                    const { code, field, rule, status, retryAfterMs, message } = error;
                    return { failed: { code, field, rule, status, retryAfterMs, message } };
                }
            }""" % script,
            list(given),
        )

    def login(self, username, password, role):
        user = self.run("return await adapter.login(...given)", username, password, role)
        self.connected()
        return user

    def connected(self, timeout=15):
        self.wait("adapter.isConnected", timeout)

    def wait(self, condition, timeout=15):
        """Until an expression is true in the page."""
        # (Playwright's own waiting evaluates text in the page, which its content security policy refuses.)
        until(lambda: self.page.evaluate(f"async () => Boolean({condition})"), condition, timeout, interval=0.05)

    def told(self, event):
        """What was told of an event, in order."""
        return self.run("return told.filter(([event]) => event === given[0]).map(([, data]) => data)", event)

    def texts(self, event="message"):
        return [message["content"] for message in self.told(event) if message["kind"] == "chat"]

    def type(self, *texts):
        """Sends messages one after the other without waiting for what comes of them."""
        self.run("given.forEach((text) => void adapter.sendMessage(text).catch(() => {}))", *texts)

    def all_sent(self, timeout=20):
        self.wait("(await adapter.getUnsent()).length === 0", timeout)

    def shown(self, query=None):
        """The texts that `getMessages` gives."""
        page = self.run("return await adapter.getMessages(given[0])", query or {})
        return [message["content"] for message in page["messages"] if message["kind"] == "chat"]

    def close(self):
        self.page.close()


@contextlib.contextmanager
def tabs_of(stack, browser):
    """Opens pages with an adapter, each in a context (a person's browser), and asserts that none had an error."""
    opened, contexts = [], []

    def make(context=None, origin=None, **config):
        if context is None:
            context = browser.new_context()
            contexts.append(context)
        opened.append(Tab(context, origin or f"http://localhost:{stack.port}", **config))
        return opened[-1]

    try:
        yield make
        assert [one.problems for one in opened if one.problems] == []
    finally:
        for context in contexts:
            context.close()
