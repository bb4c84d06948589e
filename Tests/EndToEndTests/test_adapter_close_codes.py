"""Every row of the close codes' catalogue as the adapter has it in Chromium: why, and whether it comes back."""

import contextlib
import json
import re
import threading

import pytest
from websockets.sync.server import serve

from adapter_pages import BLANK, accounts, browser, note_sessions, tab
from accounts import Accounts
from raw_socket import TEXT, frame
from relay import Relay
from stack import ROOT, stack_with
from waiting import until

SETTINGS = {"gateway.ping_interval_ms": 2000, "gateway.connections_per_user": 2, "auth.password_cost": 1}


@pytest.fixture
def relay(stack):
    with Relay(stack.port) as one:
        yield one


@pytest.fixture
def customer(stack, accounts, tab, relay):
    """A page whose customer is connected through the relay, and sends nothing by itself."""
    person = accounts.create()
    page = tab(origin=f"http://localhost:{relay.port}", heartbeatInterval=0)
    page.person = person
    page.login(person["user_id"], person["password"], "customer")
    note_sessions(stack, page)
    return page


def drained(stack, **_):
    assert stack.gateway.stop() == 0
    stack.gateway.start()


def others_connect(stack, accounts, customer, **_):
    login = accounts.login(customer.person)
    with stack.chat(login) as one, stack.chat(login) as another:
        one.settle()
        another.settle()


def ended(accounts, customer, **_):
    accounts.done("DELETE", f"/api/users/{customer.person['user_id']}/sessions")


def by_socket(script):
    return lambda customer, **_: customer.run(script)


def by_wire(data):
    """What no browser sends comes from the relay."""
    return lambda relay, **_: relay.inject(data)


# Each by the real gateway: a code, what brings it about, the reason that is told, whether the adapter comes back.
CATALOGUE = {
    "drain": (1001, drained, "drain", True),
    "not masked": (1002, by_wire(b"\x81\x01A"), "protocol", False),
    "binary": (1003, by_socket("adapter.ws.ws.send(new Uint8Array([0, 1]))"), "protocol", False),
    "not UTF-8": (1007, by_wire(frame(TEXT, b"\xff\xfe")), "protocol", False),
    "refused": (1008, by_socket("for (let n = 0; n < 21; n += 1) adapter.ws.ws.send('{}')"), "policy", False),
    "large": (1009, by_socket("adapter.ws.ws.send('x'.repeat(128 * 1024 + 1))"), "too_large", True),
    "ended": (4401, ended, "session_ended", False),
    # The browser's pongs do not arrive.
    "silent": (4408, lambda relay, **_: relay.hold("up"), "heartbeat", True),
    "replaced": (4409, others_connect, "replaced", False),
}
# `test_1013_…` has a stack of its own.
ELSEWHERE = {1013}


def test_the_catalogue_is_whole():
    table = (ROOT / "Services/gateway/PROTOCOL.md").read_text().partition("## Close codes")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| ([\d, ]+) \|.*\| ([^|]+) \|$", table, re.M))
    listed = {int(code): not again.startswith("no") for codes, again in rows.items() for code in codes.split(", ")}
    assert listed == {**{code: again for code, _, _, again in CATALOGUE.values()}, **dict.fromkeys(ELSEWHERE, True)}


