"""The administrator's live figures, against a load that is known."""

import contextlib
import time

import pytest

from accounts import Accounts
from pages import chromium
from people import visitors
from routing import set_status
from stack import stack_with
from waiting import until

CUSTOMERS, AGENTS, QUEUED, MESSAGES = 7, 3, 4, 300
# Every value of a figure, and when it came.
WATCH = """() => {
    window.seen = {};
    for (const figure of document.querySelectorAll('.figure')) {
        const name = figure.querySelector('figcaption').textContent;
        const value = figure.querySelector('.value');
        seen[name] = [];
        new MutationObserver(() => seen[name].push([performance.now() / 1000, value.textContent]))
            .observe(value, { childList: true });
    }
}"""


@pytest.fixture(scope="module")
def stack():
    with stack_with({"presence.leave_grace_ms": 100}) as one:
        yield one


@pytest.fixture
def admin(stack):
    with chromium() as browser, visitors(stack, browser) as visitor:
        page = visitor("admin")
        page.admin({"user_id": "support001", "password": "password123"})
        page.page.evaluate(WATCH)
        yield page


def figure(page, name):
    return page.page.locator(".figure", has_text=name).locator(".value").inner_text()


def shows(page, name, value):
    until(lambda: figure(page, name) == str(value), f"{name}: {value}", 30)


def test_they_are_true(stack, admin):
    accounts = Accounts(stack)
    shows(admin, "Customers connected", 0)
    shows(admin, "Queue", 0)
    with contextlib.ExitStack() as there:
        agents = [accounts.person("Kefu", user_name=f"Agent {number}", capacity=number + 2) for number in range(AGENTS)]
        for login, status in zip(agents, ("Away", "Busy", "Away")):
            set_status(stack, login, status)
            there.enter_context(stack.chat(login))
        customers = [accounts.person("Kehu") for _ in range(CUSTOMERS)]
        chats = [there.enter_context(stack.chat(login)) for login in customers]
        # A second device is no second person.
        there.enter_context(stack.chat(customers[0]))
        shows(admin, "Customers connected", CUSTOMERS)
        shows(admin, "Agents connected", AGENTS)
        admin.see(".figure", "0 online, 1 busy, 2 away")
        until(lambda: admin.page.evaluate("() => seen['Messages a second'].length >= 2"), "a rate was shown", 30)

        # Nobody takes them, so all that happens is what they write.
        began = time.monotonic()
        for chat in chats[:QUEUED]:
            for number in range(MESSAGES // QUEUED):
                chat.send({"type": "Chat", "content": f"message {number}"})
            for _ in range(MESSAGES // QUEUED):
                chat.expect("Ack")
        shows(admin, "Queue", QUEUED)
        minutes, seconds = figure(admin, "Longest wait").split(":")
        waited, most = int(minutes) * 60 + int(seconds), time.monotonic() - began
        # It was read at some time in the last interval, and rounds.
        assert most - 8 <= waited <= most + 1, (waited, most)
        until(
            lambda: admin.page.evaluate("() => seen['Messages a second'].at(-1)[1] === '0'"), "all of it was counted", 30
        )
        seen = admin.page.evaluate("() => seen['Messages a second']")
        counted = sum(float(rate) * (at - before) for (before, _), (at, rate) in zip(seen, seen[1:]))
        assert abs(counted - MESSAGES) < MESSAGES / 10, seen

        # One is taken: the queue is shorter, and it is that agent's.
        answer = stack.http(
            "POST", f"/api/conversations/c:{customers[0]['user_id']}/assign", json={}, session=agents[1]["session_id"]
        )
        assert answer.status == 200, answer
        shows(admin, "Queue", QUEUED - 1)
        admin.see("tbody tr:has-text('Agent 1') td", "1 of 3")
        admin.see("tbody tr:has-text('Agent 0') td", "0 of 2")
    shows(admin, "Customers connected", 0)
    shows(admin, "Agents connected", 0)
