"""People at the site's own pages, each with a browser profile of their own; what goes wrong in a page is kept."""

import contextlib
import json
import os
import pathlib
import re

from waiting import until

WIDE, NARROW = {"width": 1920, "height": 1000}, {"width": 360, "height": 740}
# What Chromium says of every request that fails: the tests cut networks, and are refused things, on purpose.
EXPECTED = re.compile(r"Failed to load resource|net::ERR_")
# Every refusal by a page's policy, in its frames too, is an error in its console.
POLICY = """addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) =>
    console.error(`refused by the policy: ${violatedDirective} ${blockedURI} ${sample}`));"""


class Visitor:
    """A page, and everything in it that should not be: errors, refusals by its policy, requests to others."""

    def __init__(self, context, origin, name, around=None):
        """`around` is the origin of a page that has ours in a frame."""
        self.context, self.origin, self.name = context, origin, name
        self.own = tuple(f"{one}/" for one in (origin, around) if one)
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.add_init_script(POLICY)
        self.problems, self.foreign, self.dialogs = [], [], []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", self._request)
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def _console(self, message):
        if message.type in ("error", "warning") and not EXPECTED.search(message.text):
            self.problems.append(message.text)

    def _request(self, request):
        if not request.url.startswith((*self.own, "data:", "blob:")):
            self.foreign.append(request.url)

    def open(self, path):
        self.page.goto(self.origin + path)
        return self

    def refuse(self, text, times=1):
        """Has the server refuse the first messages of that text, as it would one that it has a rule against. To be
        called before the page is opened."""
        left = {text: times}

        def between(socket):
            server = socket.connect_to_server()

            def sent(data):
                frame = json.loads(data)
                if frame["type"] != "Chat" or left.get(frame["content"], 0) == 0:
                    return server.send(data)
                left[frame["content"]] -= 1
                refusal = {"type": "Error", "code": "forbidden", "message": "not this", "client_id": frame["client_id"]}
                socket.send(json.dumps(refusal))

            socket.on_message(sent)

        self.page.route_web_socket(re.compile(r"/ws(\?|$)"), between)

    def see(self, selector, text=None, **options):
        """Waits until it is shown."""
        found = self.page.locator(selector, has_text=text).first if text else self.page.locator(selector).first
        found.wait_for(**options)
        return found

    def gone(self, selector, text=None):
        found = self.page.locator(selector, has_text=text) if text else self.page.locator(selector)
        until(lambda: found.count() == 0 or not found.first.is_visible(), f"{selector} {text or ''} is gone", 30)

    def until(self, expression, *given, timeout=30):
        """Until a function of JavaScript is true. (Playwright's own waiting is refused by the pages' policy.)"""
        until(lambda: self.page.evaluate(expression, *given), expression, timeout, interval=0.05)

    def write(self, text):
        self.page.fill(".pane.active .composer textarea, .chat .composer textarea", text)
        self.page.keyboard.press("Enter")

    def bubbles(self):
        return self.page.locator(".bubble").all_inner_texts()

    def picture(self, name):
        """Keeps how the page looks, where SCREENSHOTS says."""
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            self.until("() => [...document.images].every((image) => image.complete || !image.src)")
            self.page.screenshot(path=f"{folder}/{name}.png")

    # Who they are

    def guest(self, name=""):
        self.open("/")
        self.page.fill("#guest-name", name)
        self.page.click("#guest button")
        self.see(".chat textarea")
        return self.user()

    def customer(self, login):
        self.open("/")
        self.page.click("#other-way")
        self._log_in(login)
        self.see(".chat textarea")

    def agent(self, login):
        self.open("/agent/")
        self._log_in(login)
        self.see(".console .lists")
        self.connected()

    def admin(self, login):
        self.open("/admin/")
        self._log_in(login)
        self.see("#section .figures")

    def _log_in(self, login):
        self.page.fill("#user-name", login["user_id"])
        self.page.fill("#password", login["password"])
        self.page.click("#login button")

    def user(self, profile="customer"):
        """Whom the page's session is of."""
        found = self.page.evaluate(
            "(profile) => Object.entries(localStorage).find(([key]) => key.endsWith(':' + profile))?.[1]", profile
        )
        return json.loads(found)["user"]["id"]

    def connected(self):
        self.until("() => Boolean(document.querySelector('.connection-bar[hidden]'))")


@contextlib.contextmanager
def visitors(stack, browser):
    """Makes visitors; at the end none of their pages may have had a problem."""
    made = []

    def make(name="visitor", context=None, around=None, **options):
        own = context or browser.new_context(**{"locale": "en-GB", "viewport": WIDE, **options})
        made.append(Visitor(own, f"http://localhost:{stack.port}", name, around))
        return made[-1]

    try:
        yield make
        for one in made:
            assert (one.problems, one.foreign, one.dialogs) == ([], [], []), (one.name, one.problems, one.foreign)
    finally:
        for one in made:
            with contextlib.suppress(Exception):
                one.context.close()