@pytest.mark.parametrize("what", CATALOGUE)
def test_a_close_code(stack, accounts, customer, relay, what):
    code, cause, reason, comes_back = CATALOGUE[what]
    customer.run("await adapter.sendMessage('before')")
    cause(stack=stack, accounts=accounts, customer=customer, relay=relay)
    until(lambda: customer.told("disconnected"), "the loss is told", timeout=30)
    relay.flow()
    told = customer.told("disconnected")[0]
    assert (told["code"], told["reason"], told["willReconnect"]) == (code, reason, comes_back)
    assert (told["retryAt"] is not None) == comes_back
    if code == 4401:
        assert customer.told("logout") == [{"reason": "session_ended"}]
        customer.login(customer.person["user_id"], customer.person["password"], "customer")
        note_sessions(stack, customer)
    elif not comes_back:
        assert customer.run("return adapter.state") == "stopped"
        # It waits meanwhile; only whoever uses the adapter can say that things are mended.
        customer.type("while stopped")
        customer.wait("(await adapter.getUnsent()).length === 1")
        customer.run("adapter.connect()")
    customer.connected(timeout=40)
    customer.all_sent()
    assert customer.run("return (await adapter.sendMessage('after')).status") == "sent"
    meanwhile = [] if comes_back or code == 4401 else ["while stopped"]
    assert customer.shown() == ["before", *meanwhile, "after"]


def test_1013_a_page_that_is_too_slow_comes_back_and_misses_nothing(tab):
    # More than the kernel's buffers between the two can ever take, and no more than comes by itself.
    count, long = 950, "长" * 9_980
    settings = {
        "gateway.outbound_bytes_max": 256 * 1024, "gateway.message_rate": 100_000, "gateway.message_burst": 100_000,
    }
    with stack_with(settings) as stack, Relay(stack.port) as relay:
        (stack.directory / "web/blank.html").write_text(BLANK)
        accounts = Accounts(stack)
        person, agent = accounts.create(), accounts.person("Kefu")
        page = tab(origin=f"http://localhost:{relay.port}", heartbeatInterval=0)
        page.login(person["user_id"], person["password"], "customer")
        note_sessions(stack, page)
        with stack.chat(agent) as chat:
            page.run("await adapter.sendMessage('hello', given[0])", agent["user_id"])
            relay.hold("down")
            for number in range(count):
                chat.send({"type": "Chat", "to_user_id": person["user_id"], "content": f"{number} {long}",
                           "client_id": f"{number}"})
            chat.expect("Ack", client_id=f"{count - 1}", timeout=60)
        relay.flow()
        numbers = "return told.filter(([event, one]) => event === 'message' && one.kind === 'chat')" \
            ".map(([, one]) => Number(one.content.split(' ')[0]))"
        until(lambda: len(page.run(numbers)) >= count, "everything has come", timeout=90, interval=0.3)
        assert page.run(numbers) == list(range(count))
        (told,) = page.told("disconnected")
        assert (told["code"], told["reason"], told["willReconnect"]) == (1013, "overloaded", True)
        page.close()


class Closing:
    """A WebSocket server that greets as the gateway does, and then closes with a code that the gateway never sends."""

    def __init__(self, code):
        self.code, self.count = code, 0
        self.server = serve(self._serve, "127.0.0.1", 0)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _serve(self, socket):
        self.count += 1
        socket.send(json.dumps({"type": "Welcome", "heads": {}}))
        assert json.loads(socket.recv())["type"] == "Sync"
        socket.send(json.dumps({"type": "Synced", "heads": {}}))
        if self.code is None:
            socket.socket.close()
        else:
            socket.close(self.code)


@pytest.mark.parametrize("code", [1000, 1011, 1012, 4000, None])
def test_a_code_that_is_not_listed_is_an_accident_of_the_network(stack, browser, tab, accounts, code):
    server = Closing(code)
    # (The page's policy allows no socket elsewhere.)
    context = browser.new_context(bypass_csp=True)
    with contextlib.closing(context):
        page = tab(context, wsUrl=f"ws://localhost:{server.port}/ws")
        person = accounts.create()
        page.run("await adapter.login(given[0], given[1], 'customer')", person["user_id"], person["password"])
        note_sessions(stack, page)
        until(lambda: page.told("disconnected"), "the loss is told")
        told = page.told("disconnected")[0]
        assert (told["code"], told["reason"], told["willReconnect"]) == (code or 1006, "network", True)
        until(lambda: page.run("return told.length") and server.count >= 3, "it comes back, each time", timeout=40)
        page.run("adapter.disconnect()")
    server.server.shutdown()
