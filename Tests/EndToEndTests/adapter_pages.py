"""What the tests of the adapter share: a browser, pages with a customer who has logged in, and outages."""

import contextlib
import json

import pytest

from accounts import Accounts
from pages import chromium, tabs_of

BLANK = "<!doctype html><meta charset=utf-8><title>blank</title><body>"


@pytest.fixture(scope="module")
def browser(stack):
    (stack.directory / "web/blank.html").write_text(BLANK)
    with chromium() as one:
        yield one


@pytest.fixture
def tab(stack, browser):
    with tabs_of(stack, browser) as make:
        yield make


@pytest.fixture(scope="module")
def accounts(stack):
    return Accounts(stack)


def note_sessions(stack, page):
    """The ids that the page keeps, which no log may hold."""
    kept = page.run("return Object.entries(localStorage)")
    ids = [json.loads(value)["id"] for name, value in kept if not name.endswith("users")]
    stack.secrets.update(ids)
    return ids


@pytest.fixture
def customer(accounts, tab):
    """A page whose customer has logged in."""
    person = accounts.create()
    page = tab()
    page.login(person["user_id"], person["password"], "customer")
    page.person = person
    note_sessions(accounts.stack, page)
    yield page
    if not page.page.is_closed():
        note_sessions(accounts.stack, page)


@pytest.fixture
def second(customer, tab):
    """Another tab of the same browser."""
    page = tab(customer.page.context)
    assert page.run("return (await adapter.resume()).id") == customer.person["user_id"]
    page.connected()
    page.person = customer.person
    return page


@contextlib.contextmanager
def away(process, kill=True):
    """While it does not run."""
    if kill:
        process.kill()
    else:
        assert process.stop() == 0
    try:
        yield
    finally:
        process.start()


def logged(stack, accounts, page):
    """The texts of a customer's conversation, as the server has them."""
    query = f"conversation_id=c:{page.person['user_id']}"
    return [
        entry["content"] for entry in stack.history(accounts.admin["session_id"], query) if entry["type"] == "Chat"
    ]


def texts(name, count=5):
    return [f"{name} {number}" for number in range(count)]
