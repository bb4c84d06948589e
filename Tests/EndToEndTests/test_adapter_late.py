"""What of the adapter comes only when it is needed: not before, from where the rest came, and again after a failure."""

import re

import pytest

from adapter_pages import BLANK, accounts, note_sessions, tab
from browser import Site
from pages import Tab, chromium
from waiting import until

SETTINGS = {"auth.password_cost": 1}
# An origin that the stack's `allowed_origins` has, and the stack as a page of it knows it.
ELSEWHERE, BACKEND = "localhost:8004", "localhost:6006"
LATE = {"online-users.js", "uploads.js"}
UPLOAD = "return (await adapter.uploadFile(new File(['a'], given[0], { type: 'text/plain' }))).name"


@pytest.fixture(scope="module")
def elsewhere(stack):
    """Another site, with a page that loads the adapter from the stack's release folder, as from a CDN."""
    (stack.directory / "web/blank.html").write_text(BLANK)
    site = Site()
    site.files["/blank.html"] = ("text/html", b"<!doctype html><meta charset=utf-8><title>elsewhere</title>")
    yield site
    site.close()


@pytest.fixture(scope="module")
def browser(stack, elsewhere):
    rules = f"MAP {ELSEWHERE} 127.0.0.1:{elsewhere.port}, MAP {BACKEND} 127.0.0.1:{stack.port}"
    with chromium(f"--host-resolver-rules={rules}") as one:
        yield one


@pytest.fixture
def customer(accounts, tab):
    """A page whose customer has logged in; `loaded` lists the scripts that it asked for."""
    page = tab()
    page.loaded = []
    page.page.on("request", lambda request: request.resource_type == "script" and page.loaded.append(request.url))
    page.open()
    person = accounts.create()
    page.login(person["user_id"], person["password"], "customer")
    return page


def names(urls):
    return {url.rpartition("/")[2] for url in urls}


def test_uploads_come_with_the_first_upload(customer):
    customer.run("await adapter.sendMessage('hello')")
    assert "adapter-core.js" in names(customer.loaded) and not names(customer.loaded) & LATE
    customer.loaded.clear()
    assert customer.run(UPLOAD, "a.txt") == "a.txt"
    assert customer.run(UPLOAD, "b.txt") == "b.txt"
    assert names(customer.loaded) == {"uploads.js"}
    customer.run("return await new Promise((resolve) => adapter.subscribeToOnlineUsers(resolve, 'support'))")
    assert names(customer.loaded) == LATE


def test_uploads_that_do_not_come_are_asked_for_again(customer):
    refused = []

    def refuse(route):
        if len(refused) < 3:
            refused.append(route.request.url)
            route.abort("internetdisconnected")
        else:
            route.continue_()

    customer.page.route(re.compile("/services/uploads.js"), refuse)
    assert customer.run(UPLOAD, "a.txt") == "a.txt"
    assert len(refused) == 3


def test_uploads_that_never_come_fail_in_words_and_can_be_tried_again(customer):
    customer.run("Math.random = () => 0")
    customer.page.route(re.compile("/services/uploads.js"), lambda route: route.abort("internetdisconnected"))
    failed = customer.run(UPLOAD, "a.txt")["failed"]
    assert (failed["code"], failed["field"]) == ("network", "network")
    assert failed["rule"] == "uploads.js could not be loaded"
    customer.page.unroute(re.compile("/services/uploads.js"))
    assert customer.run(UPLOAD, "a.txt") == "a.txt"


def test_whoever_waits_for_uploads_can_end_it(customer):
    customer.page.route(re.compile("/services/uploads.js"), lambda route: route.abort("internetdisconnected"))
    failed = customer.run("""
        const controller = new AbortController();
        const upload = adapter.uploadFile(new File(['a'], 'a.txt'), () => {}, controller);
        controller.abort();
        return await upload;
    """)["failed"]
    assert failed["code"] == "aborted"


def test_who_is_online_is_told_although_its_code_came_late(customer):
    tries = []

    def refuse(route):
        tries.append(route.request.url)
        route.abort("internetdisconnected") if len(tries) < 3 else route.continue_()

    customer.page.route(re.compile("/services/online-users.js"), refuse)
    customer.run("window.lists = []; window.end = adapter.subscribeToOnlineUsers((users) => lists.push(users))")
    until(lambda: customer.run("return lists.length"), "the list is told", timeout=30)
    customer.run("end(); window.ended = lists.length; adapter.disconnect(); adapter.connect()")
    customer.connected()
    assert customer.run("return lists.length === ended")


class Foreign(Tab):
    """A page of another site; the adapter comes from a release folder of the stack's."""

    def open(self):
        self.page.goto(f"{self.origin}/blank.html")
        self.page.evaluate(
            """async ([from, backend]) => {
                const { EnterpriseAdapter } = await import(`${from}/services/enterprise-adapter.js`);
                window.adapter = EnterpriseAdapter.getInstance({ apiUrl: backend });
            }""",
            [self.config["release"], f"http://{BACKEND}"],
        )


def test_late_parts_come_from_the_release_folder_of_another_origin(stack, browser, accounts):
    release = re.search(r"/release/[0-9a-f]+", stack.http("GET", "/").body.decode()).group()
    context = browser.new_context()
    page = Foreign(context, f"http://{ELSEWHERE}", release=f"http://{BACKEND}{release}")
    person = accounts.create()
    page.login(person["user_id"], person["password"], "customer")
    assert page.run(UPLOAD, "a.txt") == "a.txt"
    scripts = page.run("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert f"http://{BACKEND}{release}/services/uploads.js" in scripts
    note_sessions(stack, page)
    assert page.problems == []
    context.close()
