"""Fixtures of the tests of the site's pages: a stack, a browser, and people in it. A test file imports those it uses."""

import pytest

from accounts import Accounts
from pages import chromium
from people import visitors
from routing import Floor
from stack import stack_with


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
    """No conversation of the test before is open, and no agent is there who would be given the next one's."""
    Floor(stack).clear()


@pytest.fixture
def visitor(stack, browser):
    with visitors(stack, browser) as make:
        yield make
